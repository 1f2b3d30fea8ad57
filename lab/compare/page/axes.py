"""Scales, and the frame of a plot that they span."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from lab.compare.page.drawing import LABEL_SIZE, Path, Point, Text, line, text_width

_STEPS = (1.0, 2.0, 5.0)
_WIDE = 5.0
"""From this ratio of largest to smallest on, a scale is logarithmic."""
_LEAST = 0.01
_MOST_LINES = 16
_EXACT = 1e-9

Words = Callable[[float], str]
"""How a tick is written."""

Place = Callable[[float], float]
"""A value to where it lies."""


@dataclass(frozen=True)
class Scale:
    """Where values lie between the two ends of an axis."""

    unit: Place
    """A value's place: 0 at the lower end and 1 at the upper."""
    ticks: Sequence[float]
    words: Words
    minor: Sequence[float] = ()
    """Grid lines without words."""

    def at(self, value: float) -> float:
        """A value's place, held between the ends."""
        return min(1.0, max(0.0, self.unit(value)))


def ticks_ms(value: float) -> str:
    """A tick of a time axis in ms."""
    return f"{value / 1e3:g} s" if value >= 1e3 else f"{value:g} ms"  # noqa: PLR2004 - ms in a second


def linear(low: float, high: float, words: Words, most: int = 5) -> Scale:
    """An even scale, from a round value to a round value.

    Args:
        low: least value.
        high: largest value.
        words: for the ticks.
        most: ticks, roughly.
    """
    span = max(high - low, _LEAST)
    step = _round_up(span / most)
    first, last = math.floor(low / step + _EXACT), math.ceil(high / step - _EXACT)
    last = max(last, first + 1)
    start, end = first * step, last * step
    ticks = [round(index * step, 10) for index in range(first, last + 1)]
    return Scale(lambda value: (value - start) / (end - start), ticks, words)


def logarithmic(low: float, high: float, words: Words, most: int = 5) -> Scale:
    """A scale on which equal ratios are equally long; values must be positive."""
    low = max(low, _LEAST)
    start, end = _round_down(low), _round_up(max(high, low * 1.5))
    marks = list(_one_two_five(start, end))
    decades = [mark for mark in marks if math.isclose(math.log10(mark) % 1, 0, abs_tol=_EXACT)]
    few = len(decades) < 2 or len(marks) <= most  # noqa: PLR2004 - one tick is no scale
    ticks = marks if few else decades[:: -(-len(decades) // most)]
    minor = marks if len(marks) <= _MOST_LINES else ()
    ratio = math.log(end / start)
    return Scale(lambda value: math.log(max(value, _LEAST) / start) / ratio, ticks, words, minor)


def fitting(values: Sequence[float], words: Words, most: int = 5) -> Scale:
    """A scale for these values: logarithmic where they span much, even where they lie close together."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high > _WIDE * max(low, _LEAST):
        return logarithmic(low, high, words, most)
    return linear(low, high, words, most)


@dataclass(frozen=True)
class Frame:
    """A plot's area with its two axes."""

    left: float
    top: float
    right: float
    bottom: float
    x: Scale
    y: Scale = field(default_factory=lambda: linear(0, 1, str))

    def at(self, x: float, y: float) -> Point:
        """Where values lie on the plot."""
        return self.x_at(x), self.bottom - self.y.at(y) * (self.bottom - self.top)

    def x_at(self, value: float) -> float:
        """Where a value lies on the x axis."""
        return self.left + self.x.at(value) * (self.right - self.left)

    def x_axis(self, name: str = "") -> Iterator[Path | Text]:
        """Grid lines, ticks that don't run into one another, and the axis' name."""
        for tick in (*self.x.minor, *self.x.ticks):
            at = self.x_at(tick)
            yield line([(at, self.top), (at, self.bottom)], "grid")
        for tick in self._legible():
            yield Text(self.x_at(tick), self.bottom + 15, self.x.words(tick), "tick", "middle")
        if name:
            yield Text((self.left + self.right) / 2, self.bottom + 32, name, "axis", "middle")

    def y_axis(self, name: str = "") -> Iterator[Path | Text]:
        """Grid lines, ticks, and the axis' name above them."""
        for tick in (*self.y.minor, *self.y.ticks):
            _, at = self.at(0, tick)
            yield line([(self.left, at), (self.right, at)], "grid")
        for tick in self.y.ticks:
            _, at = self.at(0, tick)
            yield Text(self.left - 7, at + 4, self.y.words(tick), "tick", "end")
        if name:
            yield Text(0, self.top - 12, name, "axis")

    def _legible(self) -> Iterator[float]:
        """The ticks whose words don't touch those of the one before."""
        free = -math.inf
        for tick in self.x.ticks:
            half = text_width(self.x.words(tick)) / 2
            if self.x_at(tick) - half >= free:
                free = self.x_at(tick) + half + LABEL_SIZE / 2
                yield tick


def _one_two_five(start: float, end: float) -> Iterator[float]:
    for power in range(math.floor(math.log10(start)), math.ceil(math.log10(end)) + 1):
        for step in _STEPS:
            value = round(step * 10**power, 10)
            if start * (1 - _EXACT) <= value <= end * (1 + _EXACT):
                yield value


def _round_up(value: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below this."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (*_STEPS, 10.0) if step * power >= value * (1 - _EXACT)), 10 * power)


def _round_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in reversed(_STEPS) if step * power <= value * (1 + _EXACT)), power)
