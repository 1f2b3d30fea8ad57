"""The comparison on a terminal."""

import io

import pytest
from rich.console import Console

from lab.compare.comparison import Comparison
from lab.compare.table import table
from tests.lab.compare import samples


def told(comparison: Comparison, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table(comparison, []))
    printed = console.file
    assert isinstance(printed, io.StringIO)
    return printed.getvalue()


def test_each_ratio_stands_under_the_style_that_is_divided() -> None:
    rows = [[cell.strip() for cell in line.split("│")] for line in told(samples.comparison()).splitlines()]

    assert ["", "bare workflow: end to end", "1.12 (1.08-1.17)", "", ""] in rows
    assert ["", "naive fan-out: orders per second", "", "2.61 (2.40-2.90)", ""] in rows


@pytest.mark.parametrize("width", [80, 120, 200])
def test_nothing_is_cut_short(width: int) -> None:
    assert "…" not in told(samples.comparison(), width)


def test_what_was_not_measured_has_no_table() -> None:
    printed = told(samples.nothing_measured())

    assert printed.startswith("PARTIAL")
    for title in ("Held against", "divided by", "Open loop", "a third of the maximum", "subscribers", "Memory"):
        assert title not in printed
