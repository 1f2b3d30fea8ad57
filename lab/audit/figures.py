"""Guarantee 1, over the books as a whole: numbers without gaps, and figures that add up."""

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
    yield from _dashboard(books)


def _numbering(table: str, books: Books) -> Iterator[str]:
    drawn: dict[str, list[int]] = defaultdict(list)
    for row in books.all(table):
        series, _, number = row["number"].rpartition("-")
        drawn[series].append(int(number))
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
        for style, value in sorted({*counted, *shown}):
            is_, should = (figures.get((style, value), Counter()) for figures in (shown, counted))
            if wrong := [name for name in _COUNTERS if is_[name] != should[name]]:
                told = ", ".join(f"{is_[name]} {name} instead of {should[name]}" for name in wrong)
                yield f"sales_by_{dimension}: {style}, {value}: {told}"


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
