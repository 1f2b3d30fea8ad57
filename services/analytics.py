"""Analytics: keeps the sales dashboard's figures."""

from events.catalogue import CANCELLING
from events.subscriptions import Subscription
from runtime.attempts import AttemptPolicy
from services.service import Service, Step

ANALYTICS = Service("analytics", AttemptPolicy(window_s=48 * 3600))

RECORD_SALE = Step(ANALYTICS, "analytics.record_sale")
REVERSE_SALE = Step(ANALYTICS, "analytics.reverse_sale")

ON_ORDER_PLACED = "analytics.on_order_placed"
ON_ORDER_CANCELLED = "analytics.on_order_cancelled"


def subscriptions(lab: str) -> tuple[Subscription, ...]:
    """What analytics wants to hear."""
    return (
        ANALYTICS.handles(ON_ORDER_PLACED, {"type": ["order.placed"]}, lab=lab),
        ANALYTICS.handles(ON_ORDER_CANCELLED, {"type": [*CANCELLING]}, lab=lab),
    )
