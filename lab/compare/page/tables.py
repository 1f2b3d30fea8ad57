"""The figures as tables: what was measured, in rows; what was not is left out and named."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lab.compare.comparison import Comparison
from lab.compare.page.words import NOT_MEASURED, dollars, measure, number, reference
from lab.report import PairedDifference, Percentiles, Ratio, StyleReport
from orders.model import STYLES, Style


@dataclass(frozen=True)
class TimesRow:
    """One distribution."""

    who: str
    style: Style | None
    """None for what is no style."""
    times: Percentiles | None


@dataclass(frozen=True)
class TimesGroup:
    """One measure, of both styles or of a reference."""

    name: str
    rows: Sequence[TimesRow]
    ratio: Ratio | None = None
    ratio_name: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether there is anything to show."""
        return any(row.times for row in self.rows)

    @property
    def lacks_pairs(self) -> bool:
        """Whether both styles were measured, and yet there is no ratio."""
        return bool(self.ratio_name) and self.ratio is None and all(row.times for row in self.rows)


@dataclass(frozen=True)
class CountsRow:
    """One figure of both styles."""

    name: str
    values: dict[Style, str]
    ratio: Ratio | None = None
    ratio_name: str = ""
    difference: PairedDifference | None = None

    @property
    def lacks_pairs(self) -> bool:
        """Whether both styles were measured, and yet there is no ratio."""
        return bool(self.ratio_name) and self.ratio is None and NOT_MEASURED not in self.values.values()


def times(comparison: Comparison) -> list[TimesGroup]:
    """All measures of time of the two styles, measured or not."""
    return [*_times(comparison)]


def _times(comparison: Comparison) -> Iterator[TimesGroup]:
    reports = comparison.styles

    def group(name: str, values: dict[Style, Percentiles | None], ratio: str = "") -> TimesGroup:
        rows = [TimesRow(style, style, values.get(style)) for style in STYLES]
        return TimesGroup(name, rows, comparison.ratios.get(ratio), ratio)

    def measured(name: str, of: Callable[[StyleReport], Percentiles | None]) -> TimesGroup:
        return group(measure(name), {style: of(report) for style, report in reports.items()}, name)

    yield measured("ack_ms", lambda report: report.ack_ms)
    for service in dict.fromkeys(name for report in reports.values() for name in report.reaction_ms):
        reactions = {style: report.reaction_ms.get(service) for style, report in reports.items()}
        yield group(measure(f"reaction_ms.{service}"), reactions, f"reaction_ms.{service}")
    yield measured("end_to_end_ms", lambda report: report.end_to_end_ms)
    yield group(measure("consistent_ms"), comparison.consistent_ms or {})
    wishes = {style: report.cancellations for style, report in reports.items() if report.cancellations}
    answered = "cancellation_answered_ms"
    yield group(measure(answered), {style: wish.answered_ms for style, wish in wishes.items()}, answered)
    yield group("cancellation consistent", {style: wish.consistent_ms for style, wish in wishes.items()})


def references(comparison: Comparison) -> list[TimesGroup]:
    """What the styles are held against, a group each; without what was not measured."""
    groups = []
    for name, report in (comparison.references or {}).items():
        rows = [TimesRow(measure("end_to_end_ms"), None, report.end_to_end_ms)]
        rows += [TimesRow(measure(f"reaction_ms.{service}"), None, ms) for service, ms in report.reaction_ms.items()]
        rate = "" if report.orders_per_s is None else f", {number(report.orders_per_s)} orders per second"
        groups.append(TimesGroup(reference(name) + rate, [row for row in rows if row.times]))
    return groups


def at_a_third(comparison: Comparison) -> list[TimesGroup]:
    """Reactions at a third of the maximum throughput, a group per service; without what was not measured."""
    points = comparison.at_a_third or {}
    services = dict.fromkeys(service for point in points.values() for service in point.reaction_ms)
    groups = [
        TimesGroup(
            measure(f"reaction_ms.{service}"),
            [
                TimesRow(reference(name), _style_or_none(name), point.reaction_ms.get(service))
                for name, point in points.items()
            ],
        )
        for service in services
    ]
    return [group for group in groups if group.is_measured]


def _style_or_none(name: str) -> Style | None:
    return next((style for style in STYLES if style == name), None)


def counts(comparison: Comparison) -> list[CountsRow]:
    """Figures that are one number per style, where at least one style has it."""
    figures: dict[str, Callable[[StyleReport], float | None]] = {
        "orders per second": lambda report: report.orders_per_s,
        "workflows per order": lambda report: report.workflows_per_order,
        "history events per order": lambda report: report.history_events_per_order,
        "Actions per order": lambda report: report.actions_per_order,
        "retries": lambda report: report.retries,
        "orders parked": lambda report: report.parked,
        "cancellations asked for": lambda report: report.cancellations.asked if report.cancellations else None,
        "cancellations accepted": lambda report: report.cancellations.accepted if report.cancellations else None,
        "cancellations refused": lambda report: report.cancellations.refused if report.cancellations else None,
    }
    rows = [_row(comparison, name, of) for name, of in figures.items()]
    rows.append(_row(comparison, "Actions for a million orders", lambda report: report.usd_per_million_orders, dollars))
    return [row for row in rows if row is not None]


def _row(
    comparison: Comparison,
    name: str,
    of: Callable[[StyleReport], float | None],
    words: Callable[[float | None], str] = number,
) -> CountsRow | None:
    values = {style: of(comparison.styles[style]) for style in STYLES}
    if all(value is None for value in values.values()):
        return None
    key = "orders_per_s" if name == measure("orders_per_s") else ""
    return CountsRow(
        name,
        {style: words(value) for style, value in values.items()},
        comparison.ratios.get(key),
        key,
        comparison.differences.get("actions_per_order") if name == "Actions per order" else None,
    )


@dataclass(frozen=True)
class AgainstRow:
    """One measure of a style, divided by the same of something else."""

    name: str
    """What it is divided by, and the measure."""
    ratios: dict[Style, Ratio | None]


def against(comparison: Comparison) -> list[AgainstRow]:
    """The ratios of the styles to references, to themselves under other conditions, and of subscribers."""
    rows: dict[str, dict[Style, Ratio]] = {}
    for key, ratio in comparison.ratios.items():
        pair, _, what = key.partition(".")
        ours, divided, theirs = pair.partition("/")
        style = _style_or_none(ours)
        if style is not None and divided:
            rows.setdefault(f"{reference(theirs)}: {measure(what)}", {})[style] = ratio
        elif divided:  # more of the same by fewer: only the choreography has subscribers
            rows.setdefault(measure(key), {})["choreography"] = ratio
    return [AgainstRow(name, {style: ratios.get(style) for style in STYLES}) for name, ratios in rows.items()]


def ends(comparison: Comparison, states: Sequence[str]) -> list[CountsRow]:
    """Orders by the state in which they ended.

    Args:
        comparison: the run.
        states: which, in sequence.
    """
    reports = comparison.styles
    return [
        CountsRow(state, {style: f"{reports[style].end_states.get(state, 0):,}" for style in STYLES})
        for state in states
    ]
