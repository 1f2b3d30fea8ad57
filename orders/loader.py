"""Reads orders: the real ones of the data set, and the ones a person writes as JSON."""

import csv
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from orders.model import Order, OrderLine
from runtime.errors import InputError


@dataclass(frozen=True)
class OrderBook:
    """The orders that can be sold, and how many could not, by reason."""

    orders: tuple[Order, ...]
    lines_refused: int = 0
    """Lines that can't be sold."""
    lines_refused_by_reason: Counter[str] = field(default_factory=Counter)
    """The same by reason; a line with several faults counts under each."""
    orders_refused: int = 0
    """Orders of which no line can be sold."""
    orders_refused_by_reason: Counter[str] = field(default_factory=Counter)
    """The same by the reasons of their lines; an order counts under each of them."""
    cancellations: int = 0
    """Invoices numbered `C…`: they cancel an earlier order; the plan `customers` cancels as often."""

    @property
    def guests(self) -> int:
        """How many of the orders name no customer."""
        return sum(order.is_guest for order in self.orders)

    def find(self, invoice: str) -> Order:
        """The order with this invoice number.

        Raises:
            InputError: there is none.
        """
        for order in self.orders:
            if order.order_id == invoice:
                return order
        raise InputError(
            f"no order {invoice!r} in the data set, and no such file; "
            f"take an invoice such as {self.orders[0].order_id}, or a JSON file"
        )

    def take(self, count: int, seed: int, label: str) -> list[Order]:
        """Draw `count` distinct orders, the same ones for the same seed.

        Args:
            count: how many; past the real ones they are issued again under new order ids (`536365-2.label`).
            seed: decides which orders, and in which sequence.
            label: ends every order id, so that two runs never collide.
        """
        rng = random.Random(seed)  # noqa: S311 - a reproducible draw, no secret
        drawn: list[Order] = []
        issue = 1
        while len(drawn) < count:
            for order in rng.sample(self.orders, k=min(len(self.orders), count - len(drawn))):
                again = f"-{issue}" if issue > 1 else ""
                drawn.append(order.model_copy(update={"order_id": f"{order.order_id}{again}.{label}"}))
            issue += 1
        return drawn


def load_orders(path: Path) -> OrderBook:
    """Read the Online Retail data set.

    Args:
        path: CSV with the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID and
            Country, one line per article.

    Raises:
        InputError: the file is missing or lacks a column.
    """
    invoices: dict[str, list[dict[str, str]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                invoices.setdefault(row["InvoiceNo"], []).append(row)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read the orders in {path}: {error}") from error
    except KeyError as error:
        raise InputError(f"{path} has no column {error}; it is not the Online Retail data set") from error

    orders: list[Order] = []
    refused_lines: list[frozenset[str]] = []
    refused_orders: list[frozenset[str]] = []
    cancellations = 0
    for invoice, rows in invoices.items():
        if invoice.startswith("C"):
            cancellations += 1
            continue
        reasons = [_why_not_sellable(row) for row in rows]
        refused_lines += [why for why in reasons if why]
        sellable = [row for row, why in zip(rows, reasons, strict=True) if not why]
        if sellable:
            orders.append(_order(invoice, sellable))
        else:
            refused_orders.append(frozenset[str]().union(*reasons))
    return OrderBook(
        orders=tuple(orders),
        lines_refused=len(refused_lines),
        lines_refused_by_reason=Counter(reason for why in refused_lines for reason in why),
        orders_refused=len(refused_orders),
        orders_refused_by_reason=Counter(reason for why in refused_orders for reason in why),
        cancellations=cancellations,
    )


def _why_not_sellable(row: dict[str, str]) -> frozenset[str]:
    faults = {
        "quantity below 1": int(row["Quantity"]) < 1,
        "price 0": Decimal(row["UnitPrice"]) <= 0,
        "no description": not row["Description"].strip(),
    }
    return frozenset(reason for reason, holds in faults.items() if holds)


def _order(invoice: str, rows: list[dict[str, str]]) -> Order:
    head = rows[0]
    return Order(
        order_id=invoice,
        customer_id=head["CustomerID"] or None,
        country=head["Country"],
        placed_at=datetime.fromisoformat(head["InvoiceDate"]),
        lines=tuple(
            OrderLine(
                stock_code=row["StockCode"],
                description=row["Description"],
                quantity=int(row["Quantity"]),
                unit_price=Decimal(row["UnitPrice"]),
            )
            for row in rows
        ),
    )


def read_order(path: Path) -> Order:
    """Read one order that a person wrote as JSON (an example: `data/my-order.json`).

    Raises:
        InputError: the file is missing, is not JSON, or is no order that can be sold; the message names the field.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from error
    try:
        return Order.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{path} is no order: {first_complaint(error)}") from error


def first_complaint(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: where, what, and what was given."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return first["msg"]
    given = first["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    more = error.error_count() - 1
    rest = f", and {more} more" if more else ""
    return f"{where + ': ' if where else ''}{first['msg']}{shown}{rest}"


def campaign_audience(orders: Iterable[Order]) -> frozenset[str]:
    """The customers whom the running campaign writes to: it is for the home market, the United Kingdom."""
    return frozenset(
        order.customer_id for order in orders if order.customer_id is not None and order.country == "United Kingdom"
    )
