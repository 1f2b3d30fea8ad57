"""Every figure on the page is the one of the JSON."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.compare.comparison import Comparison
from lab.compare.page import render_html
from lab.report import Ratio
from tests.lab.compare import samples
from tests.lab.compare.all_checks import check_page
from tests.lab.compare.document import Parts
from tests.lab.compare.expected import Json
from tests.lab.compare.generated import COMPARISONS
from tests.lab.compare.leaves import changed, leaves
from tests.lab.compare.page_checks import check_evidence, check_tables
from tests.lab.compare.varied import VARIED, judged

SAMPLE = judged(samples.comparison())

NOT_SHOWN = re.compile(
    r"styles\.\w+\.noise_per_order\..*"  # what --check holds against a baseline
    r"|fan_out\.\d\.(end_to_end_ms|ms_per_subscriber)\.(p95|p99|max|n)"
    r"|fan_out\.\d\.history_events_per_order"
)
"""Of what is on the page: these are only in the JSON."""

SHOWN = (
    *(
        "styles",
        "ratios",
        "differences",
        "references",
        "fan_out",
        "growth",
        "blast",
        "consistent_ms",
        "orders",
        "parity.compared",
    ),
    *("eventbridge_usd_per_million_orders", "timelines", "audit.checked", "coupling.modules"),
)


def result_of(comparison: Comparison) -> Json:
    result: Json = json.loads(comparison.model_dump_json())
    return result


@pytest.mark.parametrize("comparison", [SAMPLE, *VARIED], ids=lambda _: "")
def test_each_figure_is_the_one_of_the_json(comparison: Comparison) -> None:
    whole = judged(comparison)

    check_evidence(result_of(whole), Parts(render_html(whole)))
    check_tables(result_of(whole), Parts(render_html(whole)))


@given(COMPARISONS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_each_cell_is_the_figure_of_the_json_whatever_was_measured(comparison: Comparison) -> None:
    check_tables(result_of(comparison), Parts(render_html(comparison)))


@pytest.mark.parametrize("comparison", [one for one in (SAMPLE, *VARIED) if one.at_a_third], ids=lambda _: "")
def test_plots_and_texts_tell_the_figures_of_the_json(comparison: Comparison) -> None:
    whole = judged(comparison)

    check_page(result_of(whole), render_html(whole))


@given(st.sampled_from([leaf for leaf in leaves(result_of(SAMPLE), SHOWN) if not NOT_SHOWN.fullmatch(leaf)]))
@settings(max_examples=60, deadline=None)
def test_a_page_with_one_wrong_figure_is_found_out(leaf: str) -> None:
    wrong = Comparison.model_validate(changed(result_of(SAMPLE), leaf))

    with pytest.raises((AssertionError, KeyError)):
        check_page(result_of(SAMPLE), render_html(wrong))


def test_an_interval_that_leaves_1_out_never_reads_as_if_it_held_1() -> None:
    barely = Ratio(median=1.06, low=1.003, high=1.12, pairs=60)
    page = Parts(render_html(samples.comparison(ratios={"end_to_end_ms": barely})))

    assert "1.06 (1.003 to 1.12) saga better; 60 pairs" in [row[-1] for row in page.table("Times in ms")]
