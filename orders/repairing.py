"""What the shop asks for when an order was left half undone."""

from pydantic import BaseModel, ConfigDict

from orders.model import OrderId


class RepairRequest(BaseModel):
    """Undo what is left of an order whose undoing was broken off."""

    model_config = ConfigDict(frozen=True)

    order_id: OrderId
    reason: str
    lab: str = ""
    """Suffix of the task queues, where several labs share one Temporal server."""
    content: str | None = None
    """Fingerprint of the order; None for the one that the order id stands for, where nobody knows which that is."""
    refused: bool = False
    """Whether a service knows another order under the id, so that what the others did for this one lets the id go."""
    since_us: int | None = None
    """When the refused order was placed, in microseconds since 1970."""
