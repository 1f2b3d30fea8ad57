"""The scenario `order-placed`: which services take part. Both styles are built from it."""

from events.subscriptions import Subscription, SubscriptionRegistry
from runtime.errors import InputError
from services import analytics, invoicing, marketing, shipping
from services.service import Service

SCENARIO = "order-placed"

SERVICES: tuple[Service, ...] = (shipping.SHIPPING, invoicing.INVOICING, marketing.MARKETING, analytics.ANALYTICS)

UNDONE_BY: dict[str, dict[str, str]] = {
    "shipping": {"shipment.created": "shipment.cancelled"},
    "invoicing": {"invoice.issued": "credit_note.issued"},
    "marketing": {"confirmation.sent": "cancellation.sent", "campaign.left": "campaign.rejoined"},
    "analytics": {"sale.recorded": "sale.reversed"},
}
"""Service to its effects, and the effect that undoes each."""

ACTIONS: dict[str, frozenset[str]] = {
    service: frozenset({*effects, *effects.values()}) for service, effects in UNDONE_BY.items()
}
"""Service to all that it does: what a fault plan can name."""

ORCHESTRATORS = ("saga", "bus")
"""Task queues of the two workflow workers."""

REFERENCES = "references"
"""Task queue of the workflows that the styles are held against; only a comparison has a worker on it."""

WORKERS: tuple[str, ...] = (*(service.name for service in SERVICES), *ORCHESTRATORS)
"""Everything that a worker process can host."""


def subscriptions(lab: str) -> tuple[Subscription, ...]:
    """All subscriptions of the scenario, for the lab with this task queue suffix."""
    return tuple(
        subscription
        for service in (shipping, invoicing, marketing, analytics)
        for subscription in service.subscriptions(lab)
    )


def registry(lab: str) -> SubscriptionRegistry:
    """The registry that publishers and handlers resolve subscribers with."""
    return SubscriptionRegistry(subscriptions(lab))


def check_worker_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as they are, each of them known.

    Raises:
        InputError: one of them names neither a service nor a workflow worker.
    """
    for name in names:
        if name not in WORKERS:
            raise InputError(f"unknown service {name!r}; take one of: {', '.join(WORKERS)}")
    return names
