"""What a database can't take, on both databases: refused for good with its reason, and told from what may yet pass."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    text,
)

from activities.analytics import AnalyticsActivities
from activities.invoicing import InvoicingActivities
from activities.mailer import Mailer
from activities.marketing import MarketingActivities
from activities.reacting import Reporter
from activities.shipping import ShippingActivities
from events.edge import cancel_requested
from orders.cancelling import CancelRequest
from orders.loader import why_unfit
from orders.model import Order, Placement
from runtime.attempts import AttemptPolicy
from runtime.deadline import Attempt, during
from runtime.errors import StoreRefusedError, StoreUnavailableError
from server.mail import MailServer
from services.order_placed import registry
from services.service import Cancellation
from stores import analytics, invoicing, marketing, shipping
from stores.database import open_database
from stores.ledger import Ledger
from tests.activities.conftest import Seen, cancelled, placed

METADATA = MetaData()
PARCELS = Table(
    "parcels",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("note", String(10), nullable=False),
    Column("grams", BigInteger, CheckConstraint("grams >= 0")),
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_database(database_url, METADATA)
    yield opened
    opened.dispose()


def attempt(number: int, left_s: float = 60) -> Attempt:
    return Attempt(number, time.monotonic() + left_s)


def insert(engine: Engine, **values: object) -> None:
    with engine.begin() as db:
        db.execute(PARCELS.insert().values(**({"number": 1, "note": "fragile", "grams": 7} | values)))


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as db:
        db.execute(text(statement))


REFUSED: dict[str, Callable[[Engine], None]] = {
    "a number beyond 64 bits": lambda engine: insert(engine, grams=2**63),
    "a text with half a character": lambda engine: insert(engine, note="\ud800"),
    "no text where one has to be": lambda engine: insert(engine, note=None),
    "a number that a rule forbids": lambda engine: insert(engine, grams=-1),
    "a value of no kind that the driver knows": lambda engine: insert(engine, note=object()),
    "a column that is not there": lambda engine: execute(engine, "SELECT colour FROM parcels"),
    "no statement": lambda engine: execute(engine, "SELEKT"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_attempt_can_cure_is_refused_at_the_first(engine: Engine, what: str) -> None:
    with during(attempt(1)), pytest.raises(StoreRefusedError):
        REFUSED[what](engine)


@pytest.mark.parametrize("values", [{"note": "x" * 11}, {"note": "a\0b"}, {"number": 2**31}])
def test_what_postgresql_alone_refuses_is_refused_for_good_there(postgres: str, values: dict[str, object]) -> None:
    engine = open_database(postgres, METADATA)
    with pytest.raises(StoreRefusedError):
        insert(engine, **values)
    engine.dispose()


def test_both_kinds_are_known_to_every_service_and_one_is_never_tried_again() -> None:
    never_again = AttemptPolicy(window_s=1).non_retryable

    assert StoreRefusedError.__name__ in never_again
    assert StoreUnavailableError.__name__ not in never_again


def test_a_row_that_is_there_already_may_be_a_race_until_the_third_attempt(engine: Engine) -> None:
    insert(engine)

    for number in (1, 2):
        with during(attempt(number)), pytest.raises(StoreUnavailableError):
            insert(engine)
    with during(attempt(3)), pytest.raises(StoreRefusedError):
        insert(engine)


def test_a_table_that_is_not_there_is_waited_for(engine: Engine) -> None:
    execute(engine, "DROP TABLE parcels")

    with during(attempt(9)), pytest.raises(StoreUnavailableError, match="parcels"):
        insert(engine)


def test_neither_what_was_given_nor_the_statement_is_told(engine: Engine) -> None:
    for values in ({"grams": -1}, {"note": None}, {"grams": 2**63}):
        with pytest.raises(StoreRefusedError) as refused:
            insert(engine, **({"number": 4711} | values))

        assert "INSERT" not in str(refused.value)
        assert "4711" not in str(refused.value)


def test_after_a_refusal_the_database_is_as_good_as_before(engine: Engine) -> None:
    for _ in range(20):
        with pytest.raises(StoreRefusedError):
            insert(engine, note=None)

    insert(engine)


def test_who_waits_for_the_one_connection_waits_no_longer_than_the_attempt(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'one.db'}", METADATA)
    with engine.begin(), during(attempt(1, left_s=0.05)), pytest.raises(Exception, match="QueuePool limit") as late:
        insert(engine)
    engine.dispose()

    assert type(late.value).__name__ not in AttemptPolicy(window_s=1).non_retryable


def test_who_waits_for_another_process_that_writes_waits_no_longer_than_the_attempt(engine: Engine) -> None:
    begun, over = threading.Event(), threading.Event()
    other = create_engine(engine.url)

    def hold() -> None:
        with other.connect() as db, db.begin():
            if engine.dialect.name == "sqlite":
                db.exec_driver_sql("BEGIN IMMEDIATE")
            db.exec_driver_sql("INSERT INTO parcels VALUES (1, 'held', 1)")
            begun.set()
            over.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait(30)
    with during(attempt(1, left_s=0.3)), pytest.raises(StoreUnavailableError):
        insert(engine)
    assert holder.is_alive()
    over.set()
    holder.join()
    other.dispose()
    insert(engine, number=2)


def test_a_database_that_is_not_to_be_had_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    engine = open_database(f"sqlite:///{folder / 'service.db'}", METADATA)
    engine.dispose()
    (folder / "service.db").unlink()
    for rest in folder.glob("*"):
        rest.unlink()
    folder.rmdir()

    with pytest.raises(StoreUnavailableError, match="unable to open"):
        insert(engine)


def test_postgresql_that_ends_the_connection_is_tried_again(postgres: str) -> None:
    engine = open_database(postgres, METADATA)
    admin = create_engine(postgres, isolation_level="AUTOCOMMIT")

    def end_its_own_connection() -> None:
        with engine.begin() as db, admin.connect() as other:
            pid = db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            db.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreUnavailableError):
        end_its_own_connection()
    with engine.begin() as db:
        assert db.exec_driver_sql("SELECT 1").scalar_one() == 1
    engine.dispose()
    admin.dispose()


def largest_order(placed_at: str, country: str) -> Order:
    """An order in which everything is as large as it may be."""
    price = "1000000.00"
    lines = [
        {"stock_code": f"{number:040d}", "description": "\U0001f381" * 200, "quantity": 1_000_000, "unit_price": price}
        for number in range(10)
    ]
    order = Order.model_validate_json(
        json.dumps(
            {
                "order_id": "o" * 80,
                "customer_id": "c" * 64,
                "country": country,
                "placed_at": placed_at,
                "lines": lines,
            }
        )
    )
    assert why_unfit(order) is None
    return order


@pytest.mark.parametrize("placed_at", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
def test_an_order_as_large_as_any_that_is_taken_is_kept_and_undone_by_every_service(
    database_url: str, mail_server: MailServer, placed_at: str
) -> None:
    order = largest_order(placed_at, "\U0001f30d" * 200)
    wanted, undone = (
        Placement(style="choreography", order=order),
        Cancellation(style="choreography", order_id=order.order_id, reason="r" * 500, content=order.fingerprint),
    )
    with contextlib.ExitStack() as stack:

        def ledger(metadata: MetaData) -> Ledger:
            opened = Ledger(database_url, metadata)
            stack.callback(opened.engine.dispose)
            return opened

        reporter = Reporter("any", registry(""))
        ship = ShippingActivities(ledger(shipping.METADATA), reporter)
        invoice = InvoicingActivities(ledger(invoicing.METADATA), reporter)
        count = AnalyticsActivities(ledger(analytics.METADATA), reporter)
        books = ledger(marketing.METADATA)
        marketing.enrol(books.engine, ["c" * 64])
        longest = Mailer(mail_server.url, sender="shop@orderlab.example", customer_domain="d" * 63 + "." + "e" * 71)
        market = MarketingActivities(books, reporter, longest)

        assert ship.begin_fulfilment(wanted).country == order.country
        assert invoice.issue_invoice(wanted).total_pence == 10**15
        assert count.record_sale(wanted).total_pence == 10**15
        assert market.thank_customer(wanted).confirmation is not None
        decided = ship.decide_cancellation(
            CancelRequest(style="choreography", order_id=order.order_id, reason="\U0001f4a1" * 600).as_kept()
        )
        assert decided.reason == "\U0001f4a1" * 500
        assert ship.cancel_shipment(undone) is not None
        assert invoice.issue_credit_note(undone) is not None
        assert count.reverse_sale(undone) is not None
        assert market.tell_customer(undone).cancellation is not None


def test_an_order_that_costs_more_than_the_figures_have_room_for_is_not_taken() -> None:
    order = largest_order("2026-11-24T12:00:00", "Utopia")
    one_more = order.model_copy(update={"lines": (*order.lines, order.lines[0])})

    assert "10,000,000,000,000" in (why_unfit(one_more) or "")


@pytest.mark.parametrize(("reason", "kept"), [("a\0b", "a\ufffdb"), ("x" * 501, "x" * 500), ("as it is", "as it is")])
def test_of_a_reason_as_much_is_kept_as_every_database_can(ship: ShippingActivities, reason: str, kept: str) -> None:
    request = CancelRequest(style="saga", order_id="any-order", reason=reason)

    assert ship.decide_cancellation(request.as_kept()).reason == kept


@pytest.mark.parametrize("reason", ["a\0b", "x" * 501])
def test_a_reason_that_comes_past_the_edge_is_refused_for_good_by_postgresql(postgres: str, reason: str) -> None:
    books = Ledger(postgres, shipping.METADATA)
    ship = ShippingActivities(books, Reporter("shipping", registry("")))
    event = cancel_requested("past-the-edge")
    told = event.model_copy(update={"data": {"order_id": "past-the-edge", "reason": reason}})

    with pytest.raises((StoreRefusedError, ValidationError)) as refused:
        ship.on_cancel_requested(told)
    books.engine.dispose()

    assert type(refused.value).__name__ in AttemptPolicy(window_s=1).non_retryable


def test_a_paper_that_somebody_has_put_there_by_hand_fails_the_third_attempt_for_good(
    invoice: InvoicingActivities, seen: Seen, order: Order
) -> None:
    seen.run(f"INSERT INTO invoices VALUES ('X-1', 'saga', '{order.order_id}', NULL, 1)")  # noqa: S608 - an id of ours

    for number in (1, 2):
        with during(attempt(number)), pytest.raises(StoreUnavailableError):
            invoice.issue_invoice(placed(order))
    with during(attempt(3)), pytest.raises(StoreRefusedError):
        invoice.issue_invoice(placed(order))


def test_a_row_that_somebody_has_deleted_is_not_asked_for_again(
    count: AnalyticsActivities, seen: Seen, order: Order
) -> None:
    count.record_sale(placed(order))
    seen.run("DELETE FROM sales")

    with pytest.raises(Exception, match="No row was found") as missing:
        count.reverse_sale(cancelled(order))

    assert type(missing.value).__name__ in AttemptPolicy(window_s=1).non_retryable
