"""Reads orders: the real ones of the data set, and the ones a person writes as JSON."""

import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from orders.model import Order, OrderLine
from orders.rows import Row, read_rows
from runtime.documents import json_of, read_file, text_of
from runtime.errors import InputError
from runtime.printable import why_unseen

_COLUMNS = {
    "order_id": "InvoiceNo",
    "stock_code": "StockCode",
    "description": "Description",
    "quantity": "Quantity",
    "placed_at": "InvoiceDate",
    "unit_price": "UnitPrice",
    "customer_id": "CustomerID",
    "country": "Country",
}
"""Field of an order to the column of the data set that it comes from."""

_LONGEST_SHOWN = 60

_LARGEST_TOTAL_PENCE = 10**15
"""The figures of a day or a country are sums of 64 bits: they have room for nine thousand such orders."""


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
            f"no order {_shortened(repr(invoice))} in the data set, and no such file; "
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
            Country, one line per article. Its lines with a price of 0 are corrections of the stock (of 46, all but one
            are described by nothing, "?" or "amazon"), so none is sold, though an order may well have free lines.

    Raises:
        InputError: the file is missing, lacks a column, has a line that can't be understood (the message names line and
            column), or holds no order that can be sold.
    """
    invoices: dict[str, list[Row]] = {}
    for row in read_rows(path):
        invoices.setdefault(row.invoice, []).append(row)
    orders: list[Order] = []
    refused_lines: list[frozenset[str]] = []
    refused_orders: list[frozenset[str]] = []
    cancellations = 0
    for invoice, rows in invoices.items():
        if invoice.startswith("C"):
            cancellations += 1
            continue
        reasons = [row.why_not_sellable for row in rows]
        refused_lines += [why for why in reasons if why]
        sellable = [row for row, why in zip(rows, reasons, strict=True) if not why]
        if sellable:
            orders.append(_order(invoice, sellable))
        else:
            refused_orders.append(frozenset[str]().union(*reasons))
    if not orders:
        raise InputError(f"{path} holds no order that can be sold")
    return OrderBook(
        orders=tuple(orders),
        lines_refused=len(refused_lines),
        lines_refused_by_reason=Counter(reason for why in refused_lines for reason in why),
        orders_refused=len(refused_orders),
        orders_refused_by_reason=Counter(reason for why in refused_orders for reason in why),
        cancellations=cancellations,
    )


def _order(invoice: str, rows: list[Row]) -> Order:
    head = rows[0]
    lines = []
    for row in rows:
        for column, text in (("Description", row.description), ("Country", row.country)):
            why = why_unseen(text.strip())
            if why is not None and text.strip():
                raise InputError(f"{row.where}: {column}: {why}")
        try:
            lines.append(
                OrderLine(
                    stock_code=row.stock_code,
                    description=row.description,
                    quantity=row.quantity,
                    unit_price=row.unit_price,
                )
            )
        except ValidationError as error:
            raise _untenable(row, error) from error
    try:
        order = Order(
            order_id=invoice,
            customer_id=head.customer_id or None,
            country=head.country,
            placed_at=head.invoiced_at,
            lines=tuple(lines),
        )
    except ValidationError as error:
        raise _untenable(head, error) from error
    unfit = why_unfit(order)
    if unfit is not None:
        raise InputError(f"{head.where}: {unfit}")
    return order


def _untenable(row: Row, error: ValidationError) -> InputError:
    told = first_complaint(error)
    for name, column in _COLUMNS.items():
        told = re.sub(f"^{name}: ", f"{column}: ", told)
    return InputError(f"{row.where}: {told}")


def read_order(path: Path) -> Order:
    """Read one order that a person wrote as JSON (an example: `data/my-order.json`).

    Raises:
        InputError: the file is missing, is not JSON, or is no order that can be sold; the message names the field.
    """
    text = text_of(read_file(path), where=str(path))
    json_of(text, where=str(path))
    try:
        order = Order.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{path} is no order: {first_complaint(error)}") from error
    unfit = why_unfit(order)
    if unfit is not None:
        raise InputError(f"{path} is no order: {unfit}")
    return order


def why_unfit(order: Order) -> str | None:
    """Why an order can't be taken: a text that can't be seen as what it is, or a sum that no sales figure has room for.

    This is asked of orders as they come in. One that came in before it was asked has to be read for good.
    """
    if order.total_pence > _LARGEST_TOTAL_PENCE:
        return f"lines: they cost {order.total_pence // 100:,} pounds, and an order can cost 10,000,000,000,000"
    texts = {"country": order.country}
    texts |= {f"lines.{number}.description": line.description for number, line in enumerate(order.lines)}
    for called, text in texts.items():
        why = why_unseen(text)
        if why is not None:
            return f"{called}: {why}"
    return None


def first_complaint(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: where, what, and what was given."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return first["msg"]
    given = first["input"]
    shown = f" (given: {_shortened(repr(given))})" if isinstance(given, str | int | float | bool) else ""
    more = error.error_count() - 1
    rest = f", and {more} more" if more else ""
    told = first["msg"].removeprefix("Value error, ")
    return f"{where + ': ' if where else ''}{told}{shown}{rest}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def campaign_audience(orders: Iterable[Order]) -> frozenset[str]:
    """The customers whom the running campaign writes to: it is for the home market, the United Kingdom."""
    return frozenset(
        order.customer_id for order in orders if order.customer_id is not None and order.country == "United Kingdom"
    )
