"""Opens a service's database: SQLite by default, PostgreSQL by URL."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, MetaData, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from runtime.deadline import attempt_under_way, longest_wait_s
from runtime.errors import InputError, StoreUnavailableError
from stores.refusals import named

Insert = postgresql.Insert | sqlite.Insert

_FILE = "file"
"""Key of what is kept with a connection: the SQLite file, and what it was when it was opened."""

_WAIT_S = 30.0
"""How long to wait for a database where no attempt limits it, as when a worker is just being put together."""


class _Pool(QueuePool):
    """Waits for a connection no longer than the attempt that needs it may take."""

    @property
    def _timeout(self) -> float:
        # SQLAlchemy has one timeout for all who wait: this is the attribute that it reads each time.
        return longest_wait_s(_WAIT_S)

    @_timeout.setter
    def _timeout(self, usual_s: float) -> None:
        """What the pool was made with counts for nothing."""


def open_database(url: URL | str, metadata: MetaData) -> Engine:
    """Connect to a service's database and create the tables that are missing.

    What then goes wrong with it is a `StoreRefusedError` or a `StoreUnavailableError` (`stores/refusals.py`).

    Args:
        url: SQLAlchemy URL; the folder of a SQLite file is created.
        metadata: the service's tables.
    """
    target = make_url(url)
    if target.get_backend_name() != "sqlite":
        engine = create_engine(target, poolclass=_Pool)
        event.listen(engine, "handle_error", named, retval=True)
        event.listen(engine, "do_connect", _connect_until_deadline)
        event.listen(engine, "begin", _answer_until_deadline)
        with engine.begin() as db:
            # Two workers of one service may start at once; PostgreSQL would let one of them fail on `CREATE TABLE`.
            db.exec_driver_sql("SELECT pg_advisory_xact_lock(4711)")
            metadata.create_all(db)
        return engine
    if target.database:
        Path(target.database).parent.mkdir(parents=True, exist_ok=True)
    # SQLite has one writer at a time. Queueing for one connection is fair; SQLite's own waiting is by growing sleeps.
    engine = create_engine(target, pool_size=1, max_overflow=0, poolclass=_Pool)
    event.listen(engine, "handle_error", named, retval=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediately)
    with engine.begin() as db:
        metadata.create_all(db)
    return engine


def _prepare_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:  # noqa: ANN401 - the driver's connection has no common type
    connection.isolation_level = None  # transactions are begun by `_begin_immediately`, not by the driver
    for pragma in (_busy_timeout(), "journal_mode=wal", "synchronous=normal", "foreign_keys=on"):
        connection.execute(f"PRAGMA {pragma}")
    (_, _, file), *_others = connection.execute("PRAGMA database_list")
    record.info[_FILE] = (file, _identity(file)) if file else None


def _begin_immediately(db: Connection) -> None:
    """Take the write lock at once: a transaction that upgrades from reading to writing can fail without waiting."""
    db.connection.cursor().execute(f"PRAGMA {_busy_timeout()}")  # past SQLAlchemy: each of its statements takes 20 µs
    db.exec_driver_sql("BEGIN IMMEDIATE")
    _check_still_there(db)


def _check_still_there(db: Connection) -> None:
    """Make sure that the file is the one that was opened: in one that was deleted, writing goes on, and is lost.

    Raises:
        StoreUnavailableError: it was deleted, or another has taken its place, which the next attempt opens.
    """
    opened = db.connection.info[_FILE]
    if opened is None:  # in memory
        return
    file, identity = opened
    found = _identity(file)
    if found == identity:
        return
    if found is None:
        raise StoreUnavailableError(f"{file} was deleted: put it back, or restart the worker to begin a new one")
    db.invalidate()
    raise StoreUnavailableError(f"{file} was replaced by another file, which is opened at the next attempt")


def _identity(file: str) -> tuple[int, int] | None:
    """Tells a file from all others, also from a later one of the same name; None where there is none."""
    try:
        status = Path(file).stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _busy_timeout() -> str:
    return f"busy_timeout={int(longest_wait_s(_WAIT_S) * 1e3)}"


def _connect_until_deadline(_dialect: object, _record: object, _args: object, options: dict[str, Any]) -> None:
    """Before a connection to PostgreSQL is made."""
    options.setdefault("connect_timeout", max(2, int(longest_wait_s(_WAIT_S))))  # libpq knows whole seconds, from 2


def _answer_until_deadline(db: Connection) -> None:
    """Have PostgreSQL itself end a statement, or its waiting for a lock, with the attempt."""
    if attempt_under_way() is not None:
        db.exec_driver_sql(f"SET LOCAL statement_timeout = {int(longest_wait_s(_WAIT_S) * 1e3)}")


def check_database_url(url: URL | str) -> None:
    """Make sure that a database of this URL can be opened by us.

    Raises:
        InputError: it is no URL, of a database or a driver that we do not have, or of a database in memory, which ends
            with the process that writes to it.
    """
    try:
        target = make_url(url)
        dialect = target.get_dialect()
        dialect.import_dbapi()
        usable = target.get_backend_name() in {"sqlite", "postgresql"} and not dialect.is_async
        in_memory = dialect.name == "sqlite" and (not target.database or ":memory:" in target.database)
    except (ArgumentError, ImportError, ValueError):
        usable = in_memory = False
    if not usable:
        raise InputError(f"no database URL: {str(url)!r}; write postgresql+psycopg://… or sqlite:///…")
    if in_memory:
        raise InputError(f"{str(url)!r} is a database in memory, which ends with its worker; write sqlite:///FILE")


def insert_into(db: Connection, table: Table) -> Insert:
    """An insert of the connection's dialect, which knows `ON CONFLICT`."""
    return postgresql.insert(table) if db.dialect.name == "postgresql" else sqlite.insert(table)


def insert_if_new(db: Connection, table: Table, **values: object) -> bool:
    """Insert a row unless its key is taken; tells whether it was inserted.

    A row of the same key in a transaction still under way is waited for.
    """
    # Not `rowcount`: PostgreSQL's driver does not count what is inserted.
    insert = insert_into(db, table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return db.execute(insert).first() is not None
