"""How figures and names are written for people, on the page and in the decision record."""

from lab.compare.comparison import AT_A_THIRD
from lab.report import ENOUGH_PAIRS, Ratio
from orders.model import Style

NOT_MEASURED = "not measured"

_MEASURES = {
    "ack_ms": "acknowledged",
    "end_to_end_ms": "end to end",
    "consistent_ms": "consistent",
    "orders_per_s": "orders per second",
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


def interval(ratio: Ratio | None) -> str:
    """A ratio and its 95 % interval; nothing where there is none."""
    return "" if ratio is None else f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


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


def better(name: str, ratio: Ratio) -> Style | None:
    """The style that a ratio favours; None where that is not clear, or where it does not compare the two styles."""
    compares = name in _MEASURES or name.startswith(_REACTION)
    if not (compares and ratio.is_clear):
        return None
    return "choreography" if (ratio.median > 1) is (name == _MORE_IS_BETTER) else "saga"


def verdict_of(name: str, ratio: Ratio) -> str:
    """What a ratio says, in a few words; nothing where it does not compare the two styles."""
    if "/" in name:
        return ""
    if ratio.pairs < ENOUGH_PAIRS:
        return f"too few pairs: {ratio.pairs}"
    favoured = better(name, ratio)
    if favoured:
        return f"{favoured} better"
    return "" if ratio.is_clear else "no clear difference"
