"""What all tests share: a real Temporal server, a lab on it, and the rule about skipped tests."""

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import settings
from temporalio.client import Client

from orders.loader import OrderBook, load_orders
from orders.model import Order
from runtime.leave import leave
from runtime.settings import SHIPPED_ORDERS, Settings
from server.binary import find_temporal_binary
from server.connect import connect_to
from server.embedded import EmbeddedServer
from tests.labs import Lab, Labs, open_lab

settings.register_profile("long")  # for what draws more examples then; chosen by `--hypothesis-profile=long`

ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")


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
    """Opens labs of their own on the shared server; takes what `open_lab` does."""
    return lambda **options: open_lab(client, tmp_path_factory.mktemp("lab"), **options)


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
    label = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]

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
