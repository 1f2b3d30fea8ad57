"""What waits or is parked when a run hands its log on, where that is too much for one payload.

The events are in the history of the run that hands them on, so the next run is told where they are, and fetches them a
few at a time (`workflows/event_bus.py`, `events/succession.py`). Told is what the history does not say: which of them
still wait, for whom, and at which place of the log. That takes some thirty bytes for each.
"""

import base64
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from itertools import count

from pydantic import BaseModel, ConfigDict

from events.log import DeliveryRecord, DeliveryState, EventLog, LogEntry, fingerprint
from events.subscriptions import RoutedEvent

EARLIER = "it was given up in an earlier run, whose history says why"
"""Why something is parked, where that was not handed on."""

DeliveryKey = tuple[str, str, str]
"""Source and id of an event, and the handler that it is for."""


class Waits(StrEnum):
    """How an unsettled delivery stands, in one letter."""

    WAITING = "w"
    PARKED = "p"
    REDRIVEN = "r"
    """It was parked, and is being tried once more."""


class WaitingEvent(BaseModel):
    """One event that still goes to somebody."""

    model_config = ConfigDict(frozen=True)

    f: str
    """Its fingerprint."""
    n: int
    """Its place in the log."""
    d: str
    """Its deliveries: for each a letter of `Waits`, and the number of its handler."""
    t: str | None = None
    """How it came to the bus (`LogEntry.told_by`)."""

    def deliveries(self, handlers: list[str]) -> dict[str, Waits]:
        """How they stand, by handler."""
        return {handlers[int(one[1:])]: Waits(one[0]) for one in self.d.split()}


class Elsewhere(BaseModel):
    """Where the events are that still go to somebody."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    """The run whose history has them, or says in turn where they are."""
    handlers: list[str]
    waiting: list[WaitingEvent]
    """In the sequence of the log."""

    def put_back(self, log: EventLog, events: Mapping[str, RoutedEvent]) -> EventLog:
        """The log with the entries of these events in their places again.

        Args:
            log: the log without them.
            events: by fingerprint; those that it has not are left out.
        """
        places = {one.n: self._entry(one, events[one.f]) for one in self.waiting if one.f in events}
        entries: list[LogEntry] = []
        kept = iter(log.entries)
        for place in count():
            entry = places.pop(place, None) or next(kept, None)
            if entry is not None:
                entries.append(entry)
            elif not places:
                break
        return EventLog(entries=entries, earlier=log.earlier)

    def recipients(self, waiting: WaitingEvent, routed: RoutedEvent, *how: Waits) -> RoutedEvent | None:
        """The event with those for whom it stands so; None where there are none."""
        stands = waiting.deliveries(self.handlers)
        to = tuple(recipient for recipient in routed.recipients if stands.get(recipient.handler) in how)
        return routed.model_copy(update={"recipients": to}) if to else None

    def _entry(self, waiting: WaitingEvent, routed: RoutedEvent) -> LogEntry:
        entry = LogEntry.of(routed.event, routed.recipients, told_by=waiting.t)
        stands = waiting.deliveries(self.handlers)
        for record in entry.deliveries:
            how = stands.get(record.handler)
            if how is None:
                record.state = DeliveryState.HANDLED
            elif how is Waits.PARKED:
                record.state, record.reason = DeliveryState.PARKED, EARLIER
        return entry


def set_aside(
    log: EventLog, run_id: str, redriven: AbstractSet[DeliveryKey] = frozenset()
) -> tuple[Elsewhere, EventLog]:
    """What of a log still goes to somebody, and the log without it.

    Args:
        log: of the run that hands it on.
        run_id: the id of that run.
        redriven: the deliveries that are being tried once more.
    """
    handlers: dict[str, int] = {}
    waiting = []
    for place, entry in enumerate(log.entries):
        if not entry.is_settled:
            told = (
                f"{_letter(entry, record, redriven)}{handlers.setdefault(record.handler, len(handlers))}"
                for record in entry.deliveries
                if not record.is_settled
            )
            known_by = told_fingerprint(*entry.identity)
            waiting.append(WaitingEvent(f=known_by, n=place, d=" ".join(told), t=entry.told_by))
    settled = EventLog(entries=[entry for entry in log.entries if entry.is_settled], earlier=log.earlier)
    return Elsewhere(run_id=run_id, handlers=list(handlers), waiting=waiting), settled


def told_fingerprint(source: str, event_id: str) -> str:
    """An event's fingerprint, as a text."""
    return base64.b64encode(fingerprint(source, event_id)).decode().rstrip("=")


def by_fingerprint(events: Iterable[RoutedEvent]) -> dict[str, RoutedEvent]:
    """Events by their fingerprints; the first of each."""
    found: dict[str, RoutedEvent] = {}
    for routed in events:
        found.setdefault(told_fingerprint(*routed.event.identity), routed)
    return found


def _letter(entry: LogEntry, record: DeliveryRecord, redriven: AbstractSet[DeliveryKey]) -> Waits:
    if record.state is DeliveryState.PARKED:
        return Waits.PARKED
    return Waits.REDRIVEN if (*entry.identity, record.handler) in redriven else Waits.WAITING
