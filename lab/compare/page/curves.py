"""Plots with lines: the distribution of reaction times, and latency against rate."""

from collections.abc import Iterator, Mapping, Sequence

from lab.compare.comparison import LoadPoint
from lab.compare.page.axes import Frame, Scale, fitting, linear, ticks_ms
from lab.compare.page.drawing import LABEL_SIZE, Drawing, Path, Point, Symbol, Text, apart, line, symbol
from lab.compare.page.words import duration
from lab.report import Percentiles
from orders.model import STYLES, Style

SHAPES: dict[Style, Symbol] = {"saga": "circle", "choreography": "square"}
"""What tells the styles apart beside colour and dashes."""

_MOST_POINTS = 160
"""Of a curve; more can't be seen, and make the file large."""
_MARKED = (0.5, 0.95, 0.99)


Reactions = Mapping[Style, Mapping[str, Percentiles | None]]
"""Style to service to how long it takes to react."""


def reaction_plots(samples_ms: Mapping[Style, Mapping[str, Sequence[float]]], reactions: Reactions) -> list[Drawing]:
    """The cumulative distribution of each service's reaction times, both styles, all on the same scale.

    Args:
        samples_ms: style to service to reaction times in ms.
        reactions: their percentiles, as the tables have them.
    """
    services = dict.fromkeys(name for by_service in samples_ms.values() for name in by_service)
    times = {
        name: {style: sorted(samples_ms[style].get(name, ())) for style in STYLES if style in samples_ms}
        for name in services
    }
    everything = [ms for by_style in times.values() for values in by_style.values() for ms in values]
    x = fitting(everything, ticks_ms, most=4)
    return [_reaction_plot(name, by_style, reactions, x) for name, by_style in times.items() if any(by_style.values())]


def _reaction_plot(service: str, times: Mapping[Style, Sequence[float]], reactions: Reactions, x: Scale) -> Drawing:
    frame = Frame(42, 12, 268, 168, x, linear(0, 1, lambda share: f"{share * 100:.0f} %", most=4))
    shapes = [*frame.x_axis(), *frame.y_axis()]
    told = []
    for style, values in times.items():
        found = reactions.get(style, {}).get(service) or Percentiles.of(values)
        if values and found:
            shapes += _distribution(frame, style, values, found)
            told.append(
                f"{style}: half within {duration(found.p50)}, 99 % within {duration(found.p99)}, {len(values)} orders"
            )
        else:
            told.append(f"{style}: not measured")
    return Drawing(f"reaction-{service}", f"Reaction time of {service}", "; ".join(told), 280, 190, shapes)


def _distribution(frame: Frame, style: Style, values: Sequence[float], times: Percentiles) -> Iterator[Path]:
    """The curve, in steps, and a symbol at p50, p95 and p99."""
    every = max(1, len(values) // _MOST_POINTS)
    ranks = sorted({*range(0, len(values), every), len(values) - 1})
    curve: list[Point] = []
    reached = 0.0
    for rank in ranks:
        curve.append(frame.at(values[rank], reached))
        reached = (rank + 1) / len(values)
        curve.append(frame.at(values[rank], reached))
    yield line(curve, f"curve mark {style}")
    for share, ms in zip(_MARKED, (times.p50, times.p95, times.p99), strict=True):
        tip = f"{style}: {share * 100:.0f} % within {duration(ms)}"
        yield symbol(SHAPES[style], frame.at(ms, share), 3.2, f"symbol mark {style}", tip)


def load_plot(load: Mapping[Style, Sequence[LoadPoint]]) -> Drawing | None:
    """End-to-end p50 and p99 against the rate at which orders came; None where nothing ended.

    Args:
        load: style to its points, lowest rate first.
    """
    lines = {
        (style, name): [
            (point.rate_per_s, _at(point.end_to_end_ms, name)) for point in load[style] if point.end_to_end_ms
        ]
        for style in STYLES
        if style in load
        for name in ("p50", "p99")
    }
    points = [point for line_points in lines.values() for point in line_points]
    if not points:
        return None
    x = linear(0, max(rate for rate, _ in points), "{:g}".format)
    frame = Frame(52, 26, 400, 232, x, fitting([ms for _, ms in points], ticks_ms))
    shapes = [*frame.x_axis("orders a second, intended"), *frame.y_axis("end to end")]
    for (style, name), values in lines.items():
        shapes += _load_line(frame, style, name, values)
    shapes += _names(frame, lines)
    told = "; ".join(
        f"{style} {name}: " + ", ".join(f"{duration(ms)} at {rate:g}/s" for rate, ms in values)
        for (style, name), values in lines.items()
        if values
    )
    return Drawing("load", "End-to-end latency against the rate of orders", told, 520, 272, shapes)


def _load_line(frame: Frame, style: Style, name: str, values: Sequence[Point]) -> Iterator[Path]:
    """One percentile: p50 with filled symbols, p99 with hollow ones."""
    if len(values) > 1:
        yield line([frame.at(rate, ms) for rate, ms in values], f"curve mark {style} {name}")
    for rate, ms in values:
        tip = f"{style}, {rate:g} orders a second: {name} {duration(ms)}"
        yield symbol(SHAPES[style], frame.at(rate, ms), 4, f"symbol mark {style} {name}", tip)


def _names(frame: Frame, lines: Mapping[tuple[Style, str], Sequence[Point]]) -> Iterator[Text]:
    """Each line's name at its right end, moved apart where two would overlap."""
    drawn = {key: frame.at(*values[-1]) for key, values in lines.items() if values}
    heights = apart([y for _, y in drawn.values()], LABEL_SIZE + 4, frame.top, frame.bottom)
    for (style, name), y in zip(drawn, heights, strict=True):
        yield Text(frame.right + 10, y + 4, f"{style} {name}", "label")


def _at(times: Percentiles | None, name: str) -> float:
    return 0.0 if times is None else float(getattr(times, name))
