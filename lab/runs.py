"""The workflow that runs an order in one style: its id, and the latest run under it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from events.bus import bus_id
from orders.model import Style
from runtime.errors import InputError
from runtime.search import runs_under

DIGEST = "digest"
"""Key of the memo of a saga: fingerprint of the order, by which the same one is known when it is placed again."""


_TIMER_IS_LATE = timedelta(seconds=1)
"""By so much at most, on a server that is not itself away."""


def workflow_id(style: Style, order_id: str) -> str:
    """Workflow id of an order in one style: `saga/536365`, `bus/536365`."""
    return f"saga/{order_id}" if style == "saga" else bus_id(order_id)


async def latest_run(client: Client, lab: str, style: Style, key: str) -> WorkflowExecutionDescription | None:
    """The latest run of an order, or of another correlation key, in one style; None where there is none.

    Raises:
        InputError: it is another lab's.
    """
    try:
        run = await client.get_workflow_handle(workflow_id(style, key)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    if await run.memo_value("lab", default="") != lab:
        raise InputError(
            f"order {key} was placed on this Temporal server from another data directory; "
            "give the order another id, or use a namespace of its own"
        )
    return run


def is_at_work(run: WorkflowExecutionDescription) -> bool:
    """Whether anything is under way in an open run; then it must not be queried (docs/decisions, 29).

    A run that continued as new is: the next one may have begun before the server answered. And so is one that has not
    had its first workflow task: where runs continue as new within a second, the server (1.29) lets the next one wait.
    """
    raw = run.raw_description
    went_on = run.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
    begins_at = run.execution_time or run.start_time
    waits = run.start_time < begins_at and datetime.now(UTC) < begins_at + _TIMER_IS_LATE
    is_new = run.history_length == 1
    return went_on or is_new or waits or bool(raw.pending_activities) or raw.HasField("pending_workflow_task")


async def runs_of(client: Client, workflow_id: str) -> list[str]:
    """Ids of all runs under a workflow id, oldest first. The list may lag behind, but the latest is always known.

    Raises:
        RPCError: there is no such workflow.
    """
    latest = await client.get_workflow_handle(workflow_id).describe()
    listed = client.list_workflows(runs_under(workflow_id))
    started = {run.run_id: run.start_time async for run in listed if run.id == workflow_id}
    started[latest.run_id] = latest.start_time
    return sorted(started, key=started.__getitem__)


def were_reset(originals: Mapping[str, str]) -> set[str]:
    """The runs that a person has reset, so that others go on in their place.

    Args:
        originals: each run, oldest first, and the one that it is a copy of: itself, or one that was reset, with a part
            of which its history begins.
    """
    lasting = {original: run_id for run_id, original in originals.items()}
    return originals.keys() - lasting.values()
