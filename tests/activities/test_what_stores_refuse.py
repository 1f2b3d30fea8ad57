"""What a database can't take, on both databases: refused for good with its reason, and told from what may yet pass."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
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

from runtime.attempts import AttemptPolicy
from runtime.deadline import Attempt, during
from runtime.errors import StoreRefusedError, StoreUnavailableError
from stores.database import open_database

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
