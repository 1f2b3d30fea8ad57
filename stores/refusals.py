"""What goes wrong in a service's database, as an error of ours: whether another attempt can cure it, and why.

SQLAlchemy's own errors quote the statement with its parameters, which are the customer's data; ours tell what the
driver says.
"""

import sqlite3

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import StatementError

from runtime.deadline import attempt_under_way
from runtime.errors import StoreRefusedError, StoreUnavailableError

_REFUSING_CLASSES = frozenset({"0A", "21", "22", "23", "2F", "38", "39", "42", "44", "54"})
"""The classes of SQLSTATE that are about what was asked for, and not about how the database is at the moment."""

_NO_TABLE = "42P01"

_MAY_BE_A_RACE = frozenset({"23001", "23503", "23505", "23P01"})
"""A row that another transaction was just writing, or had not written yet, is there or gone a moment later."""

_SQLITE_MAY_BE_A_RACE = frozenset(
    {"SQLITE_CONSTRAINT_FOREIGNKEY", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"}
)

_SQLITE_REFUSING = frozenset({"SQLITE_CONSTRAINT", "SQLITE_ERROR", "SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_TOOBIG"})
"""Primary result codes; SQLITE_ERROR is a statement that does not fit the tables, as where a column is missing."""

_LAST_ATTEMPT_OF_A_RACE = 2


def named(context: ExceptionContext) -> Exception | None:
    """The error to raise in place of the one that occurred; None where it has nothing to do with the database.

    A database that lacks a whole table has been taken away, emptied or not restored yet: it is waited for. One that
    lacks a column was made for another version.

    Args:
        context: what SQLAlchemy tells of it.
    """
    error = context.original_exception
    if isinstance(error, StatementError) and error.orig is not None:
        error = error.orig
    driver = context.dialect.loaded_dbapi
    if isinstance(error, driver.Error):
        refused = _is_refused_by_sqlite(error) if isinstance(error, sqlite3.Error) else _is_refused(error, driver)
        return StoreRefusedError(driver_message(error)) if refused else StoreUnavailableError(driver_message(error))
    if isinstance(error, (ValueError, TypeError, ArithmeticError)):  # what the driver can't write, a huge number say
        return StoreRefusedError(driver_message(error))
    return None


def driver_message(error: BaseException) -> str:
    """What a database's driver says went wrong: without the statement, and without the rows that PostgreSQL quotes."""
    if isinstance(error, StatementError):
        error = error.orig or error
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    told = said or (error.args[0] if isinstance(error, StatementError) and error.args else str(error))
    return str(told) if isinstance(error, sqlite3.Error) or said else f"{type(error).__name__}: {told}"


def _is_refused(error: Exception, driver: object) -> bool:
    """Of PostgreSQL, by SQLSTATE; an error without one was found by the driver itself."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        names = ("DataError", "NotSupportedError", "ProgrammingError")
        return isinstance(error, tuple(getattr(driver, name) for name in names))
    if state in _MAY_BE_A_RACE:
        return _is_no_race()
    return state[:2] in _REFUSING_CLASSES and state != _NO_TABLE


def _is_refused_by_sqlite(error: sqlite3.Error) -> bool:
    name = getattr(error, "sqlite_errorname", None)
    if name is None:  # found by Python: a value that it can't bind, or a connection that was closed meanwhile
        return isinstance(error, sqlite3.InterfaceError | sqlite3.ProgrammingError) and "closed" not in str(error)
    if name in _SQLITE_MAY_BE_A_RACE:
        return _is_no_race()
    primary = "_".join(name.split("_")[:2])
    return primary in _SQLITE_REFUSING and not str(error).startswith("no such table")


def _is_no_race() -> bool:
    attempt = attempt_under_way()
    return attempt is not None and attempt.number > _LAST_ATTEMPT_OF_A_RACE
