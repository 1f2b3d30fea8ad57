"""Labels of marks on a line of time: stacked above it, so that none lies over another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lab.compare.page.drawing import text_width

MOST_ROWS = 5
_GAP = 5
_POLE = 2
"""Room between a pole and the text beside it."""


@dataclass(frozen=True)
class Wish:
    """A mark that would like a label."""

    x: float
    text: str


@dataclass(frozen=True)
class Label:
    """A label at its place: a pole rises from the mark to its row, and the text is beside the pole."""

    x: float
    text: str
    row: int
    """0 is the row next to the line of time."""
    anchor: Literal["start", "end"]

    @property
    def span(self) -> tuple[float, float]:
        """From where to where its text goes."""
        width = text_width(self.text) + _POLE
        return (self.x, self.x + width) if self.anchor == "start" else (self.x - width, self.x)


def place(wishes: Sequence[Wish], left: float, right: float) -> list[Label]:
    """Give labels their places; those for which there is no room get none.

    It goes from right to left, and each label takes the lowest row in which it touches neither another label nor
    another's pole. So a label seldom has to rise above one that stands to its left, through which its pole would go.

    Args:
        wishes: what to write, and where.
        left: bound of the texts.
        right: likewise.
    """
    placed: list[Label] = []
    for wish in sorted(wishes, key=lambda wish: -wish.x):
        candidates = (Label(wish.x, wish.text, row, anchor) for row in range(MOST_ROWS) for anchor in ("start", "end"))
        inside = (label for label in candidates if left <= label.span[0] and label.span[1] <= right)
        free = next((label for label in inside if not any(_touch(label, other) for other in placed)), None)
        if free is not None:
            placed.append(free)
    return placed


def _touch(one: Label, other: Label) -> bool:
    if one.row == other.row:
        return one.span[0] < other.span[1] + _GAP and other.span[0] < one.span[1] + _GAP
    higher, lower = (one, other) if one.row > other.row else (other, one)
    return lower.span[0] - _POLE < higher.x < lower.span[1] + _POLE
