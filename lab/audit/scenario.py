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

SERVICE_OF_EFFECT = SERVICE_OF | {UNDO_OF[effect]: service for effect, service in SERVICE_OF.items()}
"""The same, with what undoes. The choreography tells of each as an event of that type."""

EFFECTS = SERVICE_OF_EFFECT.keys()

SERVICE_OF_FACT = SERVICE_OF_EFFECT | {
    "shipment.failed": "shipping",
    "cancellation.refused": "shipping",
    "invoice.failed": "invoicing",
}
"""Whose each event is: from anybody else it says nothing. The others anybody may tell."""

SERVICES = frozenset(SERVICE_OF.values())

IN_DOUBT = frozenset({"begun", "possible"})
"""States of a key whose effect is outside the database, and may have happened or not."""

STATES = frozenset({"done", "closed"}) | IN_DOUBT
"""Of a key in a service's ledger."""

OUTSIDE_DATABASES = frozenset({"confirmation.sent", "cancellation.sent"})
"""The effects of which a database can't be sure: mails."""

CAMPAIGN = "christmas-2010"

HANDED_OVER = "the parcel has been handed over to the carrier"
"""Why shipping refuses a cancellation."""

CRITICAL = frozenset({"shipping", "invoicing"})
"""If one of these gives up, the order is cancelled; the work of the others is parked."""

CRITICAL_STEPS = frozenset({"shipping.begin_fulfilment", "invoicing.issue_invoice"})
"""Activity types of the saga's steps without which an order can't be kept."""

FAILURES = frozenset({"shipment.failed", "invoice.failed"})
"""Events by which the choreography tells that an order can't be kept."""

CANCEL_REQUESTED = "order.cancel_requested"
"""The event by which a customer asks for an order to be cancelled."""

ANSWERS = {"order.cancelled": True, "cancellation.refused": False}
"""Events that answer the customer, and whether the order is cancelled then."""

CANCELLING = FAILURES | {"order.cancelled"}
"""Events that cancel an order, whatever for."""

ORDER_SAGA, ORDER_CANCELLATION = "OrderSaga", "OrderCancellation"
"""Workflow types that run under the id of an order's saga; the second where a customer cancels and none is open."""

COMPENSATIONS = frozenset(
    {"shipping.cancel_shipment", "invoicing.issue_credit_note", "marketing.tell_customer", "analytics.reverse_sale"}
)
"""Activity types by which the saga undoes; in the choreography they are the handlers of what cancels an order."""


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
