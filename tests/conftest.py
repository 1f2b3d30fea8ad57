"""What all tests share: a real Temporal server, a lab on it, and the rule about skipped tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from lab.effects import all_effects
from lab.placing import Placer
from lab.status import OrderStatus, end_of, status_of
from orders.loader import OrderBook, load_orders
from orders.model import Order, Style
from runtime.leave import leave
from runtime.settings import SHIPPED_ORDERS, Settings
from server.binary import find_temporal_binary
from server.connect import connect_to
from server.embedded import EmbeddedServer
from services.order_placed import WORKERS
from services.service import task_queue
from worker import activities_of, hosting

ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")


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


Fake = Callable[..., Any]
Labs = Callable[..., AbstractAsyncContextManager[Lab]]


def failing(activity_type: str, *, times: int | None = None) -> Fake:
    """An activity of this type that fails: for good, or its first `times` calls, then it is in order again."""
    calls = 0

    @activity.defn(name=activity_type)
    async def fail(_work: Any) -> None:  # noqa: ANN401 - whatever the real one takes
        nonlocal calls
        calls += 1
        if times is None or calls <= times:
            raise ApplicationError("broken for the test", non_retryable=True)

    return fail


async def until(holds: Callable[[], bool], *, within_s: float = 30) -> None:
    """Wait until something holds; looks often, and fails when it takes too long."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    settings = Settings(data=tmp_path_factory.mktemp("server"))
    async with EmbeddedServer(find_temporal_binary(print), settings) as running:
        yield running


@pytest.fixture(scope="session")
async def client(server: EmbeddedServer) -> Client:
    return await connect_to(server.address)


@pytest.fixture(scope="session")
def labs(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Labs:
    """Opens labs of their own on the shared server; `fakes` take the place of the activities of the same type."""
    opened = 0

    @contextlib.asynccontextmanager
    async def open_lab(*, fakes: Sequence[Fake] = (), absent: Sequence[str] = (), cached: int = 1_000) -> AsyncIterator[Lab]:
        nonlocal opened
        opened += 1
        lab = Lab(client, Settings(data=tmp_path_factory.mktemp("lab")), f"test-{opened}")
        faked = {type_of(fake): fake for fake in fakes}
        services = {activity_type.split(".")[0] for activity_type in faked}
        async with contextlib.AsyncExitStack() as stack:
            names = [name for name in WORKERS if name not in services and name not in absent]
            await stack.enter_async_context(
                hosting(client, names, lab.settings, lab.name, sandbox=True, cached=cached)
            )
            for service in services:
                real = activities_of(service, lab.settings, lab.name, stack)
                activities = [faked.get(type_of(one), one) for one in real]
                threads = stack.enter_context(ThreadPoolExecutor(4))
                await stack.enter_async_context(
                    Worker(
                        client,
                        task_queue=task_queue(service, lab.name),
                        activities=activities,
                        activity_executor=threads,
                    )
                )
            yield lab

    return open_lab


def type_of(function: Callable[..., Any]) -> str:
    """Activity type of an activity function."""
    definition = activity._Definition.from_callable(function)  # noqa: SLF001 - the SDK has no public way to ask
    assert definition is not None
    assert definition.name is not None
    return definition.name


@pytest.fixture(scope="session")
async def lab(labs: Labs) -> AsyncIterator[Lab]:
    """The lab that most tests share; each takes orders of its own."""
    async with labs() as shared:
        yield shared


@pytest.fixture(scope="session")
def book() -> OrderBook:
    return load_orders(SHIPPED_ORDERS)


@pytest.fixture
def fresh_orders(book: OrderBook, request: pytest.FixtureRequest) -> Callable[[int], list[Order]]:
    """Draws real orders under ids that no other test uses."""
    label = "".join(char if char.isalnum() else "-" for char in request.node.name)[-40:]

    def draw(count: int) -> list[Order]:
        return book.take(count, 1, label)

    return draw


@pytest.fixture
def order(fresh_orders: Callable[[int], list[Order]]) -> Order:
    """One real order of a known customer who is in the campaign."""
    return next(o for o in fresh_orders(20) if o.customer_id is not None and o.country == "United Kingdom")


# A skip that nobody agreed to would hide a missing tool for ever, so only the listed ones are allowed.

_skipped: dict[str, str] = {}
_exit_status = 0


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        _skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    global _exit_status  # noqa: PLW0603 - pytest's hooks have no other place
    allowed = [line for line in ALLOWED_SKIPS.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    unexpected = {test: why for test, why in _skipped.items() if not any(why.startswith(known) for known in allowed)}
    for test, why in unexpected.items():
        print(f"\nskipped for a reason that {ALLOWED_SKIPS.name} does not list: {test}: {why}")  # noqa: T201
    _exit_status = int(exitstatus) or (1 if unexpected else 0)
    session.exitstatus = _exit_status


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    # pytest has used the Temporal client, too: see runtime.leave.
    leave(_exit_status)
