"""How a ratio is written for people: on the terminal, on the page, in the decision record and against a baseline."""

from lab.report import Ratio


def figure(value: float) -> str:
    """Two decimals; three where two would say that both are equal and they are not."""
    return f"{value:.3f}" if f"{value:.2f}" == "1.00" and value != 1 else f"{value:.2f}"


def interval(ratio: Ratio | None, *, dash: str = " to ") -> str:
    """The median and its 95 % interval; the median alone of too few pairs, which have none; nothing of no ratio."""
    if ratio is None:
        return ""
    if not ratio.has_interval:
        return figure(ratio.median)
    return f"{figure(ratio.median)} ({figure(ratio.low)}{dash}{figure(ratio.high)})"


def pairs(ratio: Ratio | None) -> str:
    """How many pairs a ratio is of."""
    return "" if ratio is None else f"{ratio.pairs:,}"


def too_few(ratio: Ratio) -> str:
    """What is said of a ratio of so few pairs that it has no interval."""
    return f"too few pairs: {ratio.pairs:,}"
