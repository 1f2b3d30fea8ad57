"""Plots with bars: how orders ended, retries, cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.compare.comparison import Comparison
from lab.compare.page.axes import Frame, linear
from lab.compare.page.drawing import Drawing, Path, Text, box, fit, text_width
from lab.compare.page.words import dollars, number
from orders.model import STYLES

STATES = ("completed", "parked", "cancelled", "attention")
"""Ends of an order, as they are stacked; others come after them."""

_LEFT, _RIGHT, _TOP = 96, 440, 12
_WIDTH = 520
_ROW, _BAR = 34, 22


@dataclass(frozen=True)
class _Part:
    """A piece of a bar."""

    value: float
    css: str
    tip: str
    inside: str = ""
    """Written into it where there is room."""


@dataclass(frozen=True)
class _Bar:
    name: str
    parts: Sequence[_Part]
    after: str
    """Written behind it."""


def states_of(comparison: Comparison) -> list[str]:
    """All ends that orders came to, in the sequence in which they are shown."""
    found = {state for report in comparison.styles.values() for state in report.end_states}
    return [*(state for state in STATES if state in found), *sorted(found - {*STATES})]


def ends_plot(comparison: Comparison) -> Drawing | None:
    """How many orders ended in which state, stacked, a bar per style; None where none ended."""
    states = states_of(comparison)
    bars = []
    for style in STYLES:
        ends = comparison.styles[style].end_states
        parts = [
            _Part(ends[state], f"state {css_of(state)}", f"{style}: {ends[state]} {state}", str(ends[state]))
            for state in states
            if ends.get(state)
        ]
        bars.append(_Bar(style, parts, f"{sum(ends.values())} orders"))
    return _drawn("end-states", "How the orders ended", bars)


def css_of(state: str) -> str:
    """The class name of a state; unknown ones share one."""
    return state if state in STATES else "other"


def retries_plot(comparison: Comparison) -> Drawing | None:
    """Attempts beyond the first, a bar per style; None where they were not counted."""
    counted = {style: comparison.styles[style].retries for style in STYLES}
    bars = [
        _Bar(style, [_Part(retries, style, f"{style}: {retries} retries")], f"{retries:,}")
        for style, retries in counted.items()
        if retries is not None
    ]
    return _drawn("retries", "Retries", bars)


def cost_plot(comparison: Comparison) -> Drawing | None:
    """What a million orders cost on Temporal Cloud, and their events on EventBridge; None where neither is known."""
    bars = []
    for style in STYLES:
        usd, actions = comparison.styles[style].usd_per_million_orders, comparison.styles[style].actions_per_order
        if usd is not None:
            tip = f"{style}: {dollars(usd)}, {number(actions)} Actions per order"
            bars.append(_Bar(style, [_Part(usd, style, tip)], dollars(usd)))
    for style in STYLES:
        usd = comparison.eventbridge_usd_per_million_orders.get(style)
        if usd is not None:
            part = _Part(usd, f"{style} elsewhere", f"the events of the {style} on EventBridge: {dollars(usd)}")
            bars.append(_Bar("EventBridge", [part], dollars(usd)))
    return _drawn("cost", "Cost of a million orders", bars)


def _drawn(name: str, title: str, bars: Sequence[_Bar]) -> Drawing | None:
    if not bars or not any(bar.parts for bar in bars):
        return None
    longest = max(sum(part.value for part in bar.parts) for bar in bars)
    bottom = _TOP + _ROW * len(bars)
    frame = Frame(_LEFT, _TOP, _RIGHT, bottom, linear(0, longest or 1, "{:,g}".format))
    shapes: list[Path | Text] = [*frame.x_axis()]
    for index, bar in enumerate(bars):
        shapes += _bar(frame, bar, _TOP + _ROW * index)
    told = "; ".join(part.tip for bar in bars for part in bar.parts)
    return Drawing(name, title, told, _WIDTH, bottom + 22, shapes)


def _bar(frame: Frame, bar: _Bar, top: float) -> Iterator[Path | Text]:
    base = top + _ROW / 2 + 4
    yield Text(_LEFT - 8, base, fit(bar.name, _LEFT - 8), "label", "end")
    at = 0.0
    for part in bar.parts:
        left, right = frame.x_at(at), frame.x_at(at + part.value)
        yield box(left, top + (_ROW - _BAR) / 2, max(right - left, 0.5), _BAR, f"bar mark {part.css}", part.tip)
        if text_width(part.inside) + 10 < right - left:
            yield Text((left + right) / 2, base, part.inside, "inside", "middle")
        at += part.value
    yield Text(frame.x_at(at) + 8, base, bar.after, "label")
