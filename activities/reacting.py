"""How a service takes an event in, and tells what it did about it."""

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel
from temporalio import activity

from events.bus import ROUTE
from events.catalogue import OWNERS, CancelRequested, OrderCancelled, OrderRefused
from events.envelope import OWN_SOURCES, Event, source_of
from events.speaking import why_not_believed
from events.subscriptions import Reaction, RoutedEvent, SubscriptionRegistry
from faults.dice import Dice
from orders.cancelling import CancelRequest
from orders.model import Order, Placement
from runtime.errors import OrderIdTakenError
from services.service import Cancellation

Handling = TypeVar("Handling")
"""The activities of a service."""

_LONGEST_NOTE = 500
"""As `Reaction.note` has it."""


class Reporter:
    """Tells the facts that follow from an event, routed to whoever wants to hear of them."""

    def __init__(self, service: str, registry: SubscriptionRegistry) -> None:
        self._service = service
        self._source = source_of(service)
        self._registry = registry

    def tell(self, cause: Event, **facts: BaseModel | None) -> Reaction:
        """What a handler answers.

        An effect happens once per order, and so does the fact that tells of it, whichever event it follows from: its id
        is made from the order and the effect, as the effect's idempotency key is.

        Args:
            cause: the event that was handled.
            facts: event type, with `__` for the dot, to what happened; None where it did not.
        """
        told = {self._own(name.replace("__", ".")): fact for name, fact in facts.items() if fact is not None}
        return self._react(cause, told, prefix=cause.correlation_key)

    def _own(self, event_type: str) -> str:
        """The type under which this service may tell a fact; a copy of another, as in measurements, does not own it."""
        return event_type if OWNERS.get(event_type, self._service) == self._service else f"{self._service}.{event_type}"

    def _react(self, cause: Event, told: Mapping[str, BaseModel], *, prefix: str) -> Reaction:
        now = datetime.now(UTC)
        return Reaction(
            events=tuple(
                self._registry.route(
                    cause.follow_up(f"{prefix}/{event_type}", event_type, source=self._source, time=now, data=fact)
                )
                for event_type, fact in told.items()
            )
        )

    def refuse(self, cause: Event, why: OrderIdTakenError) -> Reaction:
        """What a handler answers to an order whose id belongs to another one: it can't be kept, whatever the service.

        Who has begun it undoes that. The event says which of the two orders is meant, and nobody undoes the other. It
        has an id of its own, too: that the other one is cancelled may have to be told as well.
        """
        content = placement_of(cause).order.fingerprint
        refused = cause.model_copy(update={"ordercontent": content})
        fact = OrderRefused(order_id=cause.correlation_key, reason=str(why), refused=True, placed_us=_placed_us(cause))
        return self._react(refused, {"order.cancelled": fact}, prefix=f"{cause.correlation_key}/{content[:8]}")


def believing_owners(handle: Callable[[Handling, Event], Reaction]) -> Callable[[Handling, Event], Reaction]:
    """A handler that does nothing about what belongs to a service and is told neither by that nor by a person.

    The bus hands nobody such an event. The handler looks for itself, as there are ways to it that have no bus in
    between; its answer says why it has done nothing.
    """

    @functools.wraps(handle)
    def handle_what_is_believed(self: Handling, event: Event) -> Reaction:
        why = why_not_believed(event)
        return handle(self, event) if why is None else Reaction(note=why[:_LONGEST_NOTE])

    return handle_what_is_believed


class Routing:
    """The bus worker's own activity: finds the recipients of a failure event."""

    def __init__(self, registry: SubscriptionRegistry) -> None:
        self._registry = registry

    @activity.defn(name=ROUTE)
    def route(self, event: Event) -> RoutedEvent:
        """The event with those who subscribed to it."""
        return self._registry.route(event)


def placement_of(event: Event) -> Placement:
    """The work that `order.placed` asks for: the same as the saga's."""
    return Placement(
        style="choreography", order=Order.model_validate(event.data), rehearsal=event.rehearsal, dice=_dice_of(event)
    )


def cancellation_of(event: Event) -> Cancellation:
    """The compensation that an event asks for which cancels the order: the same as the saga's."""
    # A customer, or another system, cancels whatever order the id stands for; a service that refuses one says which.
    fact = OrderCancelled.model_validate(event.data)
    by_a_service = event.source.startswith(OWN_SOURCES) and event.ordercontent is not None
    refusal = OrderRefused.model_validate(event.data) if by_a_service else None
    refused = refusal is not None and refusal.refused
    return Cancellation(
        style="choreography",
        order_id=fact.order_id,
        reason=fact.reason,
        content=event.ordercontent,
        refused=refused,
        since_us=refusal.placed_us if refusal is not None and refused else None,
        dice=_dice_of(event),
    )


def request_of(event: Event) -> CancelRequest:
    """The customer's wish that `order.cancel_requested` tells of."""
    fact = CancelRequested.model_validate(event.data)
    return CancelRequest(style="choreography", order_id=fact.order_id, reason=fact.reason, dice=_dice_of(event))


def _placed_us(placed: Event) -> int | None:
    """When an order was placed; None where another system's event says no time that can be believed."""
    return int(placed.time.timestamp() * 1e6) if placed.time <= datetime.now(UTC) else None


def _dice_of(event: Event) -> Dice | None:
    return None if event.dice is None else Dice.model_validate_json(event.dice)
