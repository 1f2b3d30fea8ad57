"""How figures and names are written for people, on the page and in the decision record."""

from faults.plan import FaultPlan
from lab.compare.answers import of_ratio
from lab.compare.comparison import AT_A_THIRD
from lab.ratio_words import interval, too_few
from lab.report import ENOUGH_PAIRS, PairedDifference, Ratio
from orders.model import Style

NOT_MEASURED = "not measured"

_MEASURES = {
    "ack_ms": "acknowledged",
    "end_to_end_ms": "end to end",
    "consistent_ms": "consistent",
    "orders_per_s": "orders per second",
    "cancellation_answered_ms": "cancellation answered",
}
_REACTION = "reaction_ms."
_MORE_IS_BETTER = "orders_per_s"
_REFERENCES = {
    "bare_workflow": "bare workflow",
    "naive_fanout": "naive fan-out",
    "one_activity": "one activity",
    "fresh": "itself in a fresh lab",
    "untuned": "itself on default server settings",
}

_S = 1_000
_LARGE = 100


def number(value: float | None) -> str:
    """A figure with thousands separators; with decimals where it has some and is small enough for them to matter."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value == int(value) or abs(value) >= _LARGE else f"{value:,.2f}"


def tenths(value: float | None) -> str:
    """A figure of a table: always one decimal, so that columns align."""
    return NOT_MEASURED if value is None else f"{value:,.1f}"


def duration(ms: float) -> str:
    """A time in ms with the unit that suits its size."""
    if ms >= 10 * _S:
        return f"{ms / _S:,.1f} s"
    return f"{ms:,.0f} ms" if ms >= _LARGE else f"{ms:,.3g} ms"


def dollars(value: float | None) -> str:
    """An amount in USD."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f} USD" if value >= _LARGE or value == int(value) else f"{value:,.2f} USD"


def faults(plan: FaultPlan) -> str:
    """What went wrong on purpose: a plan's name does not tell that customers cancel, as `--cancel-share` adds them."""
    cancelling = f", {plan.customers.cancel * 100:.3g} % of the customers cancel" if plan.customers else ""
    return f"{plan.name}{cancelling}"


def reference(name: str) -> str:
    """A reference as people call it."""
    return _REFERENCES.get(name, name.replace("_", " "))


def measure(name: str) -> str:
    """What a ratio is about: `reaction_ms.shipping` is `shipping reacted`.

    A name such as `saga/bare_workflow.end_to_end_ms` says what is divided by what.
    """
    pair, dot, rest = name.partition(".")
    if "/" in pair and dot:
        ours, _, theirs = pair.partition("/")
        return f"{reference(ours)} / {reference(theirs)}, {measure(rest)}"
    if name.startswith(AT_A_THIRD):
        return f"{measure(name.removeprefix(AT_A_THIRD))} at a third of the maximum throughput"
    if name.startswith(_REACTION):
        return f"{name.removeprefix(_REACTION)} reacted"
    return _MEASURES.get(name, name.replace("_", " "))


def compares_styles(name: str) -> bool:
    """Whether a ratio of this name is choreography / saga, of a figure that can be better or worse."""
    return name in _MEASURES or name.startswith(_REACTION)


def better(name: str, ratio: Ratio) -> Style | None:
    """The style that a ratio favours; None where neither, or where it does not compare the two styles."""
    return of_ratio(ratio, less_is_better=name != _MORE_IS_BETTER).better if compares_styles(name) else None


def reservation(ratio: Ratio) -> str:
    """What has to be said beside a ratio of anything, by the rule for all; nothing of a clear one that matters."""
    if not ratio.has_interval:
        return too_few(ratio)
    answer = of_ratio(ratio, less_is_better=True).answer
    return "" if answer == "better" else answer


def verdict_of(name: str, ratio: Ratio) -> str:
    """What a ratio says, in a few words; of one that does not compare the two styles, only its reservation."""
    favoured = better(name, ratio)
    return f"{favoured} better" if favoured else reservation(ratio)


def difference(found: PairedDifference) -> str:
    """The mean of a difference and its interval; the mean alone of too few pairs."""
    if found.pairs < ENOUGH_PAIRS:
        return f"{found.mean:+,.2f}"
    return f"{found.mean:+,.2f} ({found.low:+,.2f} to {found.high:+,.2f})"


def pairs_of(found: PairedDifference) -> str:
    """How many pairs a difference is of, and how many orders are in none."""
    return f"{found.pairs:,}" + (f" ({found.left_out:,} left out)" if found.left_out else "")


def with_reservation(ratio: Ratio | None) -> str:
    """A ratio that does not compare the two styles, with all that has to be said of it."""
    return "" if ratio is None else ", ".join(filter(None, (interval(ratio), reservation(ratio))))
