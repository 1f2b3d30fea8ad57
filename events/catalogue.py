"""The facts that orderlab's own services tell, and the schema of each.

Any other event type can be published and subscribed to as well; only the types listed here are held to a schema.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from orders.model import Order, OrderId

_Pence = Annotated[int, Field(strict=True)]
"""A whole number and nothing that Python would make one of, as what is told from outside is kept as it is told."""


class Fact(BaseModel):
    """Something that happened to an order. Who tells it may say more than is asked for here; that is kept, too."""

    model_config = ConfigDict(frozen=True, extra="allow")

    order_id: OrderId


class ShipmentCreated(Fact):
    """Shipping has begun the fulfilment."""

    tracking_number: str
    status: str
    country: str


class ShipmentCancelled(Fact):
    """Shipping has called the shipment off."""

    tracking_number: str


class InvoiceIssued(Fact):
    """Invoicing has written the invoice."""

    invoice_number: str
    total_pence: Annotated[_Pence, Field(ge=0)]


class CreditNoteIssued(Fact):
    """Invoicing has taken an invoice back by a credit note."""

    credit_note_number: str
    invoice_number: str
    total_pence: Annotated[_Pence, Field(ge=0)]


class ConfirmationSent(Fact):
    """Marketing has confirmed the order by mail."""

    message_id: str
    address: str


class CancellationSent(Fact):
    """Marketing has told the customer by mail that the order is off."""

    message_id: str
    address: str


class CampaignLeft(Fact):
    """This order keeps the customer out of the running campaign."""

    campaign: str
    customer_id: str


class CampaignRejoined(Fact):
    """This order no longer keeps the customer out of the campaign."""

    campaign: str
    customer_id: str


class SaleRecorded(Fact):
    """Analytics counts the order in the sales figures."""

    day: str
    country: str
    total_pence: _Pence


class SaleReversed(Fact):
    """Analytics has taken the order out of the sales figures."""

    total_pence: _Pence


class CancelRequested(Fact):
    """The customer wants the order cancelled; nothing is cancelled by that. Shipping alone acts on it, and decides."""

    reason: Annotated[str, StringConstraints(max_length=500)]
    """Shipping keeps it with its decision."""


class OrderCancelled(Fact):
    """The order is cancelled: whoever did something for it undoes that."""

    reason: str


class OrderRefused(OrderCancelled):
    """The order is cancelled, as a service knows another order under its id: told as `order.cancelled`, too."""

    refused: bool = False
    placed_us: int | None = None
    """When it was placed, in microseconds since 1970: what was done for it before stays. None for all of it."""


class OrderFailed(OrderCancelled):
    """A critical service gave up, so the order can't be kept."""

    service: str


class CancellationRefused(Fact):
    """The customer's wish came too late, and the order stays as it is."""

    reason: str


CATALOGUE: dict[str, type[BaseModel]] = {
    "order.placed": Order,
    "shipment.created": ShipmentCreated,
    "shipment.cancelled": ShipmentCancelled,
    "shipment.failed": OrderFailed,
    "invoice.issued": InvoiceIssued,
    "invoice.failed": OrderFailed,
    "credit_note.issued": CreditNoteIssued,
    "confirmation.sent": ConfirmationSent,
    "cancellation.sent": CancellationSent,
    "campaign.left": CampaignLeft,
    "campaign.rejoined": CampaignRejoined,
    "sale.recorded": SaleRecorded,
    "sale.reversed": SaleReversed,
    "order.cancel_requested": CancelRequested,
    "order.cancelled": OrderCancelled,
    "cancellation.refused": CancellationRefused,
}
"""Event type to the model of its data."""

OWNERS: dict[str, str] = {
    "shipment.created": "shipping",
    "shipment.cancelled": "shipping",
    "shipment.failed": "shipping",
    "cancellation.refused": "shipping",
    "invoice.issued": "invoicing",
    "invoice.failed": "invoicing",
    "credit_note.issued": "invoicing",
    "confirmation.sent": "marketing",
    "cancellation.sent": "marketing",
    "campaign.left": "marketing",
    "campaign.rejoined": "marketing",
    "sale.recorded": "analytics",
    "sale.reversed": "analytics",
}
"""Event type to the service whose fact it is: from anybody else it does not count (`events/speaking.py`).

The others are nobody's: that an order was placed, is not wanted any more, or is cancelled, the shop tells, an ERP or a
call centre.
"""

FAILURES = ("shipment.failed", "invoice.failed")
"""The facts that tell of a critical service that gave up."""

CANCELLING = (*FAILURES, "order.cancelled")
"""The facts that cancel an order."""
