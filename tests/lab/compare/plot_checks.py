"""What has to be in the plots: each label and tip by the JSON, and bars and intervals as long as what they say."""

import math
import re
from collections.abc import Callable

import pytest

from tests.lab.compare import expected
from tests.lab.compare.document import Parts, Plot
from tests.lab.compare.expected import STYLES, Json, dollars, duration, number

_PIXEL = 0.6


def check_plots(result: Json, parts: Parts) -> None:
    """All plots of a page."""
    _ratios(result, parts)
    _bars(result, parts)
    _reactions(result, parts)
    _load(result, parts)
    _timelines(result, parts)


def _ratios(result: Json, parts: Parts) -> None:
    drawn = {name: found for name, found in result["ratios"].items() if "/" not in name}
    if not drawn:
        assert "ratios" not in parts.plots
        return
    plot = parts.plots["ratios"]
    says = [expected.says(name, found) for name, found in drawn.items()]
    tips = [
        f"{expected.measure(name)}: {expected.ratio(found)}, {told}"
        for (name, found), told in zip(drawn.items(), says, strict=True)
    ]
    assert [tip for _, tip in plot.tips] == tips
    assert plot.desc == "; ".join(tips)
    assert plot.labels == says
    place = _scale_of(plot)
    intervals = [_ends_of(d) for css, d in plot.marks if css.startswith("interval")]
    sure = [found for found in drawn.values() if found["pairs"] >= expected.ENOUGH]
    assert len(intervals) == len(sure)
    for ends, found in zip(intervals, sure, strict=True):
        assert ends == pytest.approx((place(found["low"]), place(found["high"])), abs=_PIXEL)


def _scale_of(plot: Plot) -> Callable[[float], float]:
    """Where a value lies: on the scale, linear or logarithmic, on which all ticks lie right."""
    ticks = [(float(text), x) for text, x in plot.ticks if text != "no difference"]
    (low, left), (high, right) = ticks[0], ticks[-1]

    def linear(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    def logarithmic(value: float) -> float:
        return left + math.log(value / low) / math.log(high / low) * (right - left)

    def error(place: Callable[[float], float]) -> float:
        return max(abs(place(value) - x) for value, x in ticks)

    scales = (linear, logarithmic) if low > 0 else (linear,)
    best = min(scales, key=error)
    assert error(best) < _PIXEL
    return best


def _ends_of(d: str) -> tuple[float, float]:
    left, right = re.findall(r"[ML](-?[\d.]+) ", d)
    return float(left), float(right)


def _bars(result: Json, parts: Parts) -> None:
    styles, states = result["styles"], expected.ends(result)
    retries = [(s, styles[s]["retries"]) for s in STYLES if styles[s]["retries"] is not None]
    usd = [(s, styles[s]["usd_per_million_orders"]) for s in STYLES if styles[s]["usd_per_million_orders"] is not None]
    elsewhere = [(s, price) for s, price in result["eventbridge_usd_per_million_orders"].items() if price is not None]
    wanted = {
        "retries": [(count, f"{style}: {count} retries") for style, count in retries],
        "cost": [
            *(
                (price, f"{s}: {dollars(price)}, {number(styles[s]['actions_per_order'])} Actions per order")
                for s, price in usd
            ),
            *((price, f"the events of the {s} on EventBridge: {dollars(price)}") for s, price in elsewhere),
        ],
        "end-states": [
            (count, f"{style}: {count} {state}")
            for style in STYLES
            for state in states
            if (count := styles[style]["end_states"].get(state))
        ],
    }
    for name, bars in wanted.items():
        if not bars:
            assert name not in parts.plots
            continue
        plot = parts.plots[name]
        assert [tip for _, tip in plot.tips] == [tip for _, tip in bars], name
        assert plot.desc == "; ".join(tip for _, tip in bars)
        widths = [float(re.findall(r"h([\d.]+)", d)[0]) for d, _ in plot.tips]
        scale = max(widths) / (max(value for value, _ in bars) or 1)
        assert widths == pytest.approx([max(value * scale, 0.5) for value, _ in bars], abs=0.02), name
    labels = {
        "retries": [f"{count:,}" for _, count in retries],
        "cost": [dollars(price) for _, price in (*usd, *elsewhere)],
        "end-states": [f"{sum(styles[style]['end_states'].values())} orders" for style in STYLES] if states else [],
    }
    for name, told in labels.items():
        assert not told or parts.plots[name].labels == told


def _reactions(result: Json, parts: Parts) -> None:
    """The percentiles are those of the tables."""
    for service in dict.fromkeys(name for style in STYLES for name in result["samples_ms"].get(style, {})):
        plot = parts.plots[f"reaction-{service}"]
        of = {style: result["styles"][style]["reaction_ms"][service] for style in STYLES}
        assert [tip for _, tip in plot.tips] == [
            f"{style}: {name[1:]} % within {duration(of[style][name])}"
            for style in STYLES
            for name in ("p50", "p95", "p99")
        ]
        assert plot.desc == "; ".join(
            f"{style}: half within {duration(of[style]['p50'])}, 99 % within {duration(of[style]['p99'])}, "
            f"{len(result['samples_ms'][style][service])} orders"
            for style in STYLES
        )


def _load(result: Json, parts: Parts) -> None:
    points = [
        (style, name, point["rate_per_s"], point["end_to_end_ms"][name])
        for style in STYLES
        for name in ("p50", "p99")
        for point in (result["load"] or {}).get(style, [])
        if point["end_to_end_ms"]
    ]
    if not points:
        assert "load" not in parts.plots
        return
    assert [tip for _, tip in parts.plots["load"].tips] == [
        f"{style}, {rate:g} orders a second: {name} {duration(ms)}" for style, name, rate, ms in points
    ]


def _timelines(result: Json, parts: Parts) -> None:
    plots = [plot for name, plot in parts.plots.items() if name.startswith("timeline")]
    for timeline, plot in zip(expected.timelines(result), plots, strict=True):
        wanted = {
            f"{mark['kind']} {mark['what']}, {duration(mark['from_ms'])}"
            + (f" to {duration(mark['to_ms'])}" if mark["to_ms"] > mark["from_ms"] else "")
            for mark in timeline["marks"]
        }
        assert {tip for _, tip in plot.tips if not tip.startswith("nothing happened")} == wanted
