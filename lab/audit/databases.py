"""Reads the services' databases: every table once, each database as it stood at one moment."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import URL, MetaData, RowMapping, Table, create_engine, inspect, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from lab.audit.scenario import IN_DOUBT, STYLES, Key
from runtime.errors import InputError
from runtime.settings import Settings
from stores import analytics, invoicing, marketing, shipping

Record: TypeAlias = RowMapping
"""One row: column to value."""

_DATABASES: dict[str, tuple[MetaData, tuple[str, ...]]] = {
    "shipping": (
        shipping.METADATA,
        ("effects", "order_contents", "shipments", "shipment_lines", "handovers", "cancellations"),
    ),
    "invoicing": (
        invoicing.METADATA,
        ("effects", "order_contents", "number_series", "invoices", "invoice_lines", "credit_notes"),
    ),
    "marketing": (marketing.METADATA, ("effects", "order_contents", "campaign_audience", "campaign_exits", "mails")),
    "analytics": (
        analytics.METADATA,
        ("effects", "order_contents", "sales", "sold_products", "sales_by_day", "sales_by_country", "sales_by_product"),
    ),
}
"""Service to its tables, and those of them that count."""

_PER_ORDER = ("effects", "shipments", "invoices", "campaign_exits", "mails", "sales", "sold_products")
"""Tables whose rows say that something was done for an order, and name it and its style.

Not `cancellations`: what shipping decided about an order may be remembered before there is one.
"""

_OWNERS = {table: service for service, (_, tables) in _DATABASES.items() for table in tables}
"""Table to the service that it belongs to; meaningless for those that all of them have."""


class Books:
    """All that the services have stored."""

    def __init__(self, tables: Mapping[str, Sequence[Record]]) -> None:
        """Take the rows of each table; tables of the same name in several databases are put together."""
        self._tables = tables
        self._indexes: dict[tuple[str, tuple[str, ...]], dict[tuple[object, ...], list[Record]]] = {}

    def all(self, table: str) -> Sequence[Record]:
        """All rows of a table."""
        return self._tables.get(table, ())

    def has(self, table: str) -> bool:
        """Whether there is such a table; an earlier version may not have had it."""
        return table in self._tables

    def tables_with_repeated_rows(self) -> list[str]:
        """Tables that hold a row twice, which no database lets happen that still has its keys."""
        return [name for name, rows in self._tables.items() if len({tuple(row.values()) for row in rows}) < len(rows)]

    def of(self, table: str, key: Key) -> list[Record]:
        """The rows of a table that belong to an order."""
        return self._index(table, "style", "order_id").get(key, [])

    def where(self, table: str, column: str, value: object) -> list[Record]:
        """The rows of a table with this value in a column."""
        return self._index(table, column).get((value,), [])

    def effects(self, key: Key) -> list[str]:
        """Names of what was done for an order, as often as the ledger says so."""
        return [row["effect"] for row in self.of("effects", key) if row["state"] == "done"]

    def in_doubt(self, key: Key) -> set[str]:
        """Names of what may have been done for an order, and nobody knows whether it was."""
        return {row["effect"] for row in self.of("effects", key) if row["state"] in IN_DOUBT}

    def keys(self) -> set[Key]:
        """The orders that anything is stored about, keys closed before anything was done left out."""
        return {
            Key(row["style"], row["order_id"])
            for table in _PER_ORDER
            for row in self.all(table)
            if row.get("state") != "closed" and row["style"] in STYLES
        }

    def services(self, key: Key) -> set[str]:
        """The services that have any of these rows of an order."""
        return {
            row.get("service", _OWNERS[table])
            for table in _PER_ORDER
            for row in self.of(table, key)
            if row.get("state") != "closed"
        }

    def without(self, foreign: Mapping[Key, Collection[str]]) -> "Books":
        """The same without what these services did for these orders: it was for others under the same ids."""
        if not foreign:
            return self

        def is_kept(table: str, row: Record) -> bool:
            services = foreign.get(Key(row["style"], row["order_id"]), ())
            return row.get("service", _OWNERS[table]) not in services

        cleared = {table: [row for row in self.all(table) if is_kept(table, row)] for table in _PER_ORDER}
        return Books({**self._tables, **cleared})

    def _index(self, table: str, *columns: str) -> dict[tuple[object, ...], list[Record]]:
        index = self._indexes.get((table, columns))
        if index is None:
            index = defaultdict(list)
            for row in self.all(table):
                index[tuple(row[column] for column in columns)].append(row)
            self._indexes[table, columns] = index
        return index


def read_books(settings: Settings) -> Books:
    """Read all databases; what does not exist holds nothing: a SQLite file, or a table that an earlier version had not.

    Raises:
        InputError: a database can't be read.
    """
    tables: dict[str, list[Record]] = defaultdict(list)
    for service, (metadata, names) in _DATABASES.items():
        try:
            for table, rows in _read(settings.database_url(service), [metadata.tables[name] for name in names]).items():
                tables[table] += rows
        except SQLAlchemyError as error:
            raise InputError(f"can't read the database of {service}: {error}".splitlines()[0]) from error
    return Books(tables)


def _read(url: URL | str, tables: Sequence[Table]) -> dict[str, Sequence[Record]]:
    target = make_url(url)
    is_file = target.get_backend_name() == "sqlite"
    if is_file and not (target.database and Path(target.database).exists()):
        return {}
    engine = create_engine(target)
    try:
        with engine.connect() as connection:
            # Services may be at work: one moment for all tables, so that a sale and the figures it is in agree.
            db = connection if is_file else connection.execution_options(isolation_level="REPEATABLE READ")
            if is_file:
                db.exec_driver_sql("BEGIN")  # the driver begins no transaction for reading
            existing = inspect(db).get_table_names()
            return {
                table.name: db.execute(select(table)).mappings().all() for table in tables if table.name in existing
            }
    finally:
        engine.dispose()
