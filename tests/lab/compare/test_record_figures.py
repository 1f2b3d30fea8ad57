"""Every figure in the decision record is the one of the JSON."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.compare.comparison import Comparison
from lab.compare.record import render_record
from tests.lab.compare import samples
from tests.lab.compare.leaves import changed, leaves
from tests.lab.compare.record_checks import check_record
from tests.lab.compare.test_page_figures import result_of
from tests.lab.compare.varied import VARIED, judged

SAMPLE = judged(samples.comparison())

SHOWN = (
    *(
        "styles",
        "ratios",
        "differences",
        "blast",
        "consistent_ms",
        "orders",
        "seed",
        "parity.compared",
        "audit.checked",
    ),
    *("eventbridge_usd_per_million_orders", "coupling.modules"),
)
NOT_SHOWN = re.compile(r"styles\.\w+\.noise_per_order\..*|.*_ms\.([a-z]+\.)?max")
"""Of what is in the record: these are only in the JSON, and the largest time on the page."""


@pytest.mark.parametrize("comparison", [SAMPLE, *VARIED], ids=lambda _: "")
def test_each_figure_is_the_one_of_the_json(comparison: Comparison) -> None:
    whole = judged(comparison)

    check_record(result_of(whole), render_record(whole))


@given(st.sampled_from([leaf for leaf in leaves(result_of(SAMPLE), SHOWN) if not NOT_SHOWN.fullmatch(leaf)]))
@settings(max_examples=60, deadline=None)
def test_a_record_with_one_wrong_figure_is_found_out(leaf: str) -> None:
    wrong = Comparison.model_validate(changed(result_of(SAMPLE), leaf))

    with pytest.raises((AssertionError, ValueError)):
        check_record(result_of(SAMPLE), render_record(wrong))
