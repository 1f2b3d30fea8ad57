"""Reads the log of a correlation key, from the run that keeps it or from the one that has closed."""

import contextlib
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from events.bus import LOG, PUBLISH, BusStart, bus_id
from events.log import EventLog, LogEntry
from events.subscriptions import Reaction, RoutedEvent

QUERY_TIMEOUT = timedelta(seconds=5)
"""How long to wait for a worker's answer about an open run."""


async def log_of(client: Client, key: str, run_id: str | None = None) -> EventLog | None:
    """The log of a correlation key; None where nothing was published under it, or its run was terminated.

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


async def facts_of(client: Client, key: str) -> list[LogEntry]:
    """The events of a correlation key so far, read from the history, so that a run at work is not disturbed.

    How their deliveries stand is not told. An event may be listed twice, as the bus alone knows which are new.

    Args:
        client: of the server where the bus runs.
        key: such as an order id.
    """
    found: list[LogEntry] = []
    try:
        history = await client.get_workflow_handle(bus_id(key)).fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []
        raise
    for event in history.events:
        for payloads, model in (
            (event.workflow_execution_started_event_attributes.input, BusStart),
            (event.activity_task_completed_event_attributes.result, RoutedEvent | Reaction),
        ):
            found += _entries(await _decoded(client, payloads, model))
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name == PUBLISH:
            found += _entries(await _decoded(client, signal.input, RoutedEvent))
    return found


async def _decoded(client: Client, payloads: Payloads, model: Any) -> object:  # noqa: ANN401 - or a union
    """The value, or None where there is none, or where a subscriber answered what is no reaction."""
    with contextlib.suppress(ValidationError):
        for value in await client.data_converter.decode(payloads.payloads, [model] * len(payloads.payloads)):
            return value
    return None


def _entries(told: object) -> list[LogEntry]:
    if isinstance(told, BusStart):
        return list(told.log.entries)
    routed = told.events if isinstance(told, Reaction) else [told] if isinstance(told, RoutedEvent) else []
    return [LogEntry.of(one.event, one.recipients) for one in routed]
