"""The one rule by which a figure favours a style: in the verdict, in plots and tables, and in the record.

First there must be data enough, then a difference beyond chance, and then one that matters to anybody. A difference
matters from 5 % of what it is in the saga: nobody notices less of an order's time, of a rate, or of a bill. Of effects
that an outage delays or loses, it matters from 5 of 100. Of things that are counted in the code, each one matters.

Whoever decides wants to know what can be ruled out. So an interval that reaches beyond twice what matters says nothing,
wherever its middle lies: "no clear difference" is an answer, and not a lack of one.
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

RULED_OUT = 2
"""There is no clear difference where one of more than so many times what matters is ruled out."""

RULE: dict[str, str] = {
    "Better": "the 95 % interval of the difference leaves out that both are equal, and it is one that matters.",
    "Too small to matter": "the whole interval lies within what matters.",
    "No clear difference": "the interval lies within twice what matters, so that a larger difference is ruled out.",
    "Too little data": (
        f"all else, fewer than {ENOUGH_PAIRS} pairs or orders, or nothing measured; more orders tell more."
    ),
    "What matters": (
        f"{MATTERS} of what it is in the saga, {MATTERS_POINTS} of the effects that an outage delays or loses, one of "
        "what is counted in the code, which is exact."
    ),
}
"""For people: the first answer that applies; and what they all rest on."""

METHODS = (
    "Intervals of ratios: the bootstrap of the median over pairs. Of cost: Student's t over the differences of the "
    "orders that both styles ran. Of blast radius: Newcombe's (1998, method 10), over orders and not over effects, as "
    "those of one order share its fate."
)

_Z_95 = NormalDist().inv_cdf(0.975)
_DIGITS = 9
"""Of a difference: what floating-point arithmetic adds beyond them decides nothing."""


@dataclass(frozen=True)
class Judgement:
    """What a figure says."""

    answer: Answer
    better: Style | None = None
    """Where the answer is that one is better."""


TOO_LITTLE = Judgement("too little data")


def answer_to(difference: Interval, *, matters_from: float, data: float) -> Answer:
    """The rule itself, whatever the difference is of.

    Args:
        difference: with what it is known to.
        matters_from: the least difference that matters.
        data: how many pairs or orders it is of; infinite where it is exact.
    """
    low, value, high = (round(one, _DIGITS) for one in (difference.low, difference.value, difference.high))
    reach = max(-low, high)
    if data < ENOUGH_PAIRS:
        return "too little data"
    if not low <= 0 <= high and abs(value) >= matters_from:
        return "better"
    if reach <= matters_from:
        return "too small to matter"
    return "no clear difference" if reach <= RULED_OUT * matters_from else "too little data"


def of_difference(difference: Interval, *, matters_from: float, data: float, less_is_better: bool = True) -> Judgement:
    """What the difference choreography - saga of a figure says.

    Args:
        difference: with what it is known to.
        matters_from: the least difference that matters.
        data: how many pairs or orders it is of; infinite where it is exact.
        less_is_better: of the figure.
    """
    answer = answer_to(difference, matters_from=matters_from, data=data)
    if answer != "better":
        return Judgement(answer)
    return Judgement(answer, "choreography" if (difference.value < 0) is less_is_better else "saga")


def of_ratio(ratio: Ratio | None, *, less_is_better: bool) -> Judgement:
    """What the ratio choreography / saga says: how far it is from 1 is a share of what the figure is in the saga."""
    if ratio is None:
        return TOO_LITTLE
    difference = Interval(value=ratio.median - 1, low=ratio.low - 1, high=ratio.high - 1)
    return of_difference(difference, matters_from=MATTERS_SHARE, data=ratio.pairs, less_is_better=less_is_better)


def of_counts(saga: int, choreography: int) -> Judgement:
    """What two exact counts say, of which less is better and each one matters."""
    difference = choreography - saga
    exact = Interval(value=difference, low=difference, high=difference)
    return of_difference(exact, matters_from=1, data=math.inf)


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
