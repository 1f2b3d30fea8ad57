"""The bus worker's own activities: they find the log of the run just before, and what earlier runs have left."""

import asyncio
from itertools import takewhile

from pydantic_core import to_json
from temporalio import activity

from events.bus import COLLECT, LARGEST_HANDED_ON_BYTES, TAKE_OVER, Collected, FollowedRun, TakenOver, Wanted
from events.succession import left_in, take_over

_ALIVE_EVERY_S = 2
"""Each heartbeat is an Action; mostly it is done before the first."""


@activity.defn(name=TAKE_OVER)
async def take_over_log(followed: FollowedRun) -> TakenOver:
    """How the run before ended that asks for it; no other run gets that.

    There may be hundreds of runs on the way: an attempt goes on where the last one ended.
    """
    info = activity.info()
    reached = [str(info.heartbeat_details[0]) if info.heartbeat_details else followed.run_id]

    def at(run_id: str) -> None:
        reached.append(run_id)
        activity.heartbeat(run_id)

    async def be_heard() -> None:
        while True:
            await asyncio.sleep(_ALIVE_EVERY_S)
            activity.heartbeat(reached[-1])

    heard = asyncio.create_task(be_heard())
    try:
        return await take_over(
            activity.client(),
            followed.correlation_key,
            reached[-1],
            by_run=info.workflow_run_id or "",
            task_queue=info.task_queue,
            at=at,
        )
    finally:
        heard.cancel()


@activity.defn(name=COLLECT)
async def collect(wanted: Wanted) -> Collected:
    """The first of the events that are wanted, as many as fit into an answer; one always does."""
    found = await left_in(activity.client(), wanted.correlation_key, wanted.run_id, wanted.fingerprints)
    events = [found[one] for one in wanted.fingerprints]
    room = LARGEST_HANDED_ON_BYTES

    def fits(position: int) -> bool:
        nonlocal room
        room -= len(to_json(events[position]))
        return room >= 0 or position == 0

    return Collected(events=[events[position] for position in takewhile(fits, range(len(events)))])
