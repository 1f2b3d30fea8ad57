"""Reads the log of a correlation key, from the run that keeps it or from the one that has closed."""

from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from events.bus import LOG, bus_id
from events.log import EventLog, LogEntry
from events.recorded import recorded
from events.succession import before, how_it_ended

OPEN = {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW}
"""The latest run under an id has continued as new only where it has just now, and the next one is open."""

QUERY_TIMEOUT = timedelta(seconds=5)
"""How long to wait for a worker's answer about an open run."""


async def log_of(client: Client, key: str) -> EventLog | None:
    """The log of a correlation key; None where nothing was published under it.

    Of a long log it is the latest page, and what an order's state rests on; `whole_log_of` has all.

    Args:
        client: of the server where the bus runs.
        key: such as an order id.

    Raises:
        RPCError: the run is open and no worker answers the query.
    """
    run = client.get_workflow_handle(bus_id(key))
    try:
        found = await run.describe()
        if found.status in OPEN:
            log: EventLog = await run.query(LOG, result_type=EventLog, rpc_timeout=QUERY_TIMEOUT)
            return log
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    ended = await how_it_ended(client, key, found.run_id)
    return None if ended is None else ended.log


async def whole_log_of(client: Client, key: str) -> EventLog | None:
    """The log with its earlier pages, as far as the server still has the runs that kept them.

    Args:
        client: of the server where the bus runs.
        key: such as an order id.

    Raises:
        RPCError: the run is open and no worker answers the query.
    """
    log = await log_of(client, key)
    return None if log is None else await with_earlier_pages(client, key, log)


async def with_earlier_pages(client: Client, key: str, log: EventLog) -> EventLog:
    """A log with the entries that have left it, as far as the server still has the runs that kept them.

    Args:
        client: of the server where the bus runs.
        key: such as an order id.
        log: its latest page.
    """
    pages = [log]
    while (run_id := pages[-1].earlier.run_id) is not None:
        page = await how_it_ended(client, key, run_id)
        if page is None:
            break
        pages.append(page.log)
    entries = {entry.known_by: entry for page in reversed(pages) for entry in page.entries}
    return EventLog(entries=list(entries.values()), earlier=pages[-1].earlier)


async def recorded_log_of(client: Client, key: str) -> EventLog | None:
    """The log as the history tells of it, so that a run at work is not disturbed; None where nothing was published.

    How deliveries stand is not told. An event may be listed twice, as the bus alone knows which are new.

    Args:
        client: of the server where the bus runs.
        key: such as an order id.
    """
    run = await recorded(client, key)
    if run is None:
        return None
    inherited = (await before(client, key, run)).log
    return EventLog(entries=[*inherited.entries, *run.entries()], earlier=inherited.earlier)


async def facts_of(client: Client, key: str) -> list[LogEntry]:
    """The entries of `recorded_log_of`; none where nothing was published."""
    log = await recorded_log_of(client, key)
    return log.entries if log else []
