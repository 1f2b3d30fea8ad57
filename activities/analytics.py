"""Analytics: counts an order in the sales figures, and takes it out of them."""

from sqlalchemy import Connection
from temporalio import activity

from activities.letting_go import let_go_if_refused
from activities.reacting import Reporter, believing_owners, cancellation_of, placement_of
from events.catalogue import SaleRecorded, SaleReversed
from events.envelope import Event
from events.subscriptions import Reaction
from orders.model import Placement, Style
from runtime.errors import OrderIdTakenError
from services.analytics import ANALYTICS, ON_ORDER_CANCELLED, ON_ORDER_PLACED, RECORD_SALE, REVERSE_SALE
from services.service import Cancellation
from stores import analytics as tables
from stores.ledger import EffectKey, Ledger


class AnalyticsActivities:
    """Takes its database and tells what it did."""

    def __init__(self, ledger: Ledger, reporter: Reporter) -> None:
        self._ledger = ledger
        self._reporter = reporter

    @activity.defn(name=RECORD_SALE.activity)
    def record_sale(self, placement: Placement) -> SaleRecorded:
        """Add the order to the figures by day, country and product."""
        order = placement.order

        def record(db: Connection) -> SaleRecorded:
            tables.record_sale(db, placement.style, order)
            return SaleRecorded(
                order_id=order.order_id,
                day=order.placed_at.date().isoformat(),
                country=order.country,
                total_pence=order.total_pence,
            )

        key = _key(placement.style, order.order_id, "sale.recorded")
        return self._ledger.perform(
            key,
            record,
            SaleRecorded,
            content=order.fingerprint,
            undone_by="sale.reversed",
            rehearsal=placement.rehearsal,
            dice=placement.dice,
        )

    @activity.defn(name=REVERSE_SALE.activity)
    def reverse_sale(self, cancellation: Cancellation) -> SaleReversed | None:
        """Take the order out of the figures; None where it was not in them."""
        style, order_id = cancellation.style, cancellation.order_id

        def reverse(db: Connection) -> SaleReversed:
            return SaleReversed(order_id=order_id, total_pence=tables.reverse_sale(db, style, order_id))

        recorded, reversed_ = (_key(style, order_id, effect) for effect in ("sale.recorded", "sale.reversed"))
        undone = self._ledger.undo(
            recorded,
            reversed_,
            reverse,
            SaleReversed,
            content=cancellation.content,
            since_us=cancellation.since_us,
            dice=cancellation.dice,
        )
        let_go_if_refused(self._ledger, ANALYTICS.name, cancellation)
        return undone

    @activity.defn(name=ON_ORDER_PLACED)
    def on_order_placed(self, event: Event) -> Reaction:
        """`order.placed` → `sale.recorded`; `order.cancelled` where the order id is another order's."""
        try:
            recorded = self.record_sale(placement_of(event))
        except OrderIdTakenError as taken:
            return self._reporter.refuse(event, taken)
        return self._reporter.tell(event, sale__recorded=recorded)

    @activity.defn(name=ON_ORDER_CANCELLED)
    @believing_owners
    def on_order_cancelled(self, event: Event) -> Reaction:
        """`shipment.failed`, `invoice.failed`, `order.cancelled` → `sale.reversed`."""
        return self._reporter.tell(event, sale__reversed=self.reverse_sale(cancellation_of(event)))


def _key(style: Style, order_id: str, effect: str) -> EffectKey:
    return EffectKey(style, order_id, ANALYTICS.name, effect)
