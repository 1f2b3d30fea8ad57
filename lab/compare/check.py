"""Holds a comparison against an earlier one: what got worse beyond the noise of both."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from lab.compare.answers import MATTERS_SHARE, answer_to
from lab.compare.comparison import Answer, Comparison, Interval
from lab.compare.plan import ComparePlan
from lab.ratio_words import interval
from lab.report import Ratio
from orders.loader import first_complaint
from orders.model import STYLES
from runtime.documents import read_file, text_of
from runtime.errors import InputError

_TIMES = ("saga/bare_workflow.end_to_end_ms", "choreography/bare_workflow.end_to_end_ms", "end_to_end_ms")
_RATES = ("saga/bare_workflow.orders_per_s", "choreography/bare_workflow.orders_per_s", "orders_per_s")
_COUNTS = {"history_events_per_order": 0.1, "actions_per_order": 0.01, "workflows_per_order": 0.01}
"""Count to the share by which it may grow.

On a slower machine, steps that end at the same time are taken in by one workflow task, or by two: three events of some
25. The others depend on no clock.
"""


@dataclass(frozen=True)
class Check:
    """One figure of both runs."""

    name: str
    before: str
    now: str
    answer: Answer
    """What the change says, by the rule for all figures."""
    is_worse: bool
    """The direction of the change; it counts where the answer says that one run is better."""

    @property
    def regressed(self) -> bool:
        """Whether it got worse."""
        return self.answer == "better" and self.is_worse

    @property
    def says(self) -> str:
        """The answer for people."""
        return "worse" if self.regressed else self.answer

    @property
    def told(self) -> str:
        """In one line."""
        return f"{self.name}: {self.now}, before {self.before}"


def check(baseline: Comparison, result: Comparison) -> list[Check]:
    """Compare the figures that do not depend on the machine: ratios within each run, and counts.

    The rule is that of the verdict, applied to the change from one run to the other. Its interval is the widest that
    both runs allow: it leaves out that nothing has changed where their intervals do not overlap.

    Args:
        baseline: the earlier run.
        result: the new one; figures that one of them lacks are left out.
    """
    return [*_ratios(baseline, result), *_counts(baseline, result)]


def _ratios(baseline: Comparison, result: Comparison) -> Iterator[Check]:
    for name in (*_TIMES, *_RATES):
        before, now = baseline.ratios.get(name), result.ratios.get(name)
        if before is not None and now is not None:
            is_worse = (now.median > before.median) is (name in _TIMES)
            yield Check(_named(name), _told(before), _told(now), _change(before, now), is_worse)


def _change(before: Ratio, now: Ratio) -> Answer:
    """What the later ratio, divided by the earlier one, says."""
    if before.low <= 0:
        return "too little data"  # it was rounded to nothing, of which anything is a multiple
    change = Interval(
        value=now.median / before.median - 1, low=now.low / before.high - 1, high=now.high / before.low - 1
    )
    return answer_to(change, matters_from=MATTERS_SHARE, data=min(before.pairs, now.pairs))


def _counts(baseline: Comparison, result: Comparison) -> Iterator[Check]:
    for style in STYLES:
        for name, share in _COUNTS.items():
            before, now = (getattr(run.styles[style], name) for run in (baseline, result))
            if before is not None and now is not None:
                noise = sum(run.styles[style].noise_per_order.get(name, 0) for run in (baseline, result))
                change = Interval(value=now - before, low=now - before - noise, high=now - before + noise)
                answer = answer_to(change, matters_from=before * share, data=math.inf)
                name_told = f"{style}: {name.replace('_', ' ')}"
                yield Check(name_told, f"{before:g}", f"{now:g}", answer, change.value > 0)


def read_baseline(path: Path, plan: ComparePlan) -> Comparison:
    """Read an earlier result.

    Args:
        path: as `compare --json` wrote it.
        plan: of the run that is to be held against it.

    Raises:
        InputError: it is no such file, or was run with other faults.
    """
    text = text_of(read_file(path, what="the baseline "), where=f"the baseline {path}")
    try:
        baseline = Comparison.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{path} is no result of `orderlab compare --json`: {first_complaint(error)}") from error
    if baseline.partial:
        raise InputError(f"the baseline {path} is of a run that was interrupted")
    if baseline.faults != plan.faults:
        was = "no faults" if baseline.faults is None else f"the faults {baseline.faults.name!r}"
        raise InputError(f"the baseline {path} was run with {was}: give the same --faults, --profile, --cancel-share")
    return baseline


def _named(ratio: str) -> str:
    who, _, what = ratio.rpartition(".")
    return f"{what} of {who.replace('/', ' against ') or 'choreography against saga'}".replace("_", " ")


def _told(ratio: Ratio) -> str:
    return interval(ratio, dash="-")
