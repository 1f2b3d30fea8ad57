"""The one rule by which a figure favours a style: verdict, plots, tables, record and terminal all hold to it."""

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lab.compare.answers import difference_of_shares, of_counts, of_difference, of_ratio, wilson
from lab.compare.check import check
from lab.compare.comparison import Comparison, Finding, Interval
from lab.compare.junit import junit_xml
from lab.compare.page import render_html
from lab.compare.record import render_record
from lab.compare.table import table
from lab.report import ENOUGH_PAIRS, Ratio
from tests.lab.compare import samples
from tests.lab.compare.document import Parts
from tests.lab.compare.sample_figures import ratio
from tests.lab.compare.varied import blasted, judged, priced, ratio_changed


def finding(comparison: Comparison, criterion: str) -> Finding:
    (found,) = (one for one in judged(comparison).verdict.findings if one.criterion == criterion)
    return found


@pytest.mark.parametrize(
    ("low", "median", "high", "pairs", "told"),
    [
        (1.04, 1.09, 1.14, 100, "saga"),
        (0.80, 0.90, 0.96, 100, "choreography"),
        (1.04, 1.09, 1.14, 6, "saga"),
        (1.04, 1.09, 1.14, 5, "too little data"),
        (0.99, 1.00, 1.01, 2, "too little data"),
        (0.92, 1.20, 1.90, 100, "no clear difference"),
        (1.00, 1.20, 1.90, 100, "no clear difference"),
        (1.01, 1.04, 1.20, 100, "too small to matter"),
        (0.93, 0.96, 0.99, 100, "too small to matter"),
        (1.01, 1.05, 1.09, 100, "saga"),
    ],
)
def test_a_ratio_favours_a_style_where_there_is_data_and_a_clear_difference_and_it_matters(
    low: float, median: float, high: float, pairs: int, told: str
) -> None:
    comparison = samples.comparison(ratios={"end_to_end_ms": ratio(median, low, high, pairs)})

    assert finding(comparison, "end-to-end latency").told == told


def test_more_orders_a_second_are_better_and_more_time_is_not() -> None:
    more = ratio(1.5, 1.4, 1.6)

    assert of_ratio(more, less_is_better=False).better == "choreography"
    assert of_ratio(more, less_is_better=True).better == "saga"


def test_what_was_measured_without_any_pair_is_too_little_data_and_what_was_not_is_no_criterion() -> None:
    found = [one.criterion for one in judged(samples.nothing_measured()).verdict.findings]

    assert found == []
    assert finding(samples.comparison(ratios={}), "throughput").told == "too little data"
    assert finding(samples.comparison(ratios={}), "reaction of shipping").told == "too little data"


@pytest.mark.parametrize(
    ("saga", "choreography", "noise", "told"),
    [
        (329, 335, 0.4, "no clear difference"),
        (329, 335, 0.01, "too small to matter"),
        (329, 435, 0.4, "saga"),
        (435, 329, 0.4, "choreography"),
        (329, 435, None, "too little data"),
        (250, 250, 0.0, "no clear difference"),
    ],
)
def test_a_bill_favours_a_style_where_it_differs_beyond_chance_and_by_what_matters(
    saga: float, choreography: float, noise: float | None, told: str
) -> None:
    assert finding(priced(saga, choreography, noise), "cost").told == told


@pytest.mark.parametrize("orders", [1, 5])
def test_of_a_few_orders_no_bill_favours_a_style(orders: int) -> None:
    styles = priced(300, 600, 0.0).styles
    few = {style: report.model_copy(update={"end_states": {"completed": orders}}) for style, report in styles.items()}

    assert finding(samples.comparison(styles=few), "cost").told == "too little data"


@pytest.mark.parametrize(
    ("saga", "choreography", "orders", "told"),
    [
        (9, 12, 20, "no clear difference"),  # 15.8 % and 21.1 %
        (0, 57, 20, "saga"),
        (57, 0, 20, "choreography"),
        (0, 57, 5, "too little data"),
        (0, 0, 20, "no clear difference"),
        (900, 920, 9_000, "no clear difference"),
    ],
)
def test_a_blast_radius_favours_a_style_by_orders_and_not_by_the_effects_that_share_their_fate(
    saga: int, choreography: int, orders: int, told: str
) -> None:
    effects = 57 if orders < 57 else 27_000

    assert finding(blasted(saga, choreography, orders, expected_effects=effects), "blast radius").told == told


def test_a_blast_radius_that_differs_clearly_but_by_little_is_too_small_to_matter() -> None:
    many = blasted(1_000, 1_800, 30_000, expected_effects=30_000)

    assert finding(many, "blast radius").told == "too small to matter"


def test_exact_counts_favour_a_style_from_one_on() -> None:
    assert of_counts(3, 3).answer == "no clear difference"
    assert of_counts(2, 3).better == "saga"
    assert of_counts(3, 2).better == "choreography"


def test_the_interval_of_two_shares_is_the_published_one() -> None:
    # Newcombe 1998, table II, method 10: 9 of 10 against 3 of 10, and 10 of 10 against none
    for (one, of_one), (low, high) in (((0.9, 0.3), (0.1705, 0.8090)), ((1.0, 0.0), (0.6075, 1.0))):
        found = difference_of_shares(of_one, one, 10)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 200))
def test_an_interval_of_two_shares_holds_their_difference_and_is_the_same_in_the_other_direction(
    one: int, other: int, count: int
) -> None:
    shares = min(one, count) / count, min(other, count) / count

    there, back = difference_of_shares(*shares, count), difference_of_shares(*shares[::-1], count)

    assert -1 <= there.low <= there.value <= there.high <= 1
    assert (there.low, there.value, there.high) == pytest.approx((-back.high, -back.value, -back.low), abs=2e-4)
    assert all(0 <= low <= share <= high <= 1 for share in shares for low, high in [wilson(share, count)])


@given(st.floats(-9, 9), st.floats(0, 9), st.integers(0, 99), st.floats(0, 9))
def test_nothing_is_better_without_data_beyond_chance_or_above_what_matters(
    value: float, half: float, data: int, matters_from: float
) -> None:
    difference = Interval(value=value, low=value - half, high=value + half)

    found = of_difference(difference, matters_from=matters_from, data=data)

    assert (found.better is not None) == (found.answer == "better")
    if found.better:
        assert data >= ENOUGH_PAIRS
        assert abs(value) > half
        assert abs(value) >= matters_from
        assert found.better == ("saga" if value > 0 else "choreography")


def printed(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table(comparison, []))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("pairs", [2, 5])
def test_of_too_few_pairs_nobody_says_more_than_another(pairs: int) -> None:
    comparison = judged(ratio_changed(pairs=pairs, low=1.2, median=1.25, high=1.3))
    page, record, terminal = Parts(render_html(comparison)), render_record(comparison), printed(comparison)

    said = f"too few pairs: {pairs}"
    by_ratio = [one for one in comparison.verdict.findings if said in one.evidence]
    assert {one.criterion.partition(" of ")[0] for one in by_ratio} >= {"end-to-end latency", "reaction", "throughput"}
    assert {one.answer for one in by_ratio} == {"too little data"}
    plot = page.plots["ratios"]
    assert len(plot.tips) == sum(said in text for text in plot.texts) == sum(said in tip for _, tip in plot.tips)
    assert not any(css.startswith("interval") for css, _ in plot.marks)
    for told in (page.rest[""] + str([one.rows for one in page.tables]), record, terminal):
        assert not re.search(r"1\.20(-| to )1\.30", told)
        assert said in told
    references = page.table("Each style divided by what it is held against")
    assert all(said in "".join(row) for row in references)
    assert "saga better" not in str(page.tables)


def test_what_was_measured_without_any_pair_says_so_where_its_ratio_would_be() -> None:
    comparison = judged(samples.comparison(ratios={}))

    page = Parts(render_html(comparison))
    ratios = {row[0]: row[-1] for row in (*page.table("Times in ms"), *page.table("Counts"))}
    assert {name for name, told in ratios.items() if told == "too few pairs"} == {
        *("acknowledged", "end to end", "cancellation answered", "orders per second"),
        *(f"{service} reacted" for service in comparison.samples_ms["saga"]),
    }
    assert "| orders per second | 38.69 | 37.43 | too few pairs |  |" in render_record(comparison)
    assert "too few pairs" in printed(comparison)


def test_the_terminal_says_of_which_orders_a_ratio_is_where_they_are_not_those_of_the_figures_beside_it() -> None:
    def end_to_end(pairs: int) -> str:
        told = printed(ratio_changed(pairs=pairs, low=1.2, median=1.25, high=1.3))
        (row,) = (line for line in told.splitlines() if line.startswith("│ end to end"))
        return row

    assert "1.25 (1.20-1.30) of 90 pairs" in end_to_end(90)
    assert "1.25 (1.20-1.30) │" in end_to_end(100)


def test_of_enough_pairs_all_say_the_same() -> None:
    comparison = judged(ratio_changed(pairs=6, low=1.2, median=1.25, high=1.3))

    assert finding(comparison, "end-to-end latency").told == "saga"
    assert "1.25 (1.20 to 1.30) saga better; 6 pairs" in str(Parts(render_html(comparison)).table("Times in ms"))
    assert "1.25 (1.20 to 1.30), saga better" in render_record(comparison)
    assert "1.25 (1.20-1.30)" in printed(comparison)


def test_a_baseline_of_too_few_pairs_is_neither_held_nor_missed() -> None:
    name = "saga/bare_workflow.end_to_end_ms"
    before = samples.comparison(ratios={name: ratio(1.0, 0.99, 1.01, pairs=100)})
    now = samples.comparison(ratios={name: ratio(3.0, 2.9, 3.1, pairs=5)})

    (found,) = (one for one in check(before, now) if one.has_too_few_pairs)

    assert not found.regressed
    assert found.now == "3.00"
    assert "too few pairs" in junit_xml(now, [found])


def test_the_headline_tells_each_answer_of_its_own() -> None:
    ratios = {
        "end_to_end_ms": ratio(1.5, 1.4, 1.6),
        "reaction_ms.shipping": ratio(1.03, 1.01, 1.04),
        "reaction_ms.invoicing": ratio(1.5, 0.9, 1.6),
        "reaction_ms.marketing": ratio(1.5, 1.4, 1.6, pairs=2),
    }

    headline = judged(samples.comparison(ratios=ratios)).verdict.headline

    assert "The saga does better in end-to-end latency" in headline
    assert "No clear difference in reaction of invoicing" in headline
    assert "A difference too small to matter in reaction of shipping" in headline
    assert "Too little data to tell of reaction of marketing" in headline


def test_what_favours_no_style_can_not_be_flipped() -> None:
    alike = {"end_to_end_ms": ratio(1.09, 0.9, 1.3)}

    flips = judged(samples.comparison(ratios=alike)).verdict.flips

    assert not any("apart per order" in flip or "orders a year" in flip for flip in flips)
    assert any("orders a year" in flip for flip in judged(priced(300, 600, 0.1)).verdict.flips)


@pytest.mark.parametrize(("better", "answer"), [("saga", "better"), (None, "no clear difference")])
def test_a_finding_of_an_earlier_version_has_the_answer_that_it_had(better: str | None, answer: str) -> None:
    earlier: dict[str, Any] = {"criterion": "cost", "named_in": None, "better": better, "evidence": "Such."}

    assert Finding.model_validate(earlier).answer == answer


def test_every_criterion_says_from_where_on_it_matters() -> None:
    found = judged(samples.comparison())

    assert all(one.matters_from for one in found.verdict.findings)
    rows = Parts(render_html(found)).table("What the verdict rests on")
    assert [row[2] for row in rows] == [one.matters_from for one in found.verdict.findings]
    assert all(f"from {one.matters_from}." in render_record(found) for one in found.verdict.findings)


def test_a_ratio_says_of_how_many_pairs_it_is_beside_figures_of_more_orders() -> None:
    fewer = samples.comparison(ratios={"end_to_end_ms": Ratio(median=1.2, low=1.1, high=1.3, pairs=90)})

    row = next(row for row in Parts(render_html(fewer)).table("Times in ms") if row[0] == "end to end")

    assert row[-1].endswith("; 90 pairs")
    assert "| 1.20 (1.10 to 1.30), saga better | 90 |" in render_record(fewer)
