"""Shipping: begins the fulfilment of an order, calls it off, and decides whether a customer still can."""

from sqlalchemy import Connection
from temporalio import activity

from activities.letting_go import let_go_if_refused
from activities.reacting import Reporter, believing_owners, cancellation_of, placement_of, request_of
from events.catalogue import CancellationRefused, OrderCancelled, ShipmentCancelled, ShipmentCreated
from events.envelope import Event
from events.subscriptions import Reaction
from orders.cancelling import CancelDecision, CancelRequest
from orders.model import Placement, Style
from runtime.errors import OrderIdTakenError
from services.service import Cancellation
from services.shipping import (
    BEGIN_FULFILMENT,
    CANCEL_SHIPMENT,
    DECIDE_CANCELLATION,
    HANDOVER_S,
    ON_CANCEL_REQUESTED,
    ON_ORDER_CANCELLED,
    ON_ORDER_PLACED,
    SHIPPING,
)
from stores import shipping as tables
from stores.ledger import EffectKey, Ledger, now_us


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
            handover_at_us = now_us() + int(_handover_s(placement) * 1e6)
            number = tables.insert_shipment(db, placement.style, order, handover_at_us=handover_at_us)
            return ShipmentCreated(
                order_id=order.order_id, tracking_number=number, status="preparing", country=order.country
            )

        key = _key(placement.style, order.order_id, "shipment.created")
        return self._ledger.perform(
            key,
            create,
            ShipmentCreated,
            content=order.fingerprint,
            undone_by="shipment.cancelled",
            rehearsal=placement.rehearsal,
            dice=placement.dice,
        )

    @activity.defn(name=CANCEL_SHIPMENT.activity)
    def cancel_shipment(self, cancellation: Cancellation) -> ShipmentCancelled | None:
        """Call the shipment off; None where there was none."""
        style, order_id = cancellation.style, cancellation.order_id

        def cancel(db: Connection) -> ShipmentCancelled:
            number = tables.cancel_shipment(db, style, order_id)
            return ShipmentCancelled(order_id=order_id, tracking_number=number)

        created, cancelled = (_key(style, order_id, effect) for effect in ("shipment.created", "shipment.cancelled"))
        undone = self._ledger.undo(
            created,
            cancelled,
            cancel,
            ShipmentCancelled,
            content=cancellation.content,
            since_us=cancellation.since_us,
            dice=cancellation.dice,
        )
        let_go_if_refused(self._ledger, SHIPPING.name, cancellation)
        return undone

    @activity.defn(name=DECIDE_CANCELLATION.activity)
    def decide_cancellation(self, request: CancelRequest) -> CancelDecision:
        """Decide whether a customer can still cancel: until the parcel is handed over to the carrier.

        The decision is kept, and is the same whenever it is asked for again, unless the shop itself has called the
        parcel back since. Where nothing has been shipped yet, accepting it also makes sure that nothing will be, even
        if the order is placed only afterwards.
        """
        style, order_id = request.style, request.order_id
        with self._ledger.engine.begin() as db:
            never_shipped = self._ledger.close(db, _key(style, order_id, "shipment.created"))
            now = now_us()  # only now: closing the key waits for a shipment that is just being made up
            handover_us = None if never_shipped else tables.handed_over_at_us(db, style, order_id)
            in_time = handover_us is None or now < handover_us
            reason = request.reason if in_time else "the parcel has been handed over to the carrier"
            tables.insert_decision(db, style, order_id, accepted=in_time, reason=reason, at_us=now)
            decided = tables.decision(db, style, order_id)  # the first one
            assert decided is not None  # noqa: S101 - it was just made, if not before
            if handover_us is None and not decided[0]:
                return CancelDecision(accepted=True, reason="the parcel has been called back")
            return CancelDecision(accepted=decided[0], reason=decided[1])

    @activity.defn(name=ON_CANCEL_REQUESTED)
    def on_cancel_requested(self, event: Event) -> Reaction:
        """`order.cancel_requested` → `order.cancelled`, or `cancellation.refused`."""
        request = request_of(event)
        decision = self.decide_cancellation(request)
        if decision.accepted:
            return self._reporter.tell(
                event, order__cancelled=OrderCancelled(order_id=request.order_id, reason=decision.reason)
            )
        refused = CancellationRefused(order_id=request.order_id, reason=decision.reason)
        return self._reporter.tell(event, cancellation__refused=refused)

    @activity.defn(name=ON_ORDER_PLACED)
    def on_order_placed(self, event: Event) -> Reaction:
        """`order.placed` → `shipment.created`; `order.cancelled` where the order id is another order's."""
        try:
            created = self.begin_fulfilment(placement_of(event))
        except OrderIdTakenError as taken:
            return self._reporter.refuse(event, taken)
        return self._reporter.tell(event, shipment__created=created)

    @activity.defn(name=ON_ORDER_CANCELLED)
    @believing_owners
    def on_order_cancelled(self, event: Event) -> Reaction:
        """`shipment.failed`, `invoice.failed`, `order.cancelled` → `shipment.cancelled`."""
        return self._reporter.tell(event, shipment__cancelled=self.cancel_shipment(cancellation_of(event)))


def _handover_s(placement: Placement) -> float:
    customers = None if placement.dice is None else placement.dice.plan.customers
    return HANDOVER_S if customers is None else customers.handover_ms / 1e3


def _key(style: Style, order_id: str, effect: str) -> EffectKey:
    return EffectKey(style, order_id, SHIPPING.name, effect)
