"""Orders whose work hangs: others go on, nothing is done twice, the worker can stop, and the reason can be read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from temporalio.worker import Worker

from events.envelope import Event as BusEvent
from faults.dice import Dice
from faults.plan import ActionFaults, FaultPlan
from hosting.attempts import AttemptsTold
from hosting.composition import activities_of
from hosting.deadlines import DeadlinesKept
from hosting.hanging import Hanging, Limits
from hosting.threads import AbandonableThreads
from hosting.workers import for_workers
from lab.placing import Placed, Placer
from lab.runs import workflow_id
from lab.status import end_of, status_of
from orders.model import Order, Placement, Style
from services.service import task_queue
from services.shipping import BEGIN_FULFILMENT, ON_ORDER_PLACED
from tests.labs import Activity, Lab, Labs, in_place_of, type_of, until

BEGUN_BY: dict[Style, str] = {"saga": BEGIN_FULFILMENT.activity, "choreography": ON_ORDER_PLACED}
STYLES = pytest.mark.parametrize("style", list(BEGUN_BY))
TEN_MINUTES = FaultPlan(name="slow", services={"shipping": {"shipment.created": ActionFaults(service_time_ms=600_000)}})


@dataclass
class hanging:  # noqa: N801 - reads as what a service is
    """A service whose activity of this type hangs for some orders, whatever the deadline, and then does its work."""

    activity_type: str
    orders: frozenset[str]
    released: Event = field(default_factory=Event)
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def instead_of(self, real: Activity) -> Activity:
        """The activity to host."""

        def hang(work: Any) -> Any:  # noqa: ANN401 - whatever the real one takes and gives
            order_id = work.order_id if isinstance(work, Placement) else work.subject
            assert isinstance(work, Placement | BusEvent)
            if order_id not in self.orders:
                return real(work)
            self.begun.append(order_id)
            self.released.wait(timeout=120)
            try:
                return real(work)
            finally:
                self.ended.append(order_id)

        return in_place_of(real, hang)


async def failure_of(lab: Lab, placed: Placed) -> str | None:
    """What is told of an open order."""
    status = await status_of(lab.client, placed.style, placed.order_id)
    assert status is not None
    return status.detail


async def until_told(lab: Lab, placed: Placed, words: str) -> str:
    async with asyncio.timeout(60):
        while words not in (told := await failure_of(lab, placed) or ""):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
    return told


@STYLES
async def test_with_more_orders_that_hang_than_there_are_slots_others_complete_and_none_is_done_twice(
    labs: Labs, fresh_orders: Callable[[int], list[Order]], style: Style
) -> None:
    *stuck, other, another = fresh_orders(5)
    service = hanging(BEGUN_BY[style], frozenset(order.order_id for order in stuck))
    async with labs(fakes=[service], limits=Limits(slots=2, again=1)) as lab:
        placed = [await lab.placer.place(order, style) for order in stuck]
        await until(lambda: len(service.begun) >= 2)

        async with asyncio.timeout(60):
            for order in (other, another):
                assert (await lab.run(order, style)).state == "completed"
        assert not service.ended
        told = await until_told(lab, placed[0], "has not come back after")
        assert "test_orders_that_hang.py" in told
        service.released.set()
        async with asyncio.timeout(120):
            for one in placed:
                await end_of(lab.client, one, look_every_s=0.2)
        await until(lambda: len(service.ended) == len(service.begun))

        for order in stuck:  # those that came too late found that it was done
            assert lab.effects(order, style).count("shipment.created") == 1
            assert sorted(set(lab.effects(order, style))) == sorted(lab.effects(order, style))


@STYLES
async def test_a_service_that_would_take_ten_minutes_is_not_waited_for_and_others_are_served(
    lab: Lab, fresh_orders: Callable[[int], list[Order]], style: Style
) -> None:
    *slow, other = fresh_orders(10)
    placer = Placer(lab.client, lab.name, dice=Dice(plan=TEN_MINUTES, seed=1))
    placed = [await placer.place(order, style) for order in slow]

    assert (await lab.run(other, style)).state == "completed"
    told = await until_told(lab, placed[0], "failed 1 times")
    assert "it would take 600 s, which is longer than an attempt has" in told
    await asyncio.gather(*(terminated(lab, one) for one in placed))


async def terminated(lab: Lab, placed: Placed) -> None:
    await lab.client.get_workflow_handle(workflow_id(placed.style, placed.order_id)).terminate("the test is over")


async def test_workers_stop_though_an_attempt_never_comes_back(
    labs: Labs, fresh_orders: Callable[[int], list[Order]]
) -> None:
    (order,) = fresh_orders(1)
    service = hanging(BEGUN_BY["saga"], frozenset({order.order_id}))
    async with asyncio.timeout(60):
        async with labs(fakes=[service]) as lab:
            placed = await lab.placer.place(order, "saga")
            await until(lambda: bool(service.begun))

    assert not service.ended
    await terminated(lab, placed)
    service.released.set()


@contextlib.asynccontextmanager
async def shipping(lab: Lab, service: hanging, deadlines: DeadlinesKept) -> AsyncIterator[None]:
    """A worker of shipping with a watch of the test's own."""
    async with contextlib.AsyncExitStack() as stack:
        real = activities_of("shipping", lab.settings, lab.name, stack)
        threads = stack.enter_context(AbandonableThreads("activity"))
        worker = Worker(
            for_workers(lab.client),
            task_queue=task_queue("shipping", lab.name),
            activities=[service.instead_of(one) if type_of(one) == service.activity_type else one for one in real],
            activity_executor=threads,
            interceptors=[AttemptsTold(), deadlines],
            graceful_shutdown_timeout=timedelta(seconds=0),
        )
        await stack.enter_async_context(worker)
        stack.callback(deadlines.end_within, 0)
        yield


async def test_a_process_is_told_to_leave_when_too_much_hangs(
    labs: Labs, fresh_orders: Callable[[int], list[Order]]
) -> None:
    stuck = fresh_orders(2)
    service = hanging(BEGUN_BY["saga"], frozenset(order.order_id for order in stuck))
    reasons: list[str] = []
    async with labs(absent=["shipping"]) as lab:
        async with shipping(lab, service, DeadlinesKept(Hanging(Limits(stuck=1)), leave=reasons.append)):
            placed = [await lab.placer.place(order, "saga") for order in stuck]
            await until(lambda: bool(reasons))

        assert reasons[0] == "1 threads hang: too many for this process to be of use"
        for one in placed:
            await terminated(lab, one)
    service.released.set()


async def test_where_no_process_takes_its_place_what_hangs_beyond_the_bound_keeps_its_slot(
    labs: Labs, fresh_orders: Callable[[int], list[Order]]
) -> None:
    *stuck, other = fresh_orders(3)
    service = hanging(BEGUN_BY["saga"], frozenset(order.order_id for order in stuck))
    async with labs(fakes=[service], limits=Limits(slots=2, stuck=0)) as lab:
        placed = [await lab.placer.place(order, "saga") for order in stuck]
        await until(lambda: len(service.begun) == 2)
        waiting = await lab.placer.place(other, "saga")
        await until_told(lab, placed[0], "failed 1 times")  # by the server, which waits for nobody

        assert "begin_fulfilment waits for a worker" in (await failure_of(lab, waiting) or "")
        service.released.set()
        async with asyncio.timeout(60):
            await end_of(lab.client, waiting, look_every_s=0.2)
        for one in placed:
            await terminated(lab, one)


async def test_a_reason_that_is_longer_than_the_server_keeps_is_told_all_the_same(
    labs: Labs, fresh_orders: Callable[[int], list[Order]]
) -> None:
    (order,) = fresh_orders(1)
    async with labs(fakes=[complaining(BEGUN_BY["saga"])]) as lab:
        placed = await lab.placer.place(order, "saga")

        told = await until_told(lab, placed, "failed")

        assert "the warehouse says: no no no" in told
        assert "exceeds size limit" not in told
        await terminated(lab, placed)


@dataclass
class complaining:  # noqa: N801 - reads as what a service is
    """A service whose activity of this type fails for now, and says at length why."""

    activity_type: str

    def instead_of(self, real: Activity) -> Activity:
        """The activity to host."""

        def complain(work: Any) -> Any:  # noqa: ANN401, ARG001 - whatever the real one takes and gives
            raise OSError("the warehouse says: " + "no " * 20_000)

        return in_place_of(real, complain)
