"""Shipping: begins the fulfilment, and calls it off."""

from events.catalogue import FAILURES
from events.subscriptions import Subscription
from runtime.attempts import AttemptPolicy
from services.service import Service, Step

SHIPPING = Service("shipping", AttemptPolicy(window_s=72 * 3600), failure_event="shipment.failed")

BEGIN_FULFILMENT = Step(SHIPPING, "shipping.begin_fulfilment")
CANCEL_SHIPMENT = Step(SHIPPING, "shipping.cancel_shipment")

ON_ORDER_PLACED = "shipping.on_order_placed"
ON_ORDER_FAILED = "shipping.on_order_failed"


def subscriptions(lab: str) -> tuple[Subscription, ...]:
    """What shipping wants to hear."""
    return (
        SHIPPING.handles(ON_ORDER_PLACED, {"type": ["order.placed"]}, lab=lab, failure_event=SHIPPING.failure_event),
        SHIPPING.handles(ON_ORDER_FAILED, {"type": [*FAILURES]}, lab=lab),
    )
