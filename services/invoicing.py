"""Invoicing: issues the invoice, and takes it back by a credit note."""

from events.catalogue import CANCELLING
from events.subscriptions import Subscription
from runtime.attempts import AttemptPolicy
from services.service import Service, Step

INVOICING = Service("invoicing", AttemptPolicy(window_s=72 * 3600), failure_event="invoice.failed")

ISSUE_INVOICE = Step(INVOICING, "invoicing.issue_invoice")
ISSUE_CREDIT_NOTE = Step(INVOICING, "invoicing.issue_credit_note")

ON_ORDER_PLACED = "invoicing.on_order_placed"
ON_ORDER_CANCELLED = "invoicing.on_order_cancelled"


def subscriptions(lab: str) -> tuple[Subscription, ...]:
    """What invoicing wants to hear."""
    return (
        INVOICING.handles(ON_ORDER_PLACED, {"type": ["order.placed"]}, lab=lab, failure_event=INVOICING.failure_event),
        INVOICING.handles(ON_ORDER_CANCELLED, {"type": [*CANCELLING]}, lab=lab),
    )
