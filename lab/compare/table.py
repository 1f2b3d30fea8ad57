"""The comparison on a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab import show
from lab.compare.check import Check
from lab.compare.comparison import Comparison, FanOut, Finding, Growth, LoadPoint
from lab.compare.page.tables import AgainstRow, against
from lab.report import ENOUGH_PAIRS
from orders.model import STYLES
from runtime.printable import printable
from services.order_placed import SERVICES


def table(result: Comparison, checks: Sequence[Check]) -> RenderableType:
    """The verdict, the figures, the references, and what regressed.

    Args:
        result: the comparison.
        checks: against a baseline; none without one.
    """
    parts: list[RenderableType] = []
    if result.partial:
        parts.append(Text("PARTIAL: the run was interrupted; this is what it had measured.", "bold red"))
    parts += [Text(printable(result.verdict.headline), "bold"), _findings(result.verdict.findings), show.report(result)]
    if result.references:
        parts.append(_references(result))
    if rows := against(result):
        parts.append(_against(rows))
    if result.load:
        parts.append(_load(result))
    if result.at_a_third:
        parts.append(_third(result.at_a_third))
    if result.fan_out:
        parts.append(_fan_out(result.fan_out))
    if result.growth:
        parts.append(_growth(result.growth))
    parts += [Text(printable(f"What would flip it: {flip}"), style="dim") for flip in result.verdict.flips]
    if checks:
        parts.append(_checks(checks))
    return Group(*parts)


def _findings(findings: Sequence[Finding]) -> RenderableType:
    shown = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for finding in findings:
        below = f" (below {finding.matters_from})" if finding.answer == "too small to matter" else ""
        shown.add_row(finding.criterion, finding.told + below, finding.evidence)
    return shown


def _references(result: Comparison) -> RenderableType:
    shown = Table(title="Held against; times in ms, p50 / p95", title_justify="left")
    for column in ("reference", "end to end", "orders per second"):
        shown.add_column(column, justify="left" if column == "reference" else "right")
    for name, reference in (result.references or {}).items():
        shown.add_row(name, show.times_shown(reference.end_to_end_ms), _number(reference.orders_per_s))
    return shown


def _against(rows: Sequence[AgainstRow]) -> RenderableType:
    pairs = [ratio.pairs for row in rows for ratio in row.ratios.values() if ratio is not None]
    shown = Table(
        title="Each style divided by what it is held against: median (95 % interval)",
        title_justify="left",
        caption=f"Of {min(pairs):,} to {max(pairs):,} pairs each; of fewer than {ENOUGH_PAIRS} nothing is concluded.",
        caption_justify="left",
    )
    shown.add_column("divided by: figure")
    for style in STYLES:
        shown.add_column(style, justify="right")
    for row in rows:
        shown.add_row(row.name, *(show.ratio_shown(row.ratios[style]) for style in STYLES))
    return shown


def _load(result: Comparison) -> RenderableType:
    shown = Table(title="Open loop: end to end in ms from the intended start, p50 / p95", title_justify="left")
    shown.add_column("orders per second", justify="right")
    for style in STYLES:
        shown.add_column(style, justify="right")
    for saga, choreography in zip(*((result.load or {}).get(style, []) for style in STYLES), strict=True):
        shown.add_row(
            _number(saga.rate_per_s), show.times_shown(saga.end_to_end_ms), show.times_shown(choreography.end_to_end_ms)
        )
    return shown


def _third(points: Mapping[str, LoadPoint]) -> RenderableType:
    rate_per_s = next(iter(points.values())).rate_per_s
    shown = Table(
        title=f"Reactions in ms at a third of the maximum, {_number(rate_per_s)} orders per second: p50 / p99",
        title_justify="left",
    )
    shown.add_column("service")
    for name in points:
        shown.add_column(name, justify="right")
    for service in SERVICES:
        times = [point.reaction_ms[service.name] for point in points.values()]
        shown.add_row(service.name, *("-" if one is None else f"{one.p50:.1f} / {one.p99:.1f}" for one in times))
    return shown


def _fan_out(figures: Sequence[FanOut]) -> RenderableType:
    shown = Table(title="Choreography with more subscribers; times in ms, p50 / p95", title_justify="left")
    for column in ("subscribers", "end to end", "per subscriber", "deliveries per second", "actions per order"):
        shown.add_column(column, justify="right")
    for one in figures:
        shown.add_row(
            str(one.subscribers),
            show.times_shown(one.end_to_end_ms),
            show.times_shown(one.ms_per_subscriber),
            _number(one.deliveries_per_s),
            _number(one.actions_per_order),
        )
    return shown


def _growth(growth: Growth) -> RenderableType:
    shown = Table(title="Memory of the workers in MiB", title_justify="left")
    shown.add_column("process")
    for orders in (growth.orders_before, growth.orders_after):
        shown.add_column(f"after {orders:,} orders", justify="right")
    for process, mib in growth.memory_after_mib.items():
        shown.add_row(process, _number(growth.memory_before_mib[process]), _number(mib))
    return shown


def _checks(checks: Sequence[Check]) -> RenderableType:
    shown = Table(title="Against the baseline", title_justify="left")
    for column in ("figure", "before", "now", ""):
        shown.add_column(column)
    for one in checks:
        shown.add_row(one.name, one.before, one.now, Text(one.says, "bold red" if one.regressed else ""))
    return shown


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
