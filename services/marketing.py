"""Marketing: confirms the order by mail and takes the buyer out of the running campaign; tells of a cancellation."""

from pydantic import BaseModel, ConfigDict

from events.catalogue import CANCELLING, CampaignLeft, CampaignRejoined, CancellationSent, ConfirmationSent
from events.subscriptions import Subscription
from runtime.attempts import AttemptPolicy
from services.service import Service, Step

MARKETING = Service("marketing", AttemptPolicy(window_s=48 * 3600, attempt_s=40 * 60, heartbeat_s=5))
"""An attempt lasts as long as a mail server may take for one mail (`activities/smtp.py`), and somewhat longer."""


class CustomerThanked(BaseModel):
    """The two effects of `marketing.thank_customer`."""

    model_config = ConfigDict(frozen=True)

    confirmation: ConfirmationSent | None
    """None for a guest."""
    campaign: CampaignLeft | None
    """None for a guest, and where the campaign does not write to this customer."""


class CustomerTold(BaseModel):
    """What was undone by `marketing.tell_customer`; None where there was nothing to undo."""

    model_config = ConfigDict(frozen=True)

    cancellation: CancellationSent | None
    campaign: CampaignRejoined | None


THANK_CUSTOMER = Step(MARKETING, "marketing.thank_customer")
TELL_CUSTOMER = Step(MARKETING, "marketing.tell_customer")

ON_ORDER_PLACED = "marketing.on_order_placed"
ON_ORDER_CANCELLED = "marketing.on_order_cancelled"


def subscriptions(lab: str) -> tuple[Subscription, ...]:
    """What marketing wants to hear: orders of known customers only, a guest can't be written to."""
    known_customer = {"type": ["order.placed"], "data": {"customer_id": [{"exists": True}]}}
    return (
        MARKETING.handles(ON_ORDER_PLACED, known_customer, lab=lab),
        # A mail may take hours until it is out, or somebody says that nobody knows.
        MARKETING.handles(ON_ORDER_CANCELLED, {"type": [*CANCELLING]}, lab=lab, supersedes=ON_ORDER_PLACED),
    )
