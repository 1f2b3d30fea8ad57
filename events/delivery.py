"""One event on its way to one subscriber, and what the subscriber's handler answers."""

from dataclasses import dataclass

from pydantic import ValidationError
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter

from events.envelope import Event
from events.log import DeliveryRecord
from events.parked import ParkedDelivery, excerpt
from events.readable import why_unreadable
from events.subscriptions import Reaction, Recipient


@dataclass(frozen=True)
class Delivery:
    """One event for one subscriber."""

    event: Event
    recipient: Recipient
    record: DeliveryRecord
    """How it stands; the same object as in the log."""
    redriven: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Tells the delivery from all others of its correlation key."""
        return (*self.event.identity, self.recipient.handler)

    @property
    def id(self) -> str:
        """Names the delivery in the dead-letter queue."""
        return f"{self.event.name}>{self.recipient.handler}"

    @property
    def former_id(self) -> str:
        """What it was called when an event was known by its id alone; redrives in older histories ask for it so."""
        return f"{self.event.id}>{self.recipient.handler}"

    @property
    def parked_entry(self) -> ParkedDelivery:
        """How it stands in the dead-letter queue."""
        return ParkedDelivery(
            id=self.id,
            service=self.recipient.subscriber,
            work=self.recipient.handler,
            reason=self.record.reason or "",
            attempts=self.record.attempts or 0,
            payload=excerpt(self.event),
        )


class NoReactionError(Exception):
    """A handler, which is a subscriber's, has answered what the bus can't take in; the message says why."""


def reaction_in(answer: RawValue, converter: PayloadConverter) -> Reaction:
    """What a handler has answered.

    Raises:
        NoReactionError: it is no reaction, or one whose events could not be read back.
    """
    try:
        told = converter.from_payload(answer.payload)
    except (KeyError, RuntimeError, ValueError) as error:
        raise NoReactionError(why_unreadable(error)) from error
    try:
        return Reaction.model_validate({} if told is None else told)
    except ValidationError as error:
        raise NoReactionError(error.errors(include_url=False)[0]["msg"]) from error
