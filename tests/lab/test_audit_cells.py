"""Every cell of every table of a finished lab, and every field of its mails: whoever changes one is found out."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from lab.audit.auditor import Evidence, gather, judge
from lab.audit.databases import Books, Record
from lab.audit.mails import read_mails
from lab.audit.temporal import TemporalReader
from lab.placing import Placer
from orders.loader import OrderBook
from orders.model import STYLES, Order, Style
from services.order_placed import SERVICES
from stores import analytics, invoicing, marketing, shipping
from tests.lab.test_audit import TOO_LATE, Past, cancel, ended
from tests.labs import Lab, Labs

Row = dict[str, Any]
Tables = dict[str, list[Row]]

METADATA = {
    "shipping": shipping.METADATA,
    "invoicing": invoicing.METADATA,
    "marketing": marketing.METADATA,
    "analytics": analytics.METADATA,
}

NOT_READ = {
    "fault_attempts": "how often the dice have thrown; nothing was done by that, and no order can be explained by it",
    "outside_tries": "when a mail was tried last, by which its next attempt is timed; it says nothing of an order",
}
"""Tables that the auditor does not read, and why not."""

HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Finished:
    """A lab in which orders were completed, undone, cancelled before they were placed, and refused a cancellation."""

    past: Past
    evidence: Evidence
    tables: Tables

    def found(self, tables: Tables) -> list[str]:
        """What the auditor finds in these tables."""
        books = Books(cast("Mapping[str, Sequence[Record]]", tables))
        return [one.what for one in judge(replace(self.evidence, books=books), None, parity=True)]


def short(order: Order) -> Order:
    """With three lines, of which two are of one article."""
    lines = (*order.lines[:2], order.lines[0])
    return order.model_copy(update={"lines": lines})


@pytest.fixture(scope="module")
async def finished(labs: Labs, book: OrderBook) -> Finished:
    taken = [short(order) for order in book.take(60, 1, "audit-cells")]
    guest = next(order for order in taken if order.customer_id is None)
    kept, undone, late, refused, *_ = (
        order for order in taken if order.customer_id is not None and order.country == "United Kingdom"
    )

    async def run(lab: Lab, style: Style) -> None:
        for order in (kept, guest, undone):
            await lab.run(order, style)
        await Placer(lab.client, lab.name, TOO_LATE).place(refused, style)
        await ended(lab, refused, style)
        assert [await cancel(lab, order, style) for order in (undone, late, refused)] == [True, True, False]
        await lab.placer.place(late, style)
        await ended(lab, late, style)

    async with labs() as lab:
        await asyncio.gather(*(run(lab, style) for style in STYLES))
    past = Past(lab, [kept, guest, undone, late, refused])
    evidence = await gather(TemporalReader(lab.client, lab.name), lab.settings, None)
    names = {table for metadata in METADATA.values() for table in metadata.tables}
    tables = {name: [dict(row) for row in evidence.books.all(name)] for name in names if evidence.books.has(name)}
    return Finished(past, evidence, tables)


def other_values(column: str, value: object, rows: Sequence[Row]) -> Iterator[object]:
    """What a cell could be changed to: to nonsense, to a little more or less, or to what other rows have."""
    if column == "at_us":
        yield from (int(str(value)) + HOUR_US, int(str(value)) - HOUR_US)
    elif column == "fact":
        yield from other_facts(value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    else:
        yield from (f"{value}x", "")
        yield from sorted({str(row[column]) for row in rows if row[column] is not None} - {str(value)})[:3]
    if value is None:
        yield "x"


def other_facts(value: object) -> Iterator[object]:
    told = json.loads(str(value)) if value is not None else None
    yield "{}" if isinstance(told, dict) else '"x"'
    yield "no JSON"
    if isinstance(told, dict):
        for field, said in told.items():
            yield json.dumps({**told, field: said + 1 if isinstance(said, int) else f"{said}x"})
            yield json.dumps({name: one for name, one in told.items() if name != field})
        yield json.dumps({**told, "more": 1})


def cells(finished: Finished) -> Iterator[tuple[str, int, str]]:
    """All that there are, but for members of the campaign of whom there is no order: they explain nothing."""
    left = [json.loads(row["fact"] or "null") for row in finished.tables["effects"] if row["effect"] == "campaign.left"]
    customers = {fact["customer_id"] for fact in left if isinstance(fact, dict)}
    for name, rows in sorted(finished.tables.items()):
        for number, row in enumerate(rows):
            if name != "campaign_audience" or row["customer_id"] in customers:
                yield from ((name, number, column) for column in row)


def test_a_finished_lab_violates_nothing(finished: Finished) -> None:
    assert finished.found(finished.tables) == []
    assert all(finished.tables.values())


def test_every_table_is_read_or_it_is_said_why_not() -> None:
    tables = {table for metadata in METADATA.values() for table in metadata.tables}
    assert METADATA.keys() == {service.name for service in SERVICES}
    assert NOT_READ.keys() <= tables


def test_every_table_that_is_to_be_read_has_rows_in_the_lab(finished: Finished) -> None:
    tables = {table for metadata in METADATA.values() for table in metadata.tables}
    assert finished.tables.keys() == tables - NOT_READ.keys()


def test_whoever_changes_one_cell_is_found_out(finished: Finished) -> None:
    unnoticed = []
    for name, number, column in cells(finished):
        rows = finished.tables[name]
        for value in other_values(column, rows[number][column], rows):
            changed = [*rows[:number], {**rows[number], column: value}, *rows[number + 1 :]]
            if not finished.found({**finished.tables, name: changed}):
                unnoticed.append(f"{name}.{column}: {value!r} in {rows[number]}")
    assert not unnoticed, "\n".join(unnoticed)


def test_whoever_deletes_one_row_is_found_out(finished: Finished) -> None:
    unnoticed = []
    for name, number in {(name, number): None for name, number, _ in cells(finished)}:
        rows = finished.tables[name]
        if not finished.found({**finished.tables, name: [*rows[:number], *rows[number + 1 :]]}):
            unnoticed.append(f"{name}: {rows[number]}")
    assert not unnoticed, "\n".join(unnoticed)


def test_whoever_adds_a_row_once_more_is_found_out(finished: Finished) -> None:
    unnoticed = []
    for name, number in {(name, number): None for name, number, _ in cells(finished)}:
        rows = finished.tables[name]
        if not finished.found({**finished.tables, name: [*rows, rows[number]]}):
            unnoticed.append(f"{name}: {rows[number]}")
    assert not unnoticed, "\n".join(unnoticed)


def other_header(name: str) -> Callable[[str], str]:
    def change(mail: str) -> str:
        head, _, body = mail.partition("\n\n")
        lines = [f"{line}x" if line.startswith(f"{name}:") else line for line in head.split("\n")]
        return "\n".join([*lines, "", body])

    return change


def other_body(mail: str) -> str:
    head, _, body = mail.partition("\n\n")
    changed = body.replace("GBP ", "GBP 1", 1) if "GBP" in body else body.replace("nothing", "a lot")
    assert changed != body
    return f"{head}\n\n{changed}"


MAIL_CHANGES: dict[str, Callable[[str], str]] = {
    "sender": other_header("From"),
    "recipient": other_header("To"),
    "subject": other_header("Subject"),
    "Message-ID": other_header("Message-ID"),
    "what is said": other_body,
    "less is said": lambda mail: "\n".join(mail.split("\n")[:-2]),
    "more is said": lambda mail: f"{mail}P.S. Sorry.\n",
}


@pytest.mark.parametrize("what", MAIL_CHANGES)
def test_whoever_changes_a_mail_is_found_out(finished: Finished, tmp_path: Path, what: str) -> None:
    settings = finished.past.copy(tmp_path)
    mails = sorted(settings.mail_dir.glob("*.eml"))
    assert len(mails) == 2 * 4  # of the orders kept, undone (two) and refused
    for file in mails:
        mail = file.read_bytes().decode()
        changed = MAIL_CHANGES[what](mail.replace("\r\n", "\n"))
        assert changed != mail
        file.write_text(changed, encoding="utf-8")
        mailbox = read_mails(settings)
        file.write_text(mail, encoding="utf-8", newline="")

        assert list(judge(replace(finished.evidence, mailbox=mailbox), None, parity=True)), file.name
