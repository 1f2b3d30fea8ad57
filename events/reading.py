"""Reads the log of a correlation key, from the run that keeps it or from the one that has closed."""

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from events.bus import LOG, PUBLISH, ROUTE, TAKE_OVER, WORKFLOW_TASK_TIMEOUT, BusStart, bus_id
from events.log import EventLog, LogEntry
from events.subscriptions import Reaction, RoutedEvent
from events.succession import log_before, result_of

_STARTED = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED

_LOOK_EVERY_S = 0.01

QUERY_TIMEOUT = timedelta(seconds=5)
"""How long to wait for a worker's answer about an open run."""

Told = TypeVar("Told", bound=BaseModel)


async def log_of(client: Client, key: str, run_id: str | None = None) -> EventLog | None:
    """The log of a correlation key; None where nothing was published under it, or its run was terminated.

    Of a long log it is the latest page, and what an order's state rests on; `whole_log_of` has all.

    Args:
        client: of the server where the bus runs.
        key: such as an order id.
        run_id: the run to read, if not the latest.

    Raises:
        RPCError: the run is open and no worker answers the query.
    """
    run = client.get_workflow_handle(bus_id(key), run_id=run_id, result_type=EventLog)
    log: EventLog
    try:
        if (await run.describe()).status is WorkflowExecutionStatus.RUNNING:
            log = await run.query(LOG, result_type=EventLog, rpc_timeout=QUERY_TIMEOUT)
        else:
            log = await run.result()
    except WorkflowFailureError:  # a terminated run takes its log with it; effects still happen once
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return log


async def whole_log_of(client: Client, key: str) -> EventLog | None:
    """The log with its earlier pages, as far as the server still has the runs that returned them.

    Args:
        client: of the server where the bus runs.
        key: such as an order id.

    Raises:
        RPCError: the run is open and no worker answers the query.
    """
    log = await log_of(client, key)
    if log is None:
        return None
    pages = [log]
    while (run_id := pages[-1].earlier.run_id) is not None:
        page = await result_of(client, key, run_id)
        if page is None:
            break
        pages.append(page)
    entries = {entry.identity: entry for page in reversed(pages) for entry in page.entries}
    return EventLog(entries=list(entries.values()), earlier=pages[-1].earlier)


async def facts_of(client: Client, key: str) -> list[LogEntry]:
    """The events of a correlation key so far, read from the history, so that a run at work is not disturbed.

    How their deliveries stand is not told. An event may be listed twice, as the bus alone knows which are new.

    Args:
        client: of the server where the bus runs.
        key: such as an order id.
    """
    try:
        run = client.get_workflow_handle(bus_id(key))
        await _until_written_down(run)
        history = await run.fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []
        raise
    start = await _decoded(client, history.events[0].workflow_execution_started_event_attributes.input, BusStart)
    before = start.log if start else EventLog()
    found: list[LogEntry] = []
    activity_types: dict[int, str] = {}
    taken_over = start is None or start.follows is None
    for event in history.events:
        activity_types[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        completed = event.activity_task_completed_event_attributes
        if activity_types.get(completed.scheduled_event_id) == TAKE_OVER:
            taken_over, before = True, await _decoded(client, completed.result, EventLog) or before
        else:
            found += await _facts_in(client, event, activity_types.get(completed.scheduled_event_id))
    if start and start.follows and not taken_over:
        before = await log_before(client, key, start.follows, by_run=(await run.describe()).run_id)
    return [*before.entries, *found]


async def _until_written_down(run: WorkflowHandle[Any, Any]) -> None:
    """Wait until a workflow task that is under way has ended: signals that come meanwhile get into the history then."""
    give_up_at = time.monotonic() + 2 * WORKFLOW_TASK_TIMEOUT.total_seconds()  # a call is not cancelled: decision 19
    while (await run.describe()).raw_description.pending_workflow_task.state == _STARTED:
        if time.monotonic() > give_up_at:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _facts_in(client: Client, event: HistoryEvent, activity_type: str | None) -> list[LogEntry]:
    """What an event of the history puts into the log: a signal, or the answer of an activity of this type."""
    signal, result = event.workflow_execution_signaled_event_attributes, event.activity_task_completed_event_attributes
    routed: tuple[RoutedEvent | None, ...] = ()
    if signal.signal_name == PUBLISH:
        routed = (await _decoded(client, signal.input, RoutedEvent),)
    elif activity_type == ROUTE:
        routed = (await _decoded(client, result.result, RoutedEvent),)
    elif activity_type:
        reaction = await _decoded(client, result.result, Reaction)
        routed = reaction.events if reaction else ()
    return [LogEntry.of(one.event, one.recipients) for one in routed if one]


async def _decoded(client: Client, payloads: Payloads, model: type[Told]) -> Told | None:
    """The value, or None where there is none, or where a subscriber answered what is no reaction."""
    with contextlib.suppress(ValidationError):
        values: list[Any] = await client.data_converter.decode(payloads.payloads, [model] * len(payloads.payloads))
        for value in values:
            return value if isinstance(value, model) else None
    return None
