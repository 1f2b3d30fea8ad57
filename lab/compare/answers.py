"""The one rule by which a figure favours a style: in the verdict, in plots and tables, and in the record.

First there must be data enough, then a difference beyond chance, and then one that matters to anybody. A difference
matters from 5 % of what it is in the saga: nobody notices less of an order's time, of a rate, or of a bill. Of effects
that an outage delays or loses, it matters from 5 of 100. Of things that are counted in the code, each one matters.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from lab.compare.comparison import Answer, Interval
from lab.report import ENOUGH_PAIRS, Ratio
from orders.model import Style

MATTERS_SHARE = 0.05
"""A difference matters from this share on: of what it is in the saga, or of all effects that were due."""

MATTERS = f"{MATTERS_SHARE * 100:g} %"
MATTERS_POINTS = f"{MATTERS_SHARE * 100:g} percentage points"

METHODS = (
    "Intervals of ratios: the bootstrap of the median over pairs. Of cost: Student's t over orders. Of blast radius: "
    "Newcombe's (1998, method 10), over orders and not over effects, as those of one order share its fate."
)

_Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Judgement:
    """What a figure says."""

    answer: Answer
    better: Style | None = None
    """Where the answer is that one is better."""


TOO_LITTLE = Judgement("too little data")


def of_ratio(ratio: Ratio | None, *, less_is_better: bool) -> Judgement:
    """What the ratio choreography / saga of a figure that both styles have says."""
    if ratio is None or ratio.says == "too few pairs":
        return TOO_LITTLE
    if ratio.says == "no clear difference":
        return Judgement("no clear difference")
    if abs(ratio.median - 1) < MATTERS_SHARE:
        return Judgement("too small to matter")
    return Judgement("better", "choreography" if (ratio.median < 1) is less_is_better else "saga")


def of_difference(difference: Interval, *, matters_from: float, data: int) -> Judgement:
    """What the difference choreography - saga of a figure says, of which less is better.

    Args:
        difference: with what it is known to.
        matters_from: the least difference that matters.
        data: how many orders it is of.
    """
    if data < ENOUGH_PAIRS:
        return TOO_LITTLE
    if difference.low <= 0 <= difference.high:
        return Judgement("no clear difference")
    if abs(difference.value) < matters_from:
        return Judgement("too small to matter")
    return Judgement("better", "choreography" if difference.value < 0 else "saga")


def of_counts(saga: int, choreography: int) -> Judgement:
    """What two exact counts say, of which less is better and each one matters."""
    if saga == choreography:
        return Judgement("no clear difference")
    return Judgement("better", "saga" if saga < choreography else "choreography")


def difference_of_means(saga: float, choreography: float, saga_half: float, choreography_half: float) -> Interval:
    """Choreography - saga, with a 95 % interval from those of both means.

    As if the means were of different orders, which errs on the wide side: both are of the same.

    Args:
        saga: mean.
        choreography: mean.
        saga_half: half the width of its 95 % interval.
        choreography_half: likewise.
    """
    value, half = choreography - saga, math.hypot(saga_half, choreography_half)
    return Interval(value=round(value, 4), low=round(value - half, 4), high=round(value + half, 4))


def difference_of_shares(saga: float, choreography: float, count: int) -> Interval:
    """Choreography - saga of two shares, with Newcombe's 95 % interval from Wilson's of each.

    R. G. Newcombe: Interval estimation for the difference between independent proportions: comparison of eleven
    methods. Statistics in Medicine 17 (1998), pp. 873-890, method 10.

    Args:
        saga: share.
        choreography: share.
        count: of how many each of them is.
    """
    (low_c, high_c), (low_s, high_s) = wilson(choreography, count), wilson(saga, count)
    value = choreography - saga
    low = value - math.hypot(choreography - low_c, high_s - saga)
    high = value + math.hypot(high_c - choreography, saga - low_s)
    return Interval(value=round(value, 4), low=round(low, 4), high=round(high, 4))


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of so many; all there can be of none."""
    if not count:
        return 0, 1
    square = _Z_95**2 / count
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return max(0, min(share, middle - half)), min(1, max(share, middle + half))
