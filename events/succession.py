"""Which run of a bus followed which: what makes sure that no event is lost between two runs.

A run closes when nothing is left to do, and a later event opens the next one, which goes on with the log. Whoever
publishes can't hand that log over: between their look at the closed run and their call, other runs may have opened and
closed, with events in their logs. Temporal starts a run "if none is open", but not "if the latest is this one", and its
list of runs lags behind.

So the new run looks for itself, while it is open: no other run of its correlation key can open or close then. It starts
at the run that its publisher knew, and goes from each run to the one that followed. That is written down by the run
that follows, before it does anything: it starts a workflow whose id names the run before (`succession_id`), which
Temporal allows once. Where that was done before, the memo of that workflow says by whom.

A run that was broken off has no result. Then the log, and what has still to be delivered, is what its history tells.
"""

from collections.abc import Awaitable, Callable, Iterable

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHistoryEventFilterType,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from events.bus import SUCCESSION, TakenOver, bus_id, succession_id
from events.elsewhere import Waits, by_fingerprint
from events.log import EventLog
from events.recorded import RecordedRun, recorded
from events.subscriptions import RoutedEvent
from runtime.errors import OrderlabError

BROKEN_OFF = frozenset(
    {WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.TIMED_OUT}
)
"""How a run can close without a result."""

_SUCCESSOR = "successor"
"""Key of the memo: id of the run that followed."""


async def take_over(  # noqa: PLR0913 - where it is, and who asks
    client: Client, key: str, follows: str, *, by_run: str, task_queue: str, at: Callable[[str], None]
) -> TakenOver:
    """How the run just before ended, written down as taken over by the next; the same whenever it is asked for again.

    Args:
        client: of the server where the bus runs.
        key: the correlation key.
        follows: a run that had closed before.
        by_run: the run that goes on. It must be open.
        task_queue: of the bus's workers.
        at: is told each further run on the way; to go on there is as good as to begin again.

    Raises:
        OrderlabError: another run is open, so this one can't be.
    """

    async def claim(run_id: str) -> str:
        if run_id != follows:  # to tell it is an Action
            at(run_id)
        try:
            await client.start_workflow(
                SUCCESSION,
                id=succession_id(run_id),
                task_queue=task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                memo={_SUCCESSOR: by_run},
                static_summary=f"run {run_id} of bus/{key} was followed by {by_run}",
            )
        except WorkflowAlreadyStartedError:
            return await _successor(client, run_id) or by_run
        return by_run

    before = await _last_before(client, key, follows, by_run=by_run, successor_of=claim)
    ended = await how_it_ended(client, key, before)
    if ended is None:
        return TakenOver(gone=True)
    return ended.handed_on(before)


async def before(client: Client, key: str, run: RecordedRun) -> TakenOver:
    """What a run went on from, or is about to, if it has not taken that over yet.

    Args:
        client: of the server where the bus runs.
        key: the correlation key.
        run: of the bus.
    """
    if run.taken_over is not None and not run.taken_over.gone:
        return await _whole(client, key, run, run.taken_over)
    if run.start.follows is None or run.taken_over is not None:
        return await _whole(client, key, run, TakenOver(log=run.start.log, elsewhere=run.start.elsewhere))
    last = await _followed_by(client, key, run, run.start.follows)
    return await how_it_ended(client, key, last) or TakenOver(log=run.start.log)


async def how_it_ended(client: Client, key: str, run_id: str) -> TakenOver | None:
    """The log of a closed run, and what was left to be delivered if it was broken off; None where it is gone.

    Args:
        client: of the server where the bus runs.
        key: the correlation key.
        run_id: of the run.
    """
    run = client.get_workflow_handle(bus_id(key), run_id=run_id, result_type=EventLog)
    try:
        log: EventLog = await run.result(follow_runs=False)
    except WorkflowFailureError:
        broken_off = await recorded(client, key, run_id)
        return None if broken_off is None else broken_off.went_on_from(await before(client, key, broken_off))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return TakenOver(log=log)


async def left_in(client: Client, key: str, run_id: str, wanted: Iterable[str]) -> dict[str, RoutedEvent]:
    """Events that a run, or those before it, have in their histories.

    Args:
        client: of the server where the bus runs.
        key: the correlation key.
        run_id: the run that was named as the one that has them.
        wanted: the events' fingerprints.

    Raises:
        OrderlabError: one of them can't be found, as the server has deleted a run.
    """
    found: dict[str, RoutedEvent] = {}
    missing, at = set(wanted), run_id
    while missing:
        run = await recorded(client, key, at)
        if run is None:
            raise OrderlabError(f"run {at} of {bus_id(key)} was deleted, in which {len(missing)} events are that wait")
        held = by_fingerprint(run.holds())
        found |= {one: held[one] for one in missing & held.keys()}
        missing -= held.keys()
        if missing:
            at = await _left_to(client, key, run)
    return found


async def _left_to(client: Client, key: str, run: RecordedRun) -> str:
    """The run before, which has what a run should have taken over and had not when it was broken off."""
    if run.elsewhere is not None:
        return run.elsewhere.run_id
    if run.start.follows is not None and run.taken_over is None:
        return await _followed_by(client, key, run, run.start.follows)
    raise OrderlabError(f"run {run.run_id} of {bus_id(key)} has not all of the events that it was left with")


async def _followed_by(client: Client, key: str, run: RecordedRun, follows: str) -> str:
    """The last run before one that may not have found that out itself."""
    return await _last_before(
        client, key, follows, by_run=run.run_id, successor_of=lambda run_id: _successor(client, run_id)
    )


async def _whole(client: Client, key: str, run: RecordedRun, began: TakenOver) -> TakenOver:
    """What a run went on from, with what earlier runs had left for it."""
    elsewhere = began.elsewhere
    if elsewhere is None:
        return began
    events = await left_in(client, key, run.run_id, [waiting.f for waiting in elsewhere.waiting])
    log = elsewhere.put_back(began.log, events)
    waiting = [
        routed
        for how in ((Waits.WAITING, Waits.PARKED), (Waits.REDRIVEN,))
        for one in elsewhere.waiting
        if (routed := elsewhere.recipients(one, events[one.f], *how)) is not None
    ]
    return TakenOver(log=log, pending=[*began.pending, *waiting])


async def _last_before(
    client: Client, key: str, follows: str, *, by_run: str, successor_of: Callable[[str], Awaitable[str | None]]
) -> str:
    """The last closed run before `by_run`.

    Args:
        client: of the server where the bus runs.
        key: the correlation key.
        follows: where to begin.
        by_run: the run that is open, or that was broken off.
        successor_of: answers who followed a run; may write that down.
    """
    run_id = follows
    while True:
        run = await _described(client, key, run_id)
        if run is not None and run.status is WorkflowExecutionStatus.RUNNING:
            raise OrderlabError(f"run {run_id} of {run.id} is open, so {by_run} can't be")
        became = None if run is None else await _became(client, run, by_run)
        following = await (_successor(client, run_id) if became else successor_of(run_id)) or became
        if following in {None, by_run}:
            return run_id
        run_id = str(following)


async def _described(client: Client, key: str, run_id: str) -> WorkflowExecutionDescription | None:
    try:
        return await client.get_workflow_handle(bus_id(key), run_id=run_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def _successor(client: Client, run_id: str) -> str | None:
    """The run that followed; None where none has yet."""
    try:
        note = await client.get_workflow_handle(succession_id(run_id)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    successor: str = await note.memo_value(_SUCCESSOR)
    return successor


async def _became(client: Client, run: WorkflowExecutionDescription, by_run: str) -> str | None:
    """The run as which this one continued as new, or was reset by a person; None where that is `by_run`, or none."""
    became: str | None = run.raw_description.workflow_extended_info.reset_run_id
    if run.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        history = await handle.fetch_history(event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT)
        closing = history.events[-1]
        became = closing.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return became if became and became != by_run else None
