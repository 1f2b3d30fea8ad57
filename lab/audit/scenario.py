"""The scenario as the auditor expects it: written down again, so that a slip in the services' own lists is found."""

from typing import NamedTuple

from lab.audit.report import Style

STYLES: tuple[Style, ...] = ("saga", "choreography")

UNDO_OF = {
    "shipment.created": "shipment.cancelled",
    "invoice.issued": "credit_note.issued",
    "confirmation.sent": "cancellation.sent",
    "campaign.left": "campaign.rejoined",
    "sale.recorded": "sale.reversed",
}
"""What each service does for an order, and what undoes it."""

SERVICE_OF = {
    "shipment.created": "shipping",
    "invoice.issued": "invoicing",
    "confirmation.sent": "marketing",
    "campaign.left": "marketing",
    "sale.recorded": "analytics",
}

CRITICAL = frozenset({"shipping", "invoicing"})
"""If one of these gives up, the order is cancelled; the work of the others is parked."""

FAILURES = frozenset({"shipment.failed", "invoice.failed"})
"""Events that cancel an order."""

COMPENSATIONS = frozenset(
    {"shipping.cancel_shipment", "invoicing.issue_credit_note", "marketing.tell_customer", "analytics.reverse_sale"}
)
"""Activity types by which the saga undoes; in the choreography they are the handlers of a failure."""


class Key(NamedTuple):
    """An order in one style."""

    style: Style
    order_id: str

    @property
    def workflow_id(self) -> str:
        """Id of the workflow that runs it."""
        return f"{'saga' if self.style == 'saga' else 'bus'}/{self.order_id}"


def service_of_activity(activity_type: str) -> str:
    """The service whose activity it is."""
    return activity_type.split(".", maxsplit=1)[0]


def is_compensation(activity_type: str) -> bool:
    """Whether an activity undoes what was done for an order, in either style."""
    return activity_type in COMPENSATIONS or activity_type.endswith(".on_order_cancelled")
