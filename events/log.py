"""The log of one correlation key: which events there were, in which sequence, and how each delivery stands.

The log is what a bus run returns and what the next run starts with. Of an event's data
it keeps but the reason that it gives (the rest is in the history), so it stays small however large the events are.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from events.catalogue import CANCELLING
from events.envelope import Event
from events.subscriptions import Recipient

_LONGEST = 1_000
"""Entries that a run hands on: half of what a payload can be, at 1 kB an entry."""


class DeliveryState(StrEnum):
    """How one delivery stands."""

    PENDING = "pending"
    HANDLED = "handled"
    PARKED = "parked"
    """Given up for now, kept in the dead-letter queue."""
    FAILED = "failed"
    """Given up for good: the failure event is in the log."""
    SUPERSEDED = "superseded"
    """Came after the order was cancelled, so there was nothing to do any more."""


class DeliveryRecord(BaseModel):
    """One event on its way to one subscriber."""

    subscriber: str
    handler: str
    state: DeliveryState = DeliveryState.PENDING
    reason: str | None = None
    """Why it was given up."""
    attempts: int | None = None
    """How often it had been tried by then."""
    redrives: int = 0
    """How often it was redriven, each counted when its outcome is known."""


class LogEntry(BaseModel):
    """One event, without its data."""

    id: str
    type: str
    source: str
    time: datetime
    causationid: str | None
    digest: str
    """Fingerprint of the data."""
    reason: str | None = None
    """What the event says under `reason`: the one thing of its data that a reader of the log needs."""
    deliveries: list[DeliveryRecord]

    @classmethod
    def of(cls, event: Event, recipients: tuple[Recipient, ...]) -> "LogEntry":
        """The entry of a new event."""
        return cls(
            id=event.id,
            type=event.type,
            source=event.source,
            time=event.time,
            causationid=event.causationid,
            digest=event.digest,
            reason=event.reason,
            deliveries=[DeliveryRecord(subscriber=r.subscriber, handler=r.handler) for r in recipients],
        )


class EventLog(BaseModel):
    """All events of one correlation key, oldest first."""

    entries: list[LogEntry] = Field(default_factory=list)

    def shortened(self) -> "EventLog":
        """Without the oldest entries that are settled, so that a log never outgrows what a payload can be.

        An event that is published again after so many others is no longer known as a duplicate; the idempotency keys of
        its effects still know it.
        """
        spare = len(self.entries) - _LONGEST
        kept = []
        for entry in self.entries:
            settled = all(d.state not in {DeliveryState.PENDING, DeliveryState.PARKED} for d in entry.deliveries)
            if settled and spare > 0:
                spare -= 1
            else:
                kept.append(entry)
        return EventLog(entries=kept)

    def holds(self, event_id: str) -> bool:
        """Whether the event is in the log."""
        return any(entry.id == event_id for entry in self.entries)

    def deliveries(self, state: DeliveryState) -> list[DeliveryRecord]:
        """All deliveries that stand so."""
        return [d for entry in self.entries for d in entry.deliveries if d.state is state]


class OrderState(StrEnum):
    """How an order stands, in either style (guarantee 2)."""

    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    PARKED = "parked"
    ATTENTION = "attention"


def order_state(log: EventLog) -> OrderState:
    """An order's business state, projected from its log: the bus itself knows nothing of orders.

    A delivery still pending means the order is running. An event that cancels the order undoes it; if the delivery of
    one is parked, a compensation gave up, and a person has to look at it. Work that was refused as superseded tells of
    an earlier cancellation, whether the log still holds it or not.
    """
    if not log.entries or log.deliveries(DeliveryState.PENDING):
        return OrderState.RUNNING
    cancelling = [entry for entry in log.entries if entry.type in CANCELLING]
    if cancelling:
        gave_up = any(d.state is DeliveryState.PARKED for entry in cancelling for d in entry.deliveries)
        return OrderState.ATTENTION if gave_up else OrderState.CANCELLED
    if log.deliveries(DeliveryState.SUPERSEDED):  # cancelled in a log that is gone, which the services remember
        return OrderState.CANCELLED
    return OrderState.PARKED if log.deliveries(DeliveryState.PARKED) else OrderState.COMPLETED
