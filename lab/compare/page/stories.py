"""Timelines: the life of one order in each style, on lanes, both on the same scale of time."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lab.compare.comparison import Mark, Timeline
from lab.compare.page.axes import Frame
from lab.compare.page.drawing import Drawing, Path, Symbol, Text, box, fit, line, symbol
from lab.compare.page.labels import Label, Wish, place
from lab.compare.page.time_axis import TimeAxis, time_axis
from lab.compare.page.words import duration
from orders.model import STYLES

SYMBOLS: dict[str, Symbol] = {
    "publish": "triangle",
    "effect": "circle",
    "retry": "diamond",
    "compensation": "square",
    "failure": "cross",
    "end": "bars",
}
"""Kind of mark to its symbol; a delivery is a bar."""

_COORDINATORS = ("order", "bus")
_LABELLED = ("publish", "effect", "compensation", "failure", "end")
_WIDTH, _LEFT, _RIGHT, _TOP = 560, 82, 538, 6
_ROW, _LINE, _BAR = 14, 22, 10


@dataclass(frozen=True)
class Story:
    """One order in one style."""

    timeline: Timeline
    drawing: Drawing
    took: str
    """Until its last mark."""


@dataclass(frozen=True)
class Pair:
    """The same kind of order in both styles."""

    title: str
    stories: Sequence[Story]
    has_waits: bool
    """Whether its axis of time leaves something out."""


def pairs(timelines: Sequence[Timeline], services: Iterable[str]) -> list[Pair]:
    """The drawings, the two styles of an order side by side.

    Args:
        timelines: of orders; those of one title belong together.
        services: in the sequence of their lanes; others come after them.
    """
    lanes = [*services]
    titles = dict.fromkeys(timeline.title for timeline in timelines)
    return [_pair(title, [one for one in timelines if one.title == title], lanes) for title in titles]


def _pair(title: str, timelines: Sequence[Timeline], lanes: Sequence[str]) -> Pair:
    ordered = sorted(timelines, key=lambda timeline: STYLES.index(timeline.style))
    times = [time for timeline in ordered for mark in timeline.marks for time in (mark.from_ms, mark.to_ms)]
    axis = time_axis(times)
    used = {mark.lane: None for timeline in ordered for mark in timeline.marks if mark.lane not in _COORDINATORS}
    services = sorted(used, key=lambda lane: lanes.index(lane) if lane in lanes else len(lanes))
    layouts = [_Layout(timeline, axis, services) for timeline in ordered]
    rows = [max(layout.rows_of(index) for layout in layouts) for index in range(max(len(lt.lanes) for lt in layouts))]
    stories = [
        Story(
            layout.timeline,
            layout.drawn(f"timeline-{title.split()[1]}-{layout.timeline.style}-{number}", rows),
            duration(max((mark.to_ms for mark in layout.timeline.marks), default=0)),
        )
        for number, layout in enumerate(layouts, start=1)
    ]
    return Pair(title, stories, bool(axis.waits))


class _Layout:
    """Where the lanes, marks and labels of one timeline lie."""

    def __init__(self, timeline: Timeline, axis: TimeAxis, services: Sequence[str]) -> None:
        self.timeline = timeline
        coordinators = [lane for lane in _COORDINATORS if any(mark.lane == lane for mark in timeline.marks)]
        self.lanes = [*coordinators, *services]
        self._axis = axis
        frame = self._frame(0)
        self._labels = {lane: place([*_wishes(frame, self._of(lane))], _LEFT, _RIGHT) for lane in self.lanes}

    def rows_of(self, index: int) -> int:
        """Rows of labels that the lane at this place needs."""
        if index >= len(self.lanes):
            return 0
        return max((label.row + 1 for label in self._labels[self.lanes[index]]), default=0)

    def drawn(self, name: str, rows: Sequence[int]) -> Drawing:
        """The timeline.

        Args:
            name: of the plot.
            rows: of labels per lane, from the top.
        """
        bottom = _TOP + sum(_ROW * count + _LINE for count in rows)
        frame = self._frame(bottom)
        shapes: list[Path | Text] = [*frame.x_axis(), *self._waits(frame)]
        top: float = _TOP
        for lane, count in zip(self.lanes, rows, strict=False):
            y = top + _ROW * count + _LINE / 2
            shapes += self._lane(frame, lane, y)
            top += _ROW * count + _LINE
        timeline = self.timeline
        title = f"{timeline.title.capitalize()} in the {timeline.style}: {timeline.order_id}, {timeline.state}"
        return Drawing(name, title, _told(timeline), _WIDTH, bottom + 22, shapes)

    def _waits(self, frame: Frame) -> Iterator[Path]:
        for at, to in self._axis.waits:
            left, right = frame.x_at(at), frame.x_at(to)
            tip = f"nothing happened for {duration(to - at)}"
            yield box(left, frame.top, right - left, frame.bottom - frame.top, "wait", tip)

    def _lane(self, frame: Frame, lane: str, y: float) -> Iterator[Path | Text]:
        yield line([(_LEFT, y), (_RIGHT, y)], "lane")
        yield Text(_LEFT - 10, y + 4, fit(lane, _LEFT - 10), "label", "end")
        marks = self._of(lane)
        for mark in marks:
            left, right = frame.x_at(mark.from_ms), frame.x_at(mark.to_ms)
            if mark.kind == "delivery" or mark.to_ms > mark.from_ms:
                yield box(
                    left, y - _BAR / 2, max(right - left, 1.5), _BAR, f"span mark {self.timeline.style}", _tip(mark)
                )
        for label in self._labels[lane]:
            yield from _flag(label, y)
        for mark in marks:
            if mark.kind in SYMBOLS:
                css = f"event mark {mark.kind}"
                yield symbol(SYMBOLS[mark.kind], (frame.x_at(mark.to_ms), y), 4, css, _tip(mark))

    def _of(self, lane: str) -> list[Mark]:
        return [mark for mark in self.timeline.marks if mark.lane == lane]

    def _frame(self, bottom: float) -> Frame:
        return Frame(_LEFT, _TOP, _RIGHT, bottom, self._axis.scale)


def _wishes(frame: Frame, marks: Sequence[Mark]) -> Iterator[Wish]:
    """What to write beside marks; what is said once in a lane is not said again."""
    said = set()
    for mark in marks:
        text = _short(mark)
        if mark.kind in _LABELLED and text not in said:
            said.add(text)
            yield Wish(frame.x_at(mark.to_ms), text)


def _flag(label: Label, y: float) -> Iterator[Path | Text]:
    base = y - _LINE / 2 - _ROW * label.row
    yield line([(label.x, y), (label.x, base - _ROW + 4)], "pole")
    shift = 3 if label.anchor == "start" else -3
    yield Text(label.x + shift, base - 1, label.text, "flag", label.anchor)


def _short(mark: Mark) -> str:
    """What a mark is called beside it: its lane need not be said again."""
    what = mark.what.removeprefix(f"{mark.lane}.")
    return {"failure": f"{what} failed", "end": f"run {what}"}.get(mark.kind, what)


def _tip(mark: Mark) -> str:
    until = f" to {duration(mark.to_ms)}" if mark.to_ms > mark.from_ms else ""
    return f"{mark.kind} {mark.what}, {duration(mark.from_ms)}{until}"


def _told(timeline: Timeline) -> str:
    """How many marks of each kind there are; each one is in the table under the drawing."""
    kinds = Counter(mark.kind for mark in timeline.marks)
    return ", ".join(f"{kind}: {count}" for kind, count in kinds.items()) or "nothing is known of it"
