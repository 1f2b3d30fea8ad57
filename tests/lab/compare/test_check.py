"""Holding a comparison against an earlier one, and telling a CI of it."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from faults.plan import FaultPlan, load_plan
from lab.audit import AuditReport, Violation
from lab.compare.check import check, read_baseline
from lab.compare.comparison import Comparison
from lab.compare.junit import junit_xml
from lab.compare.plan import ComparePlan
from runtime.errors import InputError
from services.order_placed import ACTIONS
from tests.lab.compare.sample_figures import ratio
from tests.lab.compare.samples import comparison

TIME = "saga/bare_workflow.end_to_end_ms"
RATE = "saga/bare_workflow.orders_per_s"
HOSTILE = load_plan("hostile", ACTIONS)


def plan(faults: FaultPlan | None = HOSTILE) -> ComparePlan:
    return ComparePlan.now(200, 7, faults=faults)


def worse(before: Comparison, now: Comparison) -> list[str]:
    return [one.name for one in check(before, now) if one.regressed]


def with_ratio(name: str, low: float, high: float, pairs: int = 100) -> Comparison:
    return comparison(ratios={name: ratio((low + high) / 2, low, high, pairs)})


def test_the_same_result_has_regressed_in_nothing() -> None:
    assert worse(comparison(), comparison()) == []
    assert check(comparison(), comparison())


@pytest.mark.parametrize(
    ("name", "before", "now", "regressed"),
    [
        (TIME, (1.00, 1.10), (1.11, 1.20), True),
        (TIME, (1.00, 1.10), (1.09, 1.20), False),
        (TIME, (1.00, 1.10), (0.80, 0.90), False),
        (RATE, (0.90, 1.00), (0.80, 0.89), True),
        (RATE, (0.90, 1.00), (0.80, 0.91), False),
        (RATE, (0.90, 1.00), (1.10, 1.20), False),
    ],
)
def test_a_ratio_has_regressed_where_the_intervals_lie_apart_on_the_worse_side(
    name: str, before: tuple[float, float], now: tuple[float, float], *, regressed: bool
) -> None:
    assert bool(worse(with_ratio(name, *before), with_ratio(name, *now))) is regressed


def test_of_too_few_pairs_nothing_is_concluded() -> None:
    assert worse(with_ratio(TIME, 1.0, 1.1), with_ratio(TIME, 2.0, 2.1, pairs=5)) == []


def test_more_actions_per_order_are_worse_and_one_in_a_thousand_is_noise() -> None:
    before = comparison()
    saga = before.styles["saga"]
    assert saga.actions_per_order is not None

    def now(factor: float) -> Comparison:
        more = saga.model_copy(update={"actions_per_order": (saga.actions_per_order or 0) * factor})
        return comparison(styles={**before.styles, "saga": more})

    assert worse(before, now(1.001)) == []
    assert worse(before, now(1.2)) == ["saga: actions per order"]


def test_what_one_of_the_runs_lacks_is_not_compared() -> None:
    assert check(comparison(ratios={}), comparison(ratios={})) == check(comparison(), comparison(ratios={}))


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    file.write_text(comparison().model_dump_json())

    assert read_baseline(file, plan()) == comparison()


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (None, "can't read the baseline"),
        ("{", "no result of"),
        ("[]", "no result of"),
        (json.dumps({"orders": 3}), "no result of"),
        (comparison(partial=True).model_dump_json(), "interrupted"),
        (comparison(faults=None).model_dump_json(), "no faults"),
    ],
    ids=["missing", "no json", "a list", "something else", "partial", "other faults"],
)
def test_a_baseline_that_is_none_is_refused(tmp_path: Path, content: str | None, names: str) -> None:
    file = tmp_path / "before.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(InputError, match=names):
        read_baseline(file, plan())


def test_junit_has_a_case_for_the_guarantees_and_for_each_figure() -> None:
    before, now = with_ratio(TIME, 1.0, 1.1), with_ratio(TIME, 1.2, 1.3)
    violation = Violation(order_id="1", style="saga", guarantee=1, what="<twice> & more")
    broken = now.model_copy(update={"audit": AuditReport(checked=2, violations=[violation])})

    suite = ET.fromstring(junit_xml(broken, check(before, broken)))  # noqa: S314 - written a moment ago

    cases = {case.get("name"): case.find("failure") for case in suite}
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == "2"
    assert cases["every guarantee holds"] is not None
    assert cases["end to end ms of saga against bare workflow"] is not None
    assert cases["saga: actions per order"] is None
