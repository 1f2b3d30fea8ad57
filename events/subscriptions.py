"""Who hears of which event: subscriptions, and the registry that resolves them."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import to_json

from events.envelope import Event
from events.patterns import Pattern
from events.readable import UnreadableEventError, prove_readable
from runtime.attempts import AttemptPolicy
from runtime.temporal import MAX_PAYLOAD_BYTES

_LARGEST_ANSWER_BYTES = MAX_PAYLOAD_BYTES - 100
"""Less what stands around the events. More than a message can have would not fail, but be tried again and again."""


class Recipient(BaseModel):
    """Where and how one subscriber is handed an event. It travels with the event, so the bus looks nothing up."""

    model_config = ConfigDict(frozen=True)

    subscriber: str
    handler: str
    """Activity type of the subscriber's handler."""
    task_queue: str
    attempts: AttemptPolicy
    failure_event: str | None = None
    """Type of the event that tells of a delivery given up; None parks it in the dead-letter queue instead."""
    supersedes: str | None = Field(default=None, exclude_if=lambda handler: handler is None)
    """Handler of the same subscriber whose deliveries of earlier events about the same order this one makes pointless:
    one that has begun is called off and awaited, one that has not never begins.
    """


class Subscription(BaseModel):
    """A subscriber's wish to be handed every event that fits a pattern."""

    model_config = ConfigDict(frozen=True)

    recipient: Recipient
    pattern: Pattern


class RoutedEvent(BaseModel):
    """An event with the subscribers it goes to: what a publisher signals to the bus."""

    model_config = ConfigDict(frozen=True)

    event: Event
    recipients: tuple[Recipient, ...]

    def redriven(self) -> "RoutedEvent":
        """The same as a redrive hands it over: no dice are thrown."""
        return self.model_copy(update={"event": self.event.redriven()})


class Reaction(BaseModel):
    """What a handler answers: the events that follow, already routed.

    An event that the bus could not read back is no answer: the handler learns so as it makes one, and the bus, if the
    handler was written in another way, as it takes it in.
    """

    model_config = ConfigDict(frozen=True)

    events: tuple[RoutedEvent, ...] = ()
    note: Annotated[str, StringConstraints(max_length=500)] | None = None
    """Why the handler did nothing about the event, where it does not believe it."""

    @field_validator("events")
    @classmethod
    def _can_be_read_back(cls, events: tuple[RoutedEvent, ...]) -> tuple[RoutedEvent, ...]:
        for routed in events:
            try:
                prove_readable(routed.event)
            except UnreadableEventError as error:
                raise ValueError(f"{routed.event.type} {routed.event.id} {error}") from error
        size = len(to_json(events))
        if size > _LARGEST_ANSWER_BYTES:
            raise ValueError(f"has {size:,} bytes; an answer can have {_LARGEST_ANSWER_BYTES:,}, as any payload")
        return events


class SubscriptionRegistry:
    """Resolves who hears of an event. Only publishers and handlers ask it; the bus never does."""

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self._subscriptions = tuple(subscriptions)

    def route(self, event: Event) -> RoutedEvent:
        """The event with its recipients, in the order in which they subscribed."""
        document = event.model_dump(mode="json")
        recipients = tuple(s.recipient for s in self._subscriptions if s.pattern.matches(document))
        return RoutedEvent(event=event, recipients=recipients)
