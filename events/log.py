"""The log of one correlation key: which events there were, in which sequence, and how each delivery stands.

The log is what a bus run returns and what the next run starts with. Of an event's data
it keeps but the reason that it gives (the rest is in the history), so it stays small however large the events are.

And however many: the next run is handed the latest entries, those on which an order's state and identity rest, and
fingerprints by which it knows the others. The entries themselves stay in the result of the run before, to which the log
refers, as one page of a book refers to the one before (`events/reading.py` turns them).
"""

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from events.catalogue import CANCELLING, CATALOGUE
from events.envelope import OWN_SOURCES, Event, event_name
from events.speaking import OUTSIDE, Told, counts
from events.subscriptions import Recipient

LONGEST = 1_000
"""Entries of a run's result, and events before them that are known by their fingerprints."""

LARGEST_BYTES = 400_000
"""Of the settled entries that a run returns, or hands on as it continues as new: the server terminates a run that makes
a payload of more than 2 MiB, and what is waiting and parked goes along.
"""

_LARGEST_UNSETTLED_BYTES = 1_000_000
"""Of the entries with deliveries that are waiting or parked, where a run is asked for its log."""

PAGE = 16
"""Entries that the next run is handed: what one more event about a closed run costs, for ever. Less would be no easier
on the server, as the fingerprints weigh as much.
"""

OF_NOBODY = "\0"
"""Before the source of an event that does not count, as its fingerprint is made: no source can begin so."""

_ABOUT_ONE_ORDER = frozenset({"order.placed", *CANCELLING})

_FINGERPRINT_BYTES = 8
"""Of 1,000 events, two have the same one by chance in one of 10 ** 13 logs."""


class DeliveryState(StrEnum):
    """How one delivery stands."""

    PENDING = "pending"
    HANDLED = "handled"
    PARKED = "parked"
    """Given up for now, kept in the dead-letter queue."""
    FAILED = "failed"
    """Given up for good: the failure event is in the log."""
    SUPERSEDED = "superseded"
    """The order was cancelled before it was done, so there was nothing to do any more."""


class DeliveryRecord(BaseModel):
    """One event on its way to one subscriber."""

    subscriber: str
    handler: str
    state: DeliveryState = DeliveryState.PENDING
    reason: str | None = None
    """Why it was given up, or why the handler did nothing about it."""
    attempts: int | None = None
    """How often it had been tried by then."""
    redrives: int = 0
    """How often it was redriven, each counted when its outcome is known."""

    @property
    def is_settled(self) -> bool:
        """Whether it is neither under way nor parked."""
        return self.state not in {DeliveryState.PENDING, DeliveryState.PARKED}


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
    told_by: str | None = None
    """How the event came to the bus: the subscriber whose handler answered it, or for whom the bus tells that it gave
    up; empty where it came from outside. None in the log of a run that began when nobody kept that.
    """
    by_hand: str | None = None
    """The person who has told it in place of the service whose fact it is."""
    content: str | None = None
    """Fingerprint of the order that is placed or cancelled, where that is said: an id may have been given twice."""
    deliveries: list[DeliveryRecord]

    @classmethod
    def of(cls, event: Event, recipients: tuple[Recipient, ...], *, told_by: str | None = None) -> "LogEntry":
        """The entry of a new event; where that does not count, it goes to nobody.

        Args:
            event: what happened.
            recipients: who subscribed to it.
            told_by: how it came to the bus; None to keep nothing of that, and to believe whoever told it.
        """
        of_nobody = told_by is not None and not counts(Told(event.type, event.source, told_by, event.byhand))
        return cls(
            id=event.id,
            type=event.type,
            source=event.source,
            time=event.time,
            causationid=event.causationid,
            digest=event.digest,
            reason=event.reason,
            told_by=told_by,
            by_hand=event.byhand,
            content=event.ordercontent if event.type in _ABOUT_ONE_ORDER else None,
            deliveries=[
                DeliveryRecord(subscriber=r.subscriber, handler=r.handler) for r in (() if of_nobody else recipients)
            ],
        )

    @property
    def counts(self) -> bool:
        """Whether it says anything about its order: it is told by whose fact it is, or by a person in their place."""
        return counts(Told(self.type, self.source, self.told_by, self.by_hand, acted_on=self._was_acted_on))

    @property
    def _was_acted_on(self) -> bool:
        """Whether it went to anybody who did not say at once that nothing was done about it."""
        return any(of.state is not DeliveryState.HANDLED or of.reason is None or of.redrives for of in self.deliveries)

    @property
    def from_outside(self) -> bool:
        """Whether a person or another system has told it, and no service of ours."""
        return not self.source.startswith(OWN_SOURCES) if self.told_by is None else self.told_by == OUTSIDE

    @property
    def known_by(self) -> bytes:
        """By which the event is known when its entry has left the log. What does not count keeps nobody else's out."""
        return fingerprint(*self.identity) if self.counts else fingerprint(f"{OF_NOBODY}{self.source}", self.id)

    @property
    def identity(self) -> tuple[str, str]:
        """What an event is known by: its source and its id."""
        return self.source, self.id

    @property
    def name(self) -> str:
        """The same in one text."""
        return event_name(self.source, self.id)

    @property
    def is_settled(self) -> bool:
        """Whether no delivery of it is under way or parked."""
        return all(delivery.is_settled for delivery in self.deliveries)


class Earlier(BaseModel):
    """The events that a log holds no entries of any more."""

    events: int = 0
    """How many there were."""
    fingerprints: str = ""
    """Of the latest 1,000 of them, oldest first; eight bytes each, base64."""
    run_id: str | None = None
    """The run whose result has the entries just before; None where they are gone."""

    def known(self) -> set[bytes]:
        """The fingerprints."""
        packed = base64.b64decode(self.fingerprints)
        return {packed[at : at + _FINGERPRINT_BYTES] for at in range(0, len(packed), _FINGERPRINT_BYTES)}

    def and_then(self, entries: Iterable[LogEntry], run_id: str | None) -> "Earlier":
        """With more entries that have left the log."""
        left = [entry.known_by for entry in entries]
        packed = b"".join([base64.b64decode(self.fingerprints), *left])[-LONGEST * _FINGERPRINT_BYTES :]
        return Earlier(events=self.events + len(left), fingerprints=base64.b64encode(packed).decode(), run_id=run_id)


class EventLog(BaseModel):
    """The events of one correlation key, oldest first."""

    entries: list[LogEntry] = Field(default_factory=list)
    earlier: Earlier = Earlier()

    def shortened(self) -> "EventLog":
        """Never larger than what a payload can be: without the oldest entries that nothing rests on."""
        spare = len(self.entries) - LONGEST
        if len(self.entries) > PAGE:
            sizes = [size_bytes(entry) for entry in self.entries if entry.is_settled]
            excess_bytes = sum(sizes) - LARGEST_BYTES
            large = 0
            while excess_bytes > 0 and large < len(sizes):
                excess_bytes -= sizes[large]
                large += 1
            spare = max(spare, large)
        return self._without(spare, run_id=self.earlier.run_id)

    def shown(self) -> "EventLog":
        """As it is answered to whoever asks: also where more is waiting and parked than an answer can have.

        Of that, the oldest are shown, and in any case one delivery in each state, on which the order's state rests.
        """
        log = self.shortened()
        room = LARGEST_BYTES + _LARGEST_UNSETTLED_BYTES - sum(size_bytes(e) for e in log.entries if e.is_settled)
        seen: set[DeliveryState] = set()
        decisive = log.decisive()
        shown = []
        for entry in log.entries:
            states = {delivery.state for delivery in entry.deliveries}
            if not entry.is_settled:
                room -= size_bytes(entry)
            if room >= 0 or entry.is_settled or entry.known_by in decisive or not states <= seen:
                shown.append(entry)
                seen |= states
        return log if len(shown) == len(log.entries) else EventLog(entries=shown, earlier=log.earlier)

    def handed_on(self, run_id: str) -> "EventLog":
        """What the next run starts with, once there are two pages: the latest one.

        Args:
            run_id: the run whose result this log is, where the entries that leave it can be read.
        """
        spare = len(self.entries) - PAGE
        return self._without(spare, run_id=run_id) if spare > PAGE else self

    def _without(self, spare: int, *, run_id: str | None) -> "EventLog":
        """Without so many of the oldest entries, as far as they are settled and nothing rests on them."""
        kept: list[LogEntry] = []
        left: list[LogEntry] = []
        decisive = self.decisive()
        for entry in self.entries:
            may_leave = entry.is_settled and entry.known_by not in decisive
            (left if may_leave and len(left) < spare else kept).append(entry)
        return EventLog(entries=kept, earlier=self.earlier.and_then(left, run_id)) if left else self

    def decisive(self) -> set[bytes]:
        """What an order's state and identity rest on: the first event of each type of the catalogue that counts."""
        first: dict[str, bytes] = {}
        for entry in counting(self.entries):
            if entry.type in CATALOGUE:
                first.setdefault(entry.type, entry.known_by)
        return set(first.values())

    def entry_of(self, event: Event) -> LogEntry | None:
        """The entry of an event; None where the log has none, or none any more."""
        return self.entry_under(event.identity)

    def entry_under(self, identity: tuple[str, str]) -> LogEntry | None:
        """The entry of the event with this source and id, if there is one; one that counts before one that does not."""
        first = None
        for entry in self.entries:
            if entry.identity == identity:
                if entry.counts:
                    return entry
                first = first or entry
        return first

    def holds(self, event: Event, *, told_by: str | None = OUTSIDE) -> bool:
        """Whether the event is in the log, or known to have been.

        Args:
            event: what happened.
            told_by: how it came; where that makes it count, one that did not is another event.
        """
        known_by = LogEntry.of(event, (), told_by=told_by).known_by
        return any(entry.known_by == known_by for entry in self.entries) or known_by in self.earlier.known()

    def deliveries(self, state: DeliveryState) -> list[DeliveryRecord]:
        """All deliveries that stand so."""
        return [d for entry in self.entries for d in entry.deliveries if d.state is state]


def counting(entries: Iterable[LogEntry]) -> list[LogEntry]:
    """The entries that say anything about an order: told by whose facts they are, and about the order of the log.

    That is the first one that was placed under the id. What cancels another one, of other content, says nothing of it.
    """
    told = [entry for entry in entries if entry.counts]
    content = _content_in(told)
    if content is None:
        return told
    return [entry for entry in told if entry.type not in CANCELLING or entry.content in {None, content}]


def _content_in(entries: Iterable[LogEntry]) -> str | None:
    """Fingerprint of the order that a log is about; None where it does not say."""
    return next((entry.content for entry in entries if entry.type == "order.placed"), None)


def size_bytes(part: BaseModel) -> int:
    """How large it is in a payload."""
    return len(part.model_dump_json().encode())


def fingerprint(source: str, event_id: str) -> bytes:
    """By which an event is known when its entry has left the log: the first 8 bytes of a SHA-256."""
    return hashlib.sha256(f"{source}\0{event_id}".encode()).digest()[:_FINGERPRINT_BYTES]


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
    cancelling = [entry for entry in counting(log.entries) if entry.type in CANCELLING]
    if cancelling:
        gave_up = any(d.state is DeliveryState.PARKED for entry in cancelling for d in entry.deliveries)
        return OrderState.ATTENTION if gave_up else OrderState.CANCELLED
    content = _content_in(log.entries)
    of_order = [entry for entry in log.entries if content is None or entry.content in {None, content}]
    if any(d.state is DeliveryState.SUPERSEDED for entry in of_order for d in entry.deliveries):
        return OrderState.CANCELLED  # in a log that is gone, which the services remember
    return OrderState.PARKED if log.deliveries(DeliveryState.PARKED) else OrderState.COMPLETED
