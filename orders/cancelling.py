"""The customer's change of mind: what is asked, and what shipping answers."""

from pydantic import BaseModel, ConfigDict

from faults.dice import Dice
from orders.model import OrderId, Placement, Style

BY_THE_CUSTOMER = "cancelled by the customer"

LONGEST_REASON = 500
"""Shipping keeps it with its decision."""


class CancelRequest(BaseModel):
    """A customer wants an order cancelled, which may have ended, or not even have been placed."""

    model_config = ConfigDict(frozen=True)

    style: Style
    order_id: OrderId
    reason: str = BY_THE_CUSTOMER
    lab: str = ""
    """Suffix of the task queues, where several labs share one Temporal server."""
    dice: Dice | None = None
    """What goes wrong while the order is undone."""
    broken: bool = False
    """The order's saga was terminated or has failed, so that the order stands in no legal state."""

    def as_kept(self) -> "CancelRequest":
        """The same, with as much of the reason as every database can keep.

        It is no rule of the model, as what a workflow can't read when it starts would hold it up for ever; nor is it
        refused, as the workflow that would refuse it has been started together with the request.
        """
        return self.model_copy(update={"reason": self.reason.replace("\0", "\ufffd")[:LONGEST_REASON]})


class CancelDecision(BaseModel):
    """Whether the order is cancelled. It is final: whoever asks again is answered the same."""

    model_config = ConfigDict(frozen=True)

    accepted: bool
    reason: str
    """Why the order is cancelled, or why it can't be any more."""


class LateOrder(BaseModel):
    """An order that was placed after its cancellation."""

    model_config = ConfigDict(frozen=True)

    placement: Placement
    digest: str
    """Fingerprint of the order, by which it is known when it is placed again."""
