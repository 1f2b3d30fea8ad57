"""Runs workers inside this process."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from hosting.attempts import AttemptsTold
from hosting.composition import WORKFLOWS_OF, activities_of
from hosting.deadlines import DeadlinesKept
from hosting.failures import BoundedFailures
from hosting.hanging import Hanging
from hosting.heartbeats import Heartbeats
from hosting.threads import AbandonableThreads
from runtime.settings import Settings
from services.service import task_queue

_BUILD = WorkerDeploymentConfig(
    version=WorkerDeploymentVersion(deployment_name="orderlab", build_id=version("orderlab")),
    use_worker_versioning=False,
)
"""Names the build in the UI. Without a name, the SDK makes one up from all loaded code, which takes over a second."""

_GRACE_S = 5.0
"""How long what is under way may take to finish when a worker stops."""


@contextlib.asynccontextmanager
async def hosting(  # noqa: PLR0913 - the composition root
    client: Client,
    names: Sequence[str],
    settings: Settings,
    lab: str,
    *,
    sandbox: bool = False,
    cached: int = 1_000,
    leave: Callable[[str], None] | None = None,
) -> AsyncIterator[None]:
    """Run the workers of these names until the block ends, then let what is under way finish, for a while.

    Args:
        client: of the Temporal server to work for.
        names: services, `saga`, `bus`.
        settings: where databases and mail server are.
        lab: suffix of the task queues.
        sandbox: run workflows in the SDK's sandbox, which refuses what is not deterministic. Tests and replays do; it
            costs each workflow task milliseconds (docs/decisions), so the workers do without.
        cached: workflows kept in memory between their tasks; with 0, each task replays its workflow from the start.
        leave: called, with the reason, when too much hangs for the workers to be of use; None where there is no other
            process to take their place.
    """
    client = for_workers(client)
    runner = SandboxedWorkflowRunner() if sandbox else UnsandboxedWorkflowRunner()
    async with contextlib.AsyncExitStack() as stack:
        threads = stack.enter_context(AbandonableThreads("activity"))
        for name in names:
            workflows = WORKFLOWS_OF.get(name, [])
            activities = await asyncio.to_thread(activities_of, name, settings, lab, stack)
            hanging = Hanging()
            deadlines = DeadlinesKept(hanging, leave=leave)
            worker = Worker(
                client,
                task_queue=task_queue(name, lab),
                workflows=workflows,
                workflow_runner=runner,
                max_cached_workflows=cached,
                workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
                activity_task_poller_behavior=PollerBehaviorAutoscaling(),
                no_remote_activities=bool(workflows) and not activities,
                activities=activities,
                deployment_config=_BUILD,
                interceptors=[AttemptsTold(), Heartbeats(), deadlines],
                identity=f"{name}:{os.getpid()}@{socket.gethostname()}",
                activity_executor=threads,
                max_concurrent_activities=hanging.limits.slots,
                graceful_shutdown_timeout=timedelta(seconds=_GRACE_S),
                # A workflow whose worker was killed is given to another after this time instead of the default 10 s.
                sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            )
            await stack.enter_async_context(worker)
            stack.callback(deadlines.end_within, _GRACE_S)
        yield


def for_workers(client: Client) -> Client:
    """The same client, for workers: what fails there fits into what the server keeps of it."""
    config = client.config()
    config["plugins"] = []  # ours has given it its converter, and would do so again
    config["data_converter"] = replace(client.data_converter, failure_converter_class=BoundedFailures)
    return Client(**config)
