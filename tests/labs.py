"""Labs of their own on one Temporal server, with real services in them, some of which may fail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, get_type_hints

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from hosting.attempts import AttemptsTold
from hosting.composition import activities_of
from hosting.deadlines import DeadlinesKept
from hosting.hanging import Hanging, Limits
from hosting.heartbeats import Heartbeats
from hosting.threads import AbandonableThreads
from hosting.workers import for_workers, hosting
from lab.effects import all_effects
from lab.parity import UNDONE_BY
from lab.placing import Placed, Placer
from lab.repair.finding import Finding, Repair, Todo
from lab.repair.repairing import Repairer
from lab.runs import runs_of, workflow_id
from lab.status import OrderStatus, end_of, status_of
from orders.loader import OrderBook, campaign_audience
from orders.model import Order, Style
from runtime.settings import Settings
from services.order_placed import WORKERS
from services.service import task_queue


@dataclass(frozen=True)
class Lab:
    """A lab of its own on the shared server: own task queues, own databases, own mails."""

    client: Client
    settings: Settings
    name: str

    @property
    def placer(self) -> Placer:
        return Placer(self.client, self.name)

    def effects(self, order: Order, style: Style) -> list[str]:
        """Names of what was done for an order, in the sequence in which it was."""
        return [r.effect for r in all_effects(self.settings, order.order_id) if r.style == style]

    async def run(self, order: Order, style: Style) -> OrderStatus:
        """Place an order and wait until it has ended."""
        placed = await self.placer.place(order, style)
        await end_of(self.client, placed, look_every_s=0.2)
        status = await status_of(self.client, style, order.order_id)
        assert status is not None
        return status


Labs = Callable[..., AbstractAsyncContextManager[Lab]]
Activity = Callable[..., Any]


def in_place_of(real: Activity, do: Activity) -> Activity:
    """The activity `do` under the name and with the types of a real one."""
    taken, *_, given = get_type_hints(real).values()
    do.__annotations__ = {"work": taken, "return": given}
    return activity.defn(name=type_of(real))(do)


@dataclass
class failing:  # noqa: N801 - reads as what a service is
    """A service whose activity of this type fails for good: always, or its first `times` calls, then it is in order."""

    activity_type: str
    times: int | None = None
    _calls: int = 0

    def instead_of(self, real: Activity) -> Activity:
        """The activity to host."""

        def fail(work: Any) -> Any:  # noqa: ANN401 - whatever the real one takes and gives
            self._calls += 1
            if self.times is None or self._calls <= self.times:
                raise ApplicationError("broken for the test", non_retryable=True)
            return real(work)

        return in_place_of(real, fail)


@dataclass
class holding:  # noqa: N801 - reads as what a service is
    """A service whose activity of this type, once it has begun, waits until it is released, and then does its work.

    It fails the first `failing_first` times, at once.
    """

    activity_type: str
    failing_first: int = 0
    begun: Event = field(default_factory=Event)
    released: Event = field(default_factory=Event)

    def instead_of(self, real: Activity) -> Activity:
        """The activity to host."""

        def hold(work: Any) -> Any:  # noqa: ANN401 - whatever the real one takes and gives
            if self.failing_first:
                self.failing_first -= 1
                raise ApplicationError("broken for the test", non_retryable=True)
            self.begun.set()
            self.released.wait(timeout=30)
            return real(work)

        return in_place_of(real, hold)


async def until(holds: Callable[[], bool], *, within_s: float = 30) -> None:
    """Wait until something holds; looks often, and fails when it takes too long."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - databases and files send no events
            await asyncio.sleep(0.02)


async def until_listed(client: Client, workflow_id: str, *, within_s: float = 30) -> None:
    """Wait until the list of workflows tells of the latest run what is true of it: it follows a moment later."""
    async with asyncio.timeout(within_s):
        while True:
            run = await client.get_workflow_handle(workflow_id).describe()
            query = f"WorkflowId = '{workflow_id}'"
            if (run.run_id, run.status) in {(one.run_id, one.status) async for one in client.list_workflows(query)}:
                return
            await asyncio.sleep(0.02)


async def forget(client: Client, order: Order, style: Style) -> None:
    """Have the server delete all that it knows of an order, as at the end of its retention."""
    name = workflow_id(style, order.order_id)
    for run_id in await runs_of(client, name):
        execution = WorkflowExecution(workflow_id=name, run_id=run_id)
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution), retry=True
        )

    async with asyncio.timeout(120):  # it takes seconds: deletions wait for the server's other queues
        while not await _is_gone(client, name):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)


async def _is_gone(client: Client, name: str) -> bool:
    try:
        await client.get_workflow_handle(name).describe()
    except RPCError as error:
        listed = [run.id async for run in client.list_workflows(f"WorkflowId = '{name}'")]
        return error.status is RPCStatusCode.NOT_FOUND and not listed
    return False


async def ended(lab: Lab, order: Order, style: Style) -> OrderStatus:
    """Wait until an order has ended; answers how it stands."""
    await asyncio.wait_for(end_of(lab.client, Placed(style, order.order_id, known=True), look_every_s=0.1), 30)
    status = await status_of(lab.client, style, order.order_id)
    assert status is not None
    return status


def left_of(lab: Lab, order: Order, style: Style) -> set[str]:
    """Effects that were not undone; and no effect happened twice."""
    done = lab.effects(order, style)
    assert len(done) == len(set(done))
    return {effect for effect in done if effect in UNDONE_BY and UNDONE_BY[effect] not in done}


async def repaired(lab: Lab, order: Order, style: Style) -> tuple[list[Finding], Repair]:
    """Repair an order as the command does; answers what was found on the way, and how it stands then."""
    told: list[Finding] = []

    async def wait(_: Todo) -> None:
        await ended(lab, order, style)

    repairer = Repairer(lab.client, lab.name, lab.settings)
    found = await repairer.repair(order.order_id, style, ended=wait, tell=lambda repair: told.append(repair.finding))
    assert found is not None
    return told, found


def due_of(order: Order, book: OrderBook) -> set[str]:
    """What is done for an order that is kept."""
    due = set(UNDONE_BY)
    if order.is_guest:
        due.discard("confirmation.sent")
    if order.customer_id not in campaign_audience(book.orders):
        due.discard("campaign.left")
    return due


def namesake(order: Order) -> Order:
    """Another order under the same id."""
    more = order.lines[0].model_copy(update={"quantity": order.lines[0].quantity + 93})
    return order.model_copy(update={"lines": (more, *order.lines[1:])})


@contextlib.asynccontextmanager
async def open_lab(  # noqa: PLR0913 - what tests may want of a lab
    client: Client,
    data: Path,
    *,
    fakes: Sequence[failing | holding] = (),
    absent: Sequence[str] = (),
    cached: int = 1_000,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    smtp_url: str | None = None,
) -> AsyncIterator[Lab]:
    """Open a lab with real services, workflows in the sandbox.

    Args:
        client: of the server.
        data: its directory; the directory's name is the lab's.
        fakes: take the place of the activities of the same type.
        absent: workers that are not started.
        cached: workflows kept in memory.
        limits: how much may hang in the services with fakes.
        smtp_url: of another mail server than the embedded one.
    """
    lab = Lab(client, Settings(data=data, smtp_url=smtp_url), data.name)
    faked = {fake.activity_type: fake for fake in fakes}
    services = {activity_type.split(".")[0] for activity_type in faked}
    async with contextlib.AsyncExitStack() as stack:
        names = [name for name in WORKERS if name not in services and name not in absent]
        await stack.enter_async_context(hosting(client, names, lab.settings, lab.name, sandbox=True, cached=cached))
        for service in services:
            real = activities_of(service, lab.settings, lab.name, stack)
            activities = [faked[type_of(one)].instead_of(one) if type_of(one) in faked else one for one in real]
            deadlines = DeadlinesKept(Hanging(limits))
            worker = Worker(
                for_workers(client),
                task_queue=task_queue(service, lab.name),
                activities=activities,
                activity_executor=stack.enter_context(AbandonableThreads("activity")),
                max_concurrent_activities=limits.slots,
                interceptors=[AttemptsTold(), Heartbeats(), deadlines],
            )
            await stack.enter_async_context(worker)
            stack.callback(deadlines.end_within, 0)
        yield lab


def type_of(function: Activity) -> str:
    """Activity type of an activity function."""
    definition = activity._Definition.from_callable(function)  # noqa: SLF001 - the SDK has no public way to ask
    assert definition is not None
    assert definition.name is not None
    return definition.name
