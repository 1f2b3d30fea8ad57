"""The lines of the Online Retail data set, as its CSV has them."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from runtime.documents import read_file, text_of
from runtime.errors import InputError

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")

_WHOLE_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
_PRICE = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)


@dataclass(frozen=True)
class Row:
    """One article of one invoice; not yet one that can be sold."""

    where: str
    """File and line, for messages."""
    invoice: str
    stock_code: str
    description: str
    quantity: int
    invoiced_at: datetime
    unit_price: Decimal
    customer_id: str
    """Empty for a guest."""
    country: str

    @property
    def why_not_sellable(self) -> frozenset[str]:
        """The reasons, of which there may be several; none where it can be sold."""
        faults = {
            "quantity below 1": self.quantity < 1,
            "price 0": self.unit_price == 0,
            "price below 0": self.unit_price < 0,
            "no description": not self.description.strip(),
        }
        return frozenset(reason for reason, holds in faults.items() if holds)


def read_rows(path: Path) -> Iterator[Row]:
    """Read the lines one by one.

    Raises:
        InputError: the file is missing, is not in UTF-8, lacks a column or has one twice, or has a line that can't be
            understood.
    """
    text = text_of(read_file(path, what="the orders in "), where=str(path))
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for twice in (column for column in COLUMNS if (reader.fieldnames or []).count(column) > 1):
            raise InputError(f"{path} has the column {twice!r} twice: leave one of them")
        for missing in (column for column in COLUMNS if column not in (reader.fieldnames or ())):
            raise InputError(f"{path} has no column {missing!r}; it is not the Online Retail data set")
        for values in reader:
            yield _row(values, where=f"{path}, line {reader.line_num}")
    except csv.Error as error:
        raise InputError(f"{path}, after line {reader.line_num}: {error}") from error


def _row(values: dict[str | None, str | None], *, where: str) -> Row:
    if None in values:
        raise InputError(f"{where}: there are more values than columns; a value with a comma in it must be quoted")
    for cut_off in (column for column in COLUMNS if values[column] is None):
        raise InputError(f"{where}: {cut_off}: the line ends before it")
    given = {column: values[column] or "" for column in COLUMNS}
    if not given["InvoiceNo"]:
        raise InputError(f"{where}: InvoiceNo: it is empty")
    return Row(
        where=where,
        invoice=given["InvoiceNo"],
        stock_code=given["StockCode"],
        description=given["Description"],
        quantity=int(_fitting(_WHOLE_NUMBER, "Quantity", given, "a whole number", where=where)),
        invoiced_at=_moment(given["InvoiceDate"], where=where),
        unit_price=Decimal(_fitting(_PRICE, "UnitPrice", given, "a number such as 2.55", where=where)),
        customer_id=given["CustomerID"],
        country=given["Country"],
    )


def _fitting(pattern: re.Pattern[str], column: str, given: dict[str, str], wanted: str, *, where: str) -> str:
    if not pattern.fullmatch(given[column]):
        raise InputError(f"{where}: {column}: {given[column][:40]!r} is not {wanted}")
    return given[column]


def _moment(text: str, *, where: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{where}: InvoiceDate: {text[:40]!r} is not a date and time such as 2010-12-01T08:26:00"
        ) from error
