"""Reads the log of a correlation key, from the run that keeps it or from the one that has closed."""

from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from events.bus import LOG, bus_id
from events.log import EventLog

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
