"""What the history of a bus run tells: for those who can't ask the run, as it is at work, or was broken off."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from events.bus import (
    COLLECT,
    PUBLISH,
    ROUTE,
    TAKE_OVER,
    WORKFLOW_TASK_TIMEOUT,
    BusStart,
    Collected,
    TakenOver,
    bus_id,
)
from events.delivery import why_not_its_own
from events.elsewhere import Elsewhere
from events.envelope import OWN_SOURCES, Event
from events.log import DeliveryState, LogEntry
from events.speaking import OUTSIDE
from events.subscriptions import Reaction, RoutedEvent
from runtime.errors import SupersededError

_STARTED = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED

_LOOK_EVERY_S = 0.01

Told = TypeVar("Told", bound=BaseModel)
DeliveryKey = tuple[str, str, str]
"""Source and id of an event, and the handler that it was handed to."""


class Published(NamedTuple):
    """An event as it was put on the bus."""

    routed: RoutedEvent
    told_by: str | None
    """How it came; None in a run that keeps nothing of it."""

    @property
    def entry(self) -> LogEntry:
        """The entry of a log that did not know it."""
        return LogEntry.of(self.routed.event, self.routed.recipients, told_by=self.told_by)


@dataclass
class RecordedRun:
    """A run as its history tells of it."""

    run_id: str
    original: str
    """Its own id; of one that came about as a person has reset another, the id of that one."""
    start: BusStart
    taken_over: TakenOver | None = None
    """The log of the run before, if it has taken that over."""
    published: list[Published] = field(default_factory=list)
    """What was put on the bus, in sequence; the bus alone knows which of it is new."""
    collected: list[RoutedEvent] = field(default_factory=list)
    """What earlier runs had left in their histories for this one, as far as it has fetched that."""
    settled: dict[DeliveryKey, DeliveryState] = field(default_factory=dict)
    """The deliveries that were handled or superseded."""

    @property
    def elsewhere(self) -> Elsewhere | None:
        """Where the rest is of what waited when it began."""
        return self.start.elsewhere if self.taken_over is None else self.taken_over.elsewhere

    def holds(self) -> list[RoutedEvent]:
        """All events that its history has the whole of."""
        taken_over = self.taken_over.pending if self.taken_over else ()
        published = (one.routed for one in self.published if one.entry.counts)
        return [*self.start.pending, *self.start.redriven, *taken_over, *self.collected, *published]

    def entries(self) -> list[LogEntry]:
        """The events that were put on the bus. How their deliveries stand is not told."""
        return [published.entry for published in self.published]

    def went_on_from(self, before: TakenOver) -> TakenOver:
        """How it stood when it was broken off: its log, and what has still to be delivered.

        What was given up is to be delivered once more, as nobody knows whether what followed from it was told.

        Args:
            before: how the run before it ended.
        """
        log = before.log.model_copy(deep=True)
        unfinished = [*before.pending, *self.start.pending, *self.start.redriven]
        known = {entry.known_by for entry in log.entries} | log.earlier.known()
        for published in self.published:
            entry = published.entry
            if entry.known_by not in known:
                known.add(entry.known_by)
                log.entries.append(entry)
                if entry.deliveries:
                    unfinished.append(published.routed)
        entries = {entry.identity: entry for entry in log.entries if entry.deliveries}
        for entry in log.entries:
            for record in entry.deliveries:
                record.state = self.settled.get((*entry.identity, record.handler), record.state)
        pending = []
        for routed in unfinished:
            records = {record.handler: record for record in entries[routed.event.identity].deliveries}
            waiting = tuple(to for to in routed.recipients if not records[to.handler].is_settled)
            for recipient in waiting:
                record = records[recipient.handler]
                record.state, record.reason, record.attempts = DeliveryState.PENDING, None, None
            if waiting:
                pending.append(RoutedEvent(event=routed.event, recipients=waiting))
        return TakenOver(log=log, pending=pending)


async def recorded(client: Client, key: str, run_id: str | None = None) -> RecordedRun | None:
    """Read a run; None where there is none.

    Args:
        client: of the server where the bus runs.
        key: the correlation key.
        run_id: the run, if not the latest.
    """
    handle = client.get_workflow_handle(bus_id(key), run_id=run_id)
    try:
        actual_id = await _once_written_down(handle)
        history = await client.get_workflow_handle(bus_id(key), run_id=actual_id).fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    started = history.events[0].workflow_execution_started_event_attributes
    start = await _decoded(client, started.input, BusStart)
    run = RecordedRun(actual_id, started.original_execution_run_id, start or BusStart())
    reader = _Reader(client, run)
    for event in history.events:
        await reader.read(event)
        await asyncio.sleep(0)  # there may be 50 MB of it; who reads it for a run tells meanwhile that it is alive
    return run


async def _once_written_down(run: WorkflowHandle[Any, Any]) -> str:
    """The id of the run, once no workflow task is under way: signals that come meanwhile are recorded after it."""
    give_up_at = time.monotonic() + 2 * WORKFLOW_TASK_TIMEOUT.total_seconds()  # a call is not cancelled: decision 19
    while True:
        described = await run.describe()
        if described.raw_description.pending_workflow_task.state != _STARTED or time.monotonic() > give_up_at:
            return described.run_id
        await asyncio.sleep(_LOOK_EVERY_S)


class _Reader:
    """Puts what a history tells, event by event, into a run."""

    def __init__(self, client: Client, run: RecordedRun) -> None:
        self._client = client
        self._run = run
        self._work: dict[int, str] = {}
        """The activities, by the events that scheduled them: their types."""
        self._deliveries: dict[int, DeliveryKey] = {}
        self._subscribers: dict[DeliveryKey, str] = {}
        self._meet(*run.start.pending, *run.start.redriven)

    async def read(self, event: HistoryEvent) -> None:
        """Take the next event of the history."""
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name:
            self._work[event.event_id] = scheduled.activity_type.name
            handed = await self._decoded(scheduled.input, Event)
            if handed is not None:
                self._deliveries[event.event_id] = (*handed.identity, scheduled.activity_type.name)
        elif event.workflow_execution_signaled_event_attributes.signal_name == PUBLISH:
            await self._publish(event.workflow_execution_signaled_event_attributes.input, told_by=OUTSIDE)
        elif event.HasField("activity_task_completed_event_attributes"):
            completed = event.activity_task_completed_event_attributes
            await self._complete(completed.scheduled_event_id, completed.result)
        elif (
            event.activity_task_failed_event_attributes.failure.application_failure_info.type
            == SupersededError.__name__
        ):
            self._settle(event.activity_task_failed_event_attributes.scheduled_event_id, DeliveryState.SUPERSEDED)

    async def _complete(self, work: int, result: Payloads) -> None:
        if self._work[work] == TAKE_OVER:
            self._run.taken_over = await self._decoded(result, TakenOver)
            self._meet(*(self._run.taken_over.pending if self._run.taken_over else ()))
        elif self._work[work] == COLLECT:
            collected = await self._decoded(result, Collected)
            self._run.collected += collected.events if collected else ()
            self._meet(*(collected.events if collected else ()))
        elif self._work[work] == ROUTE:
            await self._publish(result, told_by=None)
        else:
            reaction = await self._decoded(result, Reaction)
            if reaction is None and result.payloads and result.payloads[0].data not in {b"", b"null"}:
                return
            subscriber = self._subscribers.get(self._deliveries.get(work, ("", "", "")), "")
            if reaction and self._run.start.keeps_who_told and why_not_its_own(subscriber, reaction) is not None:
                return
            self._settle(work, DeliveryState.HANDLED)
            for routed in reaction.events if reaction else ():
                self._put(routed, told_by=subscriber)

    async def _publish(self, told: Payloads, *, told_by: str | None) -> None:
        routed = await self._decoded(told, RoutedEvent)
        if routed is not None:  # the bus tells that a subscriber gave up in the name of that one
            self._put(routed, told_by=routed.event.source.removeprefix(OWN_SOURCES) if told_by is None else told_by)

    def _put(self, routed: RoutedEvent, *, told_by: str) -> None:
        self._run.published.append(Published(routed, told_by if self._run.start.keeps_who_told else None))
        self._meet(routed)

    def _meet(self, *events: RoutedEvent) -> None:
        """Take note of whose the handlers are that an event goes to."""
        for routed in events:
            for to in routed.recipients:
                self._subscribers[*routed.event.identity, to.handler] = to.subscriber

    def _settle(self, work: int, state: DeliveryState) -> None:
        if work in self._deliveries:
            self._run.settled[self._deliveries[work]] = state

    async def _decoded(self, payloads: Payloads, model: type[Told]) -> Told | None:
        return await _decoded(self._client, payloads, model)


async def _decoded(client: Client, payloads: Payloads, model: type[Told]) -> Told | None:
    """The value, or None where there is none, or where a subscriber answered what is no reaction."""
    with contextlib.suppress(ValidationError, RuntimeError):
        values: list[Any] = await client.data_converter.decode(payloads.payloads, [model] * len(payloads.payloads))
        for value in values:
            return value if isinstance(value, model) else None
    return None
