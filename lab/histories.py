"""Counts what a run cost, from its history."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from events.bus import bus_id, succession_id
from lab.runs import runs_of

_AT_ONCE = 8


@dataclass(frozen=True)
class RunCost:
    """What one workflow cost, in one run or in several."""

    events: int
    actions: int
    """Billable Temporal Actions."""
    retries: int
    """Attempts of activities beyond the first."""
    runs: int = 1


async def costs_of(
    client: Client, workflow_ids: Iterable[str], *, started_again: Collection[str] = ()
) -> list[RunCost]:
    """The cost of each workflow, read from the history of its latest run.

    Args:
        client: of the Temporal server.
        workflow_ids: whose; in this sequence are the costs.
        started_again: those of them that may have several runs, which are counted together.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def cost(workflow_id: str, run_id: str | None) -> RunCost:
        async with gate:
            history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        return count(list(history.events))

    async def cost_of_note(run_id: str) -> RunCost | None:
        """The note that a run was followed is a workflow, too; there is none where it continued as new."""
        try:
            return await cost(succession_id(run_id), None)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def costs(workflow_id: str) -> RunCost:
        if workflow_id not in started_again:
            return await cost(workflow_id, None)
        runs = await runs_of(client, workflow_id)
        followed = runs[:-1] if workflow_id.startswith(bus_id("")) else []
        notes = await asyncio.gather(*(cost_of_note(run_id) for run_id in followed))
        found = [*await asyncio.gather(*(cost(workflow_id, run_id) for run_id in runs)), *filter(None, notes)]
        return RunCost(
            events=sum(one.events for one in found),
            actions=sum(one.actions for one in found),
            retries=sum(one.retries for one in found),
            runs=len(found),
        )

    return list(await asyncio.gather(*(costs(one) for one in workflow_ids)))


def count(events: list[HistoryEvent]) -> RunCost:
    """Count a history's events, billable Actions and retries.

    One Action each: the start (a signal-with-start is one, its first signal included), a further signal, an update, an
    activity and each retry of it, a timer, an upsert of search attributes.
    Source: https://docs.temporal.io/cloud/actions. Queries, and updates that a validator turned away, leave no
    trace in the history and are not counted.
    """
    kinds = [event.event_type for event in events]
    retries = sum(
        event.activity_task_started_event_attributes.attempt - 1
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    )
    first_signal = kinds[1:2] == [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]
    billed = (
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    )
    actions = sum(kinds.count(kind) for kind in billed) - first_signal + retries
    return RunCost(events=len(events), actions=actions, retries=retries)
