"""One event on its way to one subscriber, and what the subscriber's handler answers."""

from dataclasses import dataclass

from pydantic import ValidationError
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter

from events.envelope import Event
from events.log import DeliveryRecord
from events.parked import ParkedDelivery, excerpt
from events.readable import why_unreadable
from events.speaking import why_not_to_tell
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

    def supersedes(self, earlier: "Delivery") -> bool:
        """Whether it makes an earlier delivery to the same subscriber pointless."""
        is_about_its_order = self.event.ordercontent in {None, earlier.event.ordercontent}
        return self.recipient.supersedes == earlier.recipient.handler and is_about_its_order

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


def reaction_in(answer: RawValue, converter: PayloadConverter, *, of: str | None) -> Reaction:
    """What a handler has answered.

    Args:
        answer: as it came.
        converter: reads it.
        of: the subscriber whose handler it is; None where anybody is believed.

    Raises:
        NoReactionError: it is no reaction, one whose events could not be read back, or one that speaks for another.
    """
    try:
        told = converter.from_payload(answer.payload)
    except (KeyError, RuntimeError, ValueError) as error:
        raise NoReactionError(why_unreadable(error)) from error
    try:
        reaction = Reaction.model_validate({} if told is None else told)
    except ValidationError as error:
        raise NoReactionError(error.errors(include_url=False)[0]["msg"]) from error
    why = None if of is None else why_not_its_own(of, reaction)
    if why is not None:
        raise NoReactionError(why)
    return reaction


def why_not_its_own(subscriber: str, reaction: Reaction) -> str | None:
    """Why an answer is none, as it tells what is not for this subscriber to tell; None where it is one."""
    reasons = (why_not_to_tell(subscriber, routed.event) for routed in reaction.events)
    return next((reason for reason in reasons if reason is not None), None)
