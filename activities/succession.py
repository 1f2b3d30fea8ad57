"""The bus worker's own activity: finds the log of the run just before."""

from temporalio import activity

from events.bus import TAKE_OVER, FollowedRun
from events.log import EventLog
from events.succession import take_over


@activity.defn(name=TAKE_OVER)
async def take_over_log(followed: FollowedRun) -> EventLog:
    """The log that the run which asks goes on with; no other run gets it."""
    info = activity.info()
    return await take_over(
        activity.client(),
        followed.correlation_key,
        followed.run_id,
        by_run=info.workflow_run_id or "",
        task_queue=info.task_queue,
    )
