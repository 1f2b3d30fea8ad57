"""Guarantee 1, over the books as a whole: numbers without gaps, and figures that add up."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from lab.audit.databases import Books, Record
from lab.audit.scenario import Key

_COUNTERS = ("orders", "units", "revenue_pence")


def book_violations(books: Books) -> Iterator[str]:
    """What is wrong with the numbering and with the sales dashboard."""
    for table in ("invoices", "credit_notes"):
        yield from _numbering(table, books)
    yield from (
        f"{note['number']} takes back {note['invoice']}, which does not exist"
        for note in books.all("credit_notes")
        if not books.where("invoices", "number", note["invoice"])
    )
    papers = {row["number"].rpartition("-")[0] for table in ("invoices", "credit_notes") for row in books.all(table)}
    yield from (
        f"number_series: no paper is of the series {row['series']}, which stands at {row['last']}"
        for row in books.all("number_series")
        if row["series"] not in papers and row["last"]
    )
    yield from _orphans(books)
    yield from (f"{table} has the same row more than once" for table in books.tables_with_repeated_rows())
    yield from _dashboard(books)


def _orphans(books: Books) -> Iterator[str]:
    """Rows of what does not exist."""
    for table, parent, to, column in (
        ("shipment_lines", "shipments", "id", "shipment_id"),
        ("handovers", "shipments", "id", "shipment_id"),
        ("invoice_lines", "invoices", "number", "invoice"),
    ):
        lost = {row[column] for row in books.all(table) if not books.where(parent, to, row[column])}
        yield from (f"{table}: there are rows of {column} {one}, which does not exist" for one in sorted(lost))


def _numbering(table: str, books: Books) -> Iterator[str]:
    drawn: dict[str, list[int]] = defaultdict(list)
    for row in books.all(table):
        series, _, number = row["number"].rpartition("-")
        if re.fullmatch(r"\d{6,}", number, re.ASCII):
            drawn[series].append(int(number))
        else:
            yield f"{table}: {row['number']!r} is no number of a series"
    for series, numbers in sorted(drawn.items()):
        if missing := sorted(set(range(1, max(numbers) + 1)) - set(numbers)):
            yield f"{table}: the series {series} has no number {_some(missing)}"
        if repeated := sorted(number for number, times in Counter(numbers).items() if times > 1):
            yield f"{table}: the series {series} has {_some(repeated)} more than once"
        last = [row["last"] for row in books.where("number_series", "series", series)]
        if last != [max(numbers)]:
            yield f"{table}: the series {series} stands at {_some(last) or 'nothing'}, its highest is {max(numbers)}"


def _dashboard(books: Books) -> Iterator[str]:
    for dimension in ("day", "country", "product"):
        counted: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for sale in books.all("sales"):
            key = Key(sale["style"], sale["order_id"])
            if "sale.reversed" not in books.effects(key):
                products = books.of("sold_products", key)
                for value, rows in _by(dimension, sale, products).items():
                    counted[key.style, value].update(_sums(rows))
        shown = {
            (row["style"], row[dimension]): Counter({name: row[name] for name in _COUNTERS})
            for row in books.all(f"sales_by_{dimension}")
        }
        sold = _values(dimension, books)
        yield from (
            f"sales_by_{dimension}: {style}, {value}: there was never a sale of it"
            for style, value in sorted(shown.keys() - sold)
        )
        yield from (
            f"sales_by_{dimension}: {style}, {value}: there is no row of it, though there were sales"
            for style, value in sorted(sold - shown.keys())
        )
        for style, value in sorted({*counted, *shown}):
            is_, should = (figures.get((style, value), Counter()) for figures in (shown, counted))
            if wrong := [name for name in _COUNTERS if is_[name] != should[name]]:
                told = ", ".join(f"{is_[name]} {name} instead of {should[name]}" for name in wrong)
                yield f"sales_by_{dimension}: {style}, {value}: {told}"


def _values(dimension: str, books: Books) -> set[tuple[str, str]]:
    """What figures there must be of, also of sales that were taken out of them again."""
    table, column = ("sold_products", "stock_code") if dimension == "product" else ("sales", dimension)
    return {(row["style"], row[column]) for row in books.all(table)}


def _by(dimension: str, sale: Record, products: list[Record]) -> dict[str, list[Record]]:
    """The sale's products under the figure that they count in."""
    if dimension == "product":
        return {row["stock_code"]: [row] for row in products}
    return {sale[dimension]: products}


def _sums(rows: Iterable[Record]) -> Counter[str]:
    sums = Counter({"orders": 1})
    for row in rows:
        sums.update({"units": row["units"], "revenue_pence": row["revenue_pence"]})
    return sums


def _some(numbers: list[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:5])
    return f"{shown}, … ({len(numbers)} in all)" if len(numbers) > 5 else shown  # noqa: PLR2004 - enough to look for
