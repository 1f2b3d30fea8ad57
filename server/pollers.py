"""Finds out which workers are at work, so that no command waits for one that is not there."""

import asyncio
import re
import socket
from collections.abc import Iterable
from datetime import timedelta

import psutil
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

_POLL = timedelta(seconds=70)
"""A worker that lives polls again within the server's long-poll time of 60 s."""

_LOOK_EVERY_S = 0.1


async def is_polled(client: Client, task_queue: str, *, workflows: bool) -> bool:
    """Whether a live worker polls a task queue.

    The server lists a poller for minutes after its death; where its identity (`name:pid@host`) names a process of this
    machine, that process is looked at, and of another one's, when it polled last.

    Args:
        client: of the server.
        task_queue: name of the queue.
        workflows: ask for its workflow pollers instead of its activity pollers.
    """
    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW if workflows else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
        )
    )
    now = Timestamp()
    now.GetCurrentTime()
    return any(lives(poller, now) for poller in answer.pollers)


async def unpolled(client: Client, queues: Iterable[tuple[str, bool]]) -> list[str]:
    """Those of the task queues that no live worker polls; each given by name and whether it is one of workflows."""
    queues = list(queues)
    polled = await asyncio.gather(*(is_polled(client, name, workflows=workflows) for name, workflows in queues))
    return [name for (name, _), is_served in zip(queues, polled, strict=True) if not is_served]


async def wait_until_polled(client: Client, queues: Iterable[tuple[str, bool]], wait_s: float) -> list[str]:
    """Wait until all these task queues have a live worker; answers those that still have none after `wait_s`."""
    queues = list(queues)
    missing = await unpolled(client, queues)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while missing and loop.time() < deadline:
        await asyncio.sleep(_LOOK_EVERY_S)
        missing = await unpolled(client, queues)
    return missing


def lives(poller: PollerInfo, now: Timestamp) -> bool:
    """Whether a poller is that of a live worker: of one on this machine by its process, whatever the clocks say.

    Args:
        poller: as the server lists it, with the moment of its last poll by the server's clock.
        now: by our clock, which need not agree.
    """
    named = re.fullmatch(r"(?:.*:)?(\d+)@(.+)", poller.identity)
    if named is not None and named[2] == socket.gethostname():
        return psutil.pid_exists(int(named[1]))
    return now.ToDatetime() - poller.last_access_time.ToDatetime() <= _POLL
