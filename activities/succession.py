"""The bus worker's own activity: finds the log of the run just before."""

from temporalio import activity

from events.bus import TAKE_OVER, FollowedRun, TakenOver
from events.succession import take_over


@activity.defn(name=TAKE_OVER)
async def take_over_log(followed: FollowedRun) -> TakenOver:
    """How the run before ended that asks for it; no other run gets that.

    There may be hundreds of runs on the way: an attempt goes on where the last one ended.
    """
    info = activity.info()
    return await take_over(
        activity.client(),
        followed.correlation_key,
        str(info.heartbeat_details[0]) if info.heartbeat_details else followed.run_id,
        by_run=info.workflow_run_id or "",
        task_queue=info.task_queue,
        at=activity.heartbeat,
    )
