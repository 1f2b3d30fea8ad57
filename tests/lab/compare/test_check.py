"""Holding a comparison against an earlier one, and telling a CI of it."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from faults.plan import FaultPlan, load_plan
from lab.audit import AuditReport, Violation
from lab.compare.check import check, read_baseline
from lab.compare.comparison import Comparison
from lab.compare.junit import junit_xml
from lab.compare.plan import ComparePlan
from lab.compare.table import table
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


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ((1.00, 1.01), (1.02, 1.03), "too small to matter"),  # worse, by less than anybody notices
        ((1.00, 1.02), (1.00, 1.02), "too small to matter"),
        ((1.00, 1.02), (1.06, 1.08), "worse"),
        ((1.06, 1.08), (1.00, 1.02), "better"),
        ((1.00, 1.04), (1.01, 1.08), "no clear difference"),
        ((0.80, 1.30), (0.85, 1.40), "too little data"),  # it could have grown by half without anybody's knowing
    ],
)
def test_a_change_is_told_by_the_rule_of_the_verdict(
    before: tuple[float, float], now: tuple[float, float], says: str
) -> None:
    earlier, result = with_ratio(TIME, *before), with_ratio(TIME, *now)

    (found,) = (one for one in check(earlier, result) if "bare" in one.name)

    assert found.says == says
    suite = ET.fromstring(junit_xml(result, [found]))  # noqa: S314 - written a moment ago
    assert suite.get("failures") == str(int(says == "worse"))
    assert suite.get("skipped") == str(int(says == "too little data"))
    console = Console(file=io.StringIO(), width=200)
    console.print(table(result, [found]))
    assert isinstance(console.file, io.StringIO)
    (row,) = (line for line in console.file.getvalue().splitlines() if found.name in line)
    assert says in row


def test_a_ratio_that_was_rounded_to_nothing_can_be_held_against() -> None:
    assert worse(with_ratio(TIME, 0.0, 0.0), with_ratio(TIME, 0.0, 0.0)) == []


def test_of_too_few_pairs_nothing_is_concluded() -> None:
    assert worse(with_ratio(TIME, 1.0, 1.1), with_ratio(TIME, 2.0, 2.1, pairs=5)) == []


def with_count(name: str, value: float, noise: float) -> Comparison:
    styles = comparison().styles
    saga = styles["saga"].model_copy(update={name: value, "noise_per_order": {name: noise}})
    return comparison(styles={**styles, "saga": saga})


@pytest.mark.parametrize(
    ("name", "before", "now", "noise", "regressed"),
    [
        ("actions_per_order", 5.0, 5.01, 0, False),
        ("actions_per_order", 5.0, 5.5, 0.1, True),
        ("actions_per_order", 5.0, 5.5, 0.4, False),  # customers and faults are not the same in two runs
        ("actions_per_order", 5.0, 4.0, 0, False),
        ("history_events_per_order", 22.4, 22.7, 0.1, False),  # how many steps end at the same time
        ("history_events_per_order", 22.4, 26.4, 0.1, True),
        ("workflows_per_order", 1.0, 2.0, 0.02, True),
        ("workflows_per_order", 1.0, 1.02, 0.02, False),
    ],
)
def test_a_count_is_worse_where_it_grew_beyond_the_noise_of_both_runs(
    name: str, before: float, now: float, noise: float, *, regressed: bool
) -> None:
    found = worse(with_count(name, before, noise), with_count(name, now, noise))

    assert found == ([f"saga: {name.replace('_', ' ')}"] if regressed else [])


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
