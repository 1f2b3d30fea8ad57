"""The one rule by which a figure favours a style: verdict, plots, tables, record and terminal all hold to it."""

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lab.compare.answers import answer_to, difference_of_shares, of_counts, of_difference, of_ratio, wilson
from lab.compare.check import check
from lab.compare.comparison import Comparison, Finding, Interval
from lab.compare.junit import junit_xml
from lab.compare.page import render_html
from lab.compare.record import render_record
from lab.compare.table import table
from lab.report import ENOUGH_PAIRS, Ratio
from tests.lab.compare import samples
from tests.lab.compare.document import Parts
from tests.lab.compare.sample_figures import SERVICES, ratio
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
        (0.92, 1.20, 1.90, 100, "too little data"),
        (1.00, 1.20, 1.90, 100, "too little data"),
        (0.80, 1.00, 1.20, 100, "too little data"),
        (0.95, 1.00, 1.05, 100, "too small to matter"),
        (1.00, 1.00, 1.00, 100, "too small to matter"),
        (1.01, 1.03, 1.05, 100, "too small to matter"),
        (0.95, 0.96, 0.99, 100, "too small to matter"),
        (0.949, 1.00, 1.05, 100, "no clear difference"),
        (0.90, 1.00, 1.10, 100, "no clear difference"),
        (1.00, 1.05, 1.10, 100, "no clear difference"),
        (1.01, 1.04, 1.10, 100, "no clear difference"),
        (0.90, 1.00, 1.101, 100, "too little data"),
        (0.899, 1.00, 1.10, 100, "too little data"),
        (1.01, 1.04, 1.20, 100, "too little data"),
        (1.01, 1.05, 1.09, 100, "saga"),
        (1.01, 1.50, 2.90, 100, "saga"),
        (0.93, 0.95, 0.99, 100, "choreography"),
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


@pytest.mark.parametrize("comparison", [samples.nothing_measured(), samples.comparison()], ids=["nothing", "all"])
def test_the_criteria_are_always_the_same_whatever_was_measured(comparison: Comparison) -> None:
    found = [one.criterion for one in judged(comparison).verdict.findings]

    assert found == [
        "end-to-end latency",
        *(f"reaction of {service}" for service in comparison.samples_ms["saga"] or SERVICES),
        *("throughput", "cost", "blast radius", "cancellation", "coupling", "a new service", "visibility"),
    ]


def test_of_what_was_not_measured_all_tell_that_there_is_too_little_data() -> None:
    nothing = judged(samples.nothing_measured())

    assert {one.answer for one in nothing.verdict.findings} == {"too little data"}
    assert all("Not measured in this run" in one.evidence for one in nothing.verdict.findings)
    record = render_record(nothing).partition("### Too little data")[2]
    for one in nothing.verdict.findings:
        assert one.criterion in nothing.verdict.headline
        assert f"- {one.criterion.capitalize()}. {one.evidence}" in record
        assert one.criterion in printed(nothing)


@pytest.mark.parametrize("criterion", ["throughput", "reaction of shipping", "end-to-end latency", "cancellation"])
def test_what_was_measured_without_any_pair_is_too_little_data(criterion: str) -> None:
    assert finding(samples.comparison(ratios={}), criterion).told == "too little data"


def test_a_run_without_rounds_says_that_it_did_not_measure_throughput() -> None:
    sample = samples.comparison()
    one_order = {style: report.model_copy(update={"orders_per_s": None}) for style, report in sample.styles.items()}

    found = finding(sample.model_copy(update={"styles": one_order, "ratios": {}}), "throughput")

    assert found.told == "too little data"
    assert "many orders in flight" in found.evidence


@pytest.mark.parametrize(
    ("saga", "choreography", "noise", "told"),
    [
        (329, 335, 1.2, "too little data"),  # 60 USD: as if both styles had run different orders
        (329, 335, 0.4, "no clear difference"),
        (329, 335, 0.2, "too small to matter"),
        (329, 335, 0.01, "too small to matter"),
        (329, 350, 0.1, "saga"),
        (329, 435, 0.4, "saga"),
        (435, 329, 0.4, "choreography"),
        (329, 435, None, "too little data"),
        (250, 250, 0.0, "too small to matter"),
    ],
)
def test_a_bill_favours_a_style_where_it_differs_beyond_chance_and_by_what_matters(
    saga: float, choreography: float, noise: float | None, told: str
) -> None:
    assert finding(priced(saga, choreography, noise), "cost").told == told


@pytest.mark.parametrize("orders", [1, 5])
def test_of_a_few_orders_no_bill_favours_a_style(orders: int) -> None:
    found = finding(priced(300, 600, 0.0, pairs=orders), "cost")

    assert found.told == "too little data"
    assert f"+300 USD (too few pairs: {orders})" in found.evidence


@pytest.mark.parametrize(("left_out", "said"), [(0, False), (1, True), (40, True)])
def test_orders_that_only_one_style_ran_are_said_to_be_left_out_of_the_bill(left_out: int, *, said: bool) -> None:
    comparison = judged(priced(300, 600, 0.0, left_out=left_out))

    evidence = finding(comparison, "cost").evidence
    assert (f"left out, as only one style ran them: {left_out}" in evidence) is said
    (row,) = (row for row in Parts(render_html(comparison)).table("Counts") if row[0] == "Actions per order")
    assert row[-1] == f"+6.00 (+6.00 to +6.00) difference; 200{f' ({left_out} left out)' if said else ''} pairs"


@pytest.mark.parametrize(
    ("saga", "choreography", "orders", "told"),
    [
        (9, 12, 20, "too little data"),  # 15.8 % and 21.1 %
        (0, 57, 20, "saga"),
        (57, 0, 20, "choreography"),
        (0, 57, 5, "too little data"),
        (0, 0, 20, "too little data"),  # 16.1 percentage points either way
        (0, 0, 34, "too little data"),
        (0, 0, 35, "no clear difference"),
        (0, 0, 80, "too small to matter"),
        (900, 920, 100, "no clear difference"),
        (900, 920, 9_000, "too small to matter"),
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
    assert of_counts(3, 3).answer == "too small to matter"
    assert of_counts(0, 0).better is None
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


@given(st.floats(-9, 9), st.floats(0, 9), st.floats(0, 9), st.floats(0.01, 9))
def test_an_answer_rules_out_what_it_says(value: float, below: float, above: float, matters_from: float) -> None:
    difference = Interval(value=value, low=value - below, high=value + above)

    answer = answer_to(difference, matters_from=matters_from, data=100)

    largest = max(abs(difference.low), abs(difference.high))
    barely = 1e-8
    if answer == "too small to matter":
        assert largest <= matters_from + barely
    if answer == "no clear difference":
        assert matters_from - barely <= largest <= 2 * matters_from + barely
    if answer == "too little data":
        assert largest >= 2 * matters_from - barely
        assert below >= value - barely >= -above - 2 * barely or abs(value) < matters_from + barely


@given(st.floats(-9, 9), st.floats(0, 9), st.floats(0.01, 9), st.floats(1, 100))
def test_no_more_is_said_of_a_wider_interval_unless_one_is_better(
    value: float, half: float, matters_from: float, wider: float
) -> None:
    known = ("too little data", "no clear difference", "too small to matter")

    def answer(width: float) -> str:
        difference = Interval(value=value, low=value - width, high=value + width)
        return answer_to(difference, matters_from=matters_from, data=100)

    narrow, wide = answer(half), answer(half * wider)

    if narrow != "better":
        assert wide != "better"
        assert known.index(wide) <= known.index(narrow)


def test_every_output_that_names_the_answers_states_their_rule() -> None:
    comparison = judged(samples.comparison())

    for told in (Parts(render_html(comparison)).rest["verdict"], render_record(comparison)):
        for answer in ("Better", "Too small to matter", "No clear difference", "Too little data"):
            assert f"{answer}: " in told


@pytest.mark.parametrize(
    ("low", "median", "high", "answer"),
    [
        (0.7, 1.1, 1.6, "too little data"),
        (0.92, 1.0, 1.09, "no clear difference"),
        (1.01, 1.02, 1.03, "too small to matter"),
    ],
)
def test_page_record_and_plot_say_of_every_ratio_what_the_verdict_says(
    low: float, median: float, high: float, answer: str
) -> None:
    comparison = judged(ratio_changed(low=low, median=median, high=high))
    page, record = Parts(render_html(comparison)), render_record(comparison)

    by_ratio = {one.answer for one in comparison.verdict.findings if "pairs)" in one.evidence and not one.difference}
    assert by_ratio == {answer}
    assert {*page.plots["ratios"].labels} == {answer}
    cells = [row[-1] for row in page.table("Times in ms") if row[-1]]
    cells += [cell for row in page.table("Each style divided by what it is held against") for cell in row[1:] if cell]
    assert cells
    assert all(f" {answer}; " in cell for cell in cells)
    ratios = re.findall(r"\d \(\d\.\d+ to \d\.\d+\)(.*?) \|", record)
    assert {*ratios} == {f", {answer}"}


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
    cells = [cell for one in page.tables for row in one.rows[1:] for cell in row if said in cell]
    assert not any(f"{pairs} pairs" in cell for cell in cells)  # it is said once
    assert not re.search(rf"{said} \| {pairs} \|", record)
    for told in (page.rest[""] + str([one.rows for one in page.tables]), record, terminal):
        assert not re.search(r"1\.20(-| to )1\.30", told)
        assert said in told
    references = page.table("Each style divided by what it is held against")
    assert references
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


def test_a_baseline_of_too_little_data_is_neither_held_nor_missed() -> None:
    name = "saga/bare_workflow.end_to_end_ms"
    before = samples.comparison(ratios={name: ratio(1.0, 0.99, 1.01, pairs=100)})
    now = samples.comparison(ratios={name: ratio(3.0, 2.9, 3.1, pairs=5)})

    (found,) = (one for one in check(before, now) if "bare workflow" in one.name)

    assert found.answer == "too little data"
    assert not found.regressed
    assert found.now == "3.00"
    assert "too little data" in junit_xml(now, [found])


def test_the_headline_tells_each_answer_of_its_own() -> None:
    ratios = {
        "end_to_end_ms": ratio(1.5, 1.4, 1.6),
        "reaction_ms.shipping": ratio(1.03, 1.01, 1.04),
        "reaction_ms.invoicing": ratio(1.02, 0.95, 1.08),
        "reaction_ms.marketing": ratio(1.5, 1.4, 1.6, pairs=2),
    }

    headline = judged(samples.comparison(ratios=ratios)).verdict.headline

    assert "The saga does better in end-to-end latency" in headline
    assert "No clear difference in reaction of invoicing" in headline
    assert "No difference that matters in reaction of shipping" in headline
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
