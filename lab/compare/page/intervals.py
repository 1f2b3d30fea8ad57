"""The plot of ratios: choreography divided by saga, each with its interval, about the line of no difference."""

from collections.abc import Iterator, Mapping

from lab.compare.page.axes import Frame, linear, logarithmic
from lab.compare.page.curves import SHAPES
from lab.compare.page.drawing import Drawing, Path, Symbol, Text, fit, line, symbol
from lab.compare.page.words import better, measure, verdict_of
from lab.ratio_words import interval
from lab.report import Ratio

_LEFT, _RIGHT, _TOP, _ROW, _WIDTH = 150, 400, 30, 24, 570
_SPAN = 3
"""Over a wider span than this, half and double have to look equally far from 1."""


def ratio_plot(ratios: Mapping[str, Ratio]) -> Drawing | None:
    """The ratios of the two styles; None where none was measured."""
    drawn = {name: ratio for name, ratio in ratios.items() if "/" not in name and ratio.low > 0}
    if not drawn:
        return None
    low = min(*(ratio.low for ratio in drawn.values()), 0.8)
    high = max(*(ratio.high for ratio in drawn.values()), 1.25)
    bottom = _TOP + _ROW * len(drawn)
    scale = (logarithmic if high > _SPAN * low else linear)(low, high, "{:g}".format)
    frame = Frame(_LEFT, _TOP, _RIGHT, bottom, scale)
    one = frame.x_at(1)
    shapes: list[Path | Text] = [*frame.x_axis(), line([(one, _TOP - 6), (one, bottom)], "one")]
    shapes.append(Text(one, _TOP - 12, "no difference", "tick", "middle"))
    for index, (name, ratio) in enumerate(drawn.items()):
        shapes += _row(frame, _TOP + _ROW * (index + 0.5), name, ratio)
    told = "; ".join(_tip(name, ratio) for name, ratio in drawn.items())
    return Drawing("ratios", "Choreography divided by saga, with 95 % intervals", told, _WIDTH, bottom + 22, shapes)


def _row(frame: Frame, y: float, name: str, ratio: Ratio) -> Iterator[Path | Text]:
    favoured = better(name, ratio)
    shape: Symbol = SHAPES[favoured] if favoured else "diamond"
    css = favoured or "neither"
    yield Text(_LEFT - 10, y + 4, fit(measure(name), _LEFT - 10), "label", "end")
    if ratio.has_interval:
        yield line([(frame.x_at(ratio.low), y), (frame.x_at(ratio.high), y)], f"interval mark {css}")
    yield symbol(shape, (frame.x_at(ratio.median), y), 4, f"symbol mark {css}", _tip(name, ratio))
    yield Text(_RIGHT + 14, y + 4, verdict_of(name, ratio), "label")


def _tip(name: str, ratio: Ratio) -> str:
    return f"{measure(name)}: {interval(ratio)}, {verdict_of(name, ratio)}"
