"""The axis of time of a timeline: even, but for long waits in which nothing happened. Those are shortened."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.compare.page.axes import Scale, linear, ticks_ms

Span = tuple[float, float]
"""From when to when, in ms."""

_LONG = 0.1
"""A wait of at least this share of the time shown may be shortened."""
_WAITING = 0.75
"""It is, where long waits make up at least this share: then the rest would be too narrow to read."""
_LEAST_MS = 0.01
"""That much must be left to be drawn evenly."""
_WAIT_WIDTH = 0.07
"""Of the whole axis; all waits together take half of it at most."""
_ROOM = 0.97
"""Of the axis, until what happens last."""


@dataclass(frozen=True)
class TimeAxis:
    """A scale in ms, and the waits that it shortens."""

    scale: Scale
    waits: Sequence[Span]


def time_axis(times_ms: Sequence[float]) -> TimeAxis:
    """The axis on which all of these moments, since zero, are to be told apart.

    Args:
        times_ms: when something happened.
    """
    moments = sorted({0.0, *(time for time in times_ms if time > 0)})
    waits = _waits(moments)
    if not waits:
        return TimeAxis(linear(0, moments[-1] or 1, ticks_ms, most=6), [])
    busy = list(zip([0.0, *(to for _, to in waits)], [*(at for at, _ in waits), moments[-1]], strict=True))
    width = min(_WAIT_WIDTH, 0.5 / len(waits))
    unit = _piecewise(busy, waits, width)
    return TimeAxis(Scale(unit, [*_ticks(busy, unit)], _told), waits)


def _waits(moments: Sequence[float]) -> list[Span]:
    """The gaps to shorten, longest first found, in the sequence of time."""
    gaps, found = [*pairwise(moments)], list[Span]()
    while True:
        shown = sum(to - at for at, to in gaps)
        long = [(at, to) for at, to in gaps if to - at > _LONG * shown]
        waiting = sum(to - at for at, to in long)
        if waiting < _WAITING * shown or shown - waiting < _LEAST_MS:
            return sorted(found)
        found += long
        gaps = [gap for gap in gaps if gap not in long]


def _piecewise(busy: Sequence[Span], waits: Sequence[Span], width: float) -> Callable[[float], float]:
    """A moment's place from 0 to 1: even within what is busy, and each wait as wide as any other."""
    per_ms = (1 - width * len(waits)) / sum(to - at for at, to in busy)

    def unit(value: float) -> float:
        shown = sum(min(max(value - at, 0), to - at) * per_ms for at, to in busy)
        return _ROOM * (shown + sum(min(max(value - at, 0) / (to - at), 1) * width for at, to in waits))

    return unit


def _ticks(busy: Sequence[Span], unit: Callable[[float], float]) -> Iterator[float]:
    """The begin of each busy time, and round moments within where there is room."""
    room = 0.12
    for at, to in busy:
        yield at
        if unit(to) - unit(at) > 2 * room:
            step = (to - at) / ((unit(to) - unit(at)) / room)
            inner = linear(at, to, ticks_ms, most=max(1, int((to - at) / step))).ticks
            yield from (tick for tick in inner if unit(at) + room < unit(tick) < unit(to) - room / 3)


def _told(value: float) -> str:
    """A tick at whatever moment, to three digits."""
    return f"{value / 1e3:.3g} s" if value >= 1e3 else f"{value:.3g} ms"  # noqa: PLR2004 - ms in a second
