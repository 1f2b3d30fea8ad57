"""Shipping: begins the fulfilment of an order, and calls it off."""

from sqlalchemy import Connection
from temporalio import activity

from activities.reacting import Reporter, cancellation_of, placement_of
from events.catalogue import ShipmentCancelled, ShipmentCreated
from events.envelope import Event
from events.subscriptions import Reaction
from orders.model import Placement, Style
from services.service import Cancellation
from services.shipping import BEGIN_FULFILMENT, CANCEL_SHIPMENT, ON_ORDER_FAILED, ON_ORDER_PLACED, SHIPPING
from stores import shipping as tables
from stores.ledger import EffectKey, Ledger


class ShippingActivities:
    """Takes its database and tells what it did."""

    def __init__(self, ledger: Ledger, reporter: Reporter) -> None:
        self._ledger = ledger
        self._reporter = reporter

    @activity.defn(name=BEGIN_FULFILMENT.activity)
    def begin_fulfilment(self, placement: Placement) -> ShipmentCreated:
        """Create the shipment, with its tracking number."""
        order = placement.order

        def create(db: Connection) -> ShipmentCreated:
            number = tables.insert_shipment(db, placement.style, order)
            return ShipmentCreated(
                order_id=order.order_id, tracking_number=number, status="preparing", country=order.country
            )

        key = _key(placement.style, order.order_id, "shipment.created")
        return self._ledger.perform(key, create, ShipmentCreated, rehearsal=placement.rehearsal, dice=placement.dice)

    @activity.defn(name=CANCEL_SHIPMENT.activity)
    def cancel_shipment(self, cancellation: Cancellation) -> ShipmentCancelled | None:
        """Call the shipment off; None where there was none."""
        style, order_id = cancellation.style, cancellation.order_id

        def cancel(db: Connection) -> ShipmentCancelled:
            number = tables.cancel_shipment(db, style, order_id)
            return ShipmentCancelled(order_id=order_id, tracking_number=number)

        created, cancelled = (_key(style, order_id, effect) for effect in ("shipment.created", "shipment.cancelled"))
        return self._ledger.undo(created, cancelled, cancel, ShipmentCancelled, dice=cancellation.dice)

    @activity.defn(name=ON_ORDER_PLACED)
    def on_order_placed(self, event: Event) -> Reaction:
        """`order.placed` → `shipment.created`."""
        return self._reporter.tell(event, shipment__created=self.begin_fulfilment(placement_of(event)))

    @activity.defn(name=ON_ORDER_FAILED)
    def on_order_failed(self, event: Event) -> Reaction:
        """`shipment.failed`, `invoice.failed` → `shipment.cancelled`."""
        return self._reporter.tell(event, shipment__cancelled=self.cancel_shipment(cancellation_of(event)))


def _key(style: Style, order_id: str, effect: str) -> EffectKey:
    return EffectKey(style, order_id, SHIPPING.name, effect)
