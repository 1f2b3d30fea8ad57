"""Shipping: begins the fulfilment, and calls it off.

It owns the point of no return: `HANDOVER_S` after the fulfilment began, the parcel is handed over to the carrier. Until
then a customer may cancel the order, and from then on shipping refuses. Only the customer is bound by that: where the
shop itself can't keep an order, the parcel is called back.
"""

from events.catalogue import CANCELLING
from events.subscriptions import Subscription
from runtime.attempts import AttemptPolicy
from services.service import Service, Step

SHIPPING = Service("shipping", AttemptPolicy(window_s=72 * 3600), failure_event="shipment.failed")

BEGIN_FULFILMENT = Step(SHIPPING, "shipping.begin_fulfilment")
CANCEL_SHIPMENT = Step(SHIPPING, "shipping.cancel_shipment")

DECIDE_CANCELLATION = Step(
    Service(SHIPPING.name, AttemptPolicy(window_s=365 * 24 * 3600)), "shipping.decide_cancellation"
)
"""Asked until it is answered: a customer who was not answered could not be told how the order stands."""

HANDOVER_S = 60.0
"""From the begin of the fulfilment to the point of no return; a fault plan with customers has a time of its own."""

ON_ORDER_PLACED = "shipping.on_order_placed"
ON_ORDER_CANCELLED = "shipping.on_order_cancelled"
ON_CANCEL_REQUESTED = "shipping.on_cancel_requested"


def subscriptions(lab: str) -> tuple[Subscription, ...]:
    """What shipping wants to hear."""
    return (
        SHIPPING.handles(ON_ORDER_PLACED, {"type": ["order.placed"]}, lab=lab, failure_event=SHIPPING.failure_event),
        DECIDE_CANCELLATION.service.handles(ON_CANCEL_REQUESTED, {"type": ["order.cancel_requested"]}, lab=lab),
        SHIPPING.handles(ON_ORDER_CANCELLED, {"type": [*CANCELLING]}, lab=lab),
    )
