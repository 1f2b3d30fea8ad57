"""What a plot is made of: paths and texts, in the units of its view box. Colours and dashes are the style sheet's."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
"""x to the right and y downwards, in units of the view box."""

LABEL_SIZE = 11
"""Of the texts in a plot, in units of the view box; the style sheet says the same."""

Symbol = Literal["circle", "square", "diamond", "triangle", "cross", "bars"]


@dataclass(frozen=True)
class Path:
    """A line, an area or a symbol."""

    d: str
    css: str
    """Class names; `mark` is among them where it shows data."""
    tip: str = ""
    """What is told where the pointer rests on it."""


@dataclass(frozen=True)
class Text:
    """A line of text."""

    x: float
    y: float
    """Of its base line."""
    text: str
    css: str = ""
    anchor: Literal["start", "middle", "end"] = "start"


@dataclass(frozen=True)
class Drawing:
    """One plot."""

    name: str
    """Told by `data-plot`; unique on the page."""
    title: str
    desc: str
    """What it shows, for who can't see it."""
    width: float
    height: float
    shapes: Sequence[Path | Text]

    @property
    def id(self) -> str:
        """The name as other elements can refer to it."""
        return re.sub(r"[^a-z0-9-]", lambda found: f"_{ord(found[0]):x}", self.name)


def line(points: Iterable[Point], css: str, tip: str = "") -> Path:
    """A line through points."""
    return Path("M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points), css, tip)


def box(x: float, y: float, width: float, height: float, css: str, tip: str = "") -> Path:  # noqa: PLR0913, PLR0917 - a rectangle
    """A rectangle."""
    d = f"M{_short(x)} {_short(y)}h{_short(width)}v{_short(height)}h{_short(-width)}z"
    return Path(d, css, tip)


def symbol(shape: Symbol, at: Point, radius: float, css: str, tip: str = "") -> Path:
    """A symbol about a point; all shapes of one radius look equally large."""
    x, y = at
    if shape == "circle":
        half = f"a{_short(radius)} {_short(radius)} 0 1 0"
        wide = 2 * radius
        return Path(f"M{_short(x - radius)} {_short(y)}{half} {_short(wide)} 0{half} {_short(-wide)} 0z", css, tip)
    if shape == "cross":
        return Path("".join(_segment(x, y, radius * dx, radius * dy) for dx, dy in ((1, 1), (1, -1))), css, tip)
    if shape == "bars":
        return Path("".join(_segment(x + offset, y, 0, radius * 1.4) for offset in (-1.5, 1.5)), css, tip)
    corners = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        "triangle": ((-0.8, -1.2), (1.2, 0), (-0.8, 1.2)),
    }[shape]
    return Path(line(((x + radius * dx, y + radius * dy) for dx, dy in corners), "").d + "z", css, tip)


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions as little as is needed for them to be `gap` apart, within bounds where there is room.

    Args:
        wanted: positions, in any sequence.
        gap: least distance of two of them.
        low: bound.
        high: bound; given up where there are too many.

    Returns:
        The positions, in the sequence in which they were wanted.
    """
    ranks = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed: list[float] = []
    for rank in ranks:
        placed.append(max(wanted[rank], low, placed[-1] + gap if placed else -math.inf))
    ceiling = max(high, low + gap * (len(wanted) - 1))
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    by_rank = dict(zip(ranks, placed, strict=True))
    return [by_rank[index] for index in range(len(wanted))]


def text_width(text: str, size: float = LABEL_SIZE) -> float:
    """About how wide a text is in a sans-serif face of this size, erring on the wide side."""
    return len(text) * size * 0.6


def fit(text: str, width: float) -> str:
    """A label, shortened to a width where it is longer."""
    most = int(width / text_width("x"))
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"


def _segment(x: float, y: float, dx: float, dy: float) -> str:
    return f"M{_short(x - dx)} {_short(y - dy)}L{_short(x + dx)} {_short(y + dy)}"


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
