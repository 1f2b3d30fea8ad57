"""The verdict in plain words: what the run favours, by which criterion, with which evidence, and what would flip it."""

from collections.abc import Iterator, Mapping

from lab.compare.comparison import BlastRadius, Coupling, Finding, Module, Verdict
from lab.compare.criteria import CRITERIA
from lab.report import Percentiles, Ratio, Report
from orders.model import STYLES, Style
from services.order_placed import SERVICES

_NEGLIGIBLE = 0.05
"""A difference of so small a share of an order's time is one that nobody notices."""


def verdict(report: Report, coupling: Coupling, blast: Mapping[Style, BlastRadius] | None) -> Verdict:
    """Judge a run.

    Args:
        report: the figures.
        coupling: how much the parts of each style know.
        blast: what the others felt of an outage; None where there was none.
    """
    findings = [*_speed(report), *_money(report), *_faults(report, blast), *_structure(coupling)]
    return Verdict(headline=_headline(findings), findings=findings, flips=list(_flips(report)))


def _headline(findings: list[Finding]) -> str:
    by_style = {style: [f.criterion for f in findings if f.better == style] for style in STYLES}
    parts = [f"The {style} does better in {_listed(names)}." for style, names in by_style.items() if names]
    alike = [finding.criterion for finding in findings if finding.better is None]
    if alike:
        parts.append(f"No clear difference in {_listed(alike)}.")
    return " ".join(parts)


def _speed(report: Report) -> Iterator[Finding]:
    yield from _by_ratio(report, "end-to-end latency", "end_to_end_ms", "the end of an order is known after", less=True)
    for service in SERVICES:
        yield from _by_ratio(
            report, f"reaction of {service.name}", f"reaction_ms.{service.name}", f"{service.name} reacts in", less=True
        )
    yield from _by_ratio(report, "throughput", "orders_per_s", "orders a second are", less=False)


def _by_ratio(report: Report, criterion: str, name: str, what: str, *, less: bool) -> Iterator[Finding]:
    """A finding from a measured ratio; none where it was not measured."""
    ratio = report.ratios.get(name)
    if ratio is None:
        return
    better: Style | None = None
    if ratio.is_clear:
        better = "choreography" if (ratio.median < 1) is less else "saga"
    yield Finding(
        criterion=criterion,
        named_in=CRITERIA.get("reaction of the services" if criterion.startswith("reaction") else criterion),
        better=better,
        evidence=f"In the choreography, {what} {_told(ratio)} what it is in the saga.",
    )


def _money(report: Report) -> Iterator[Finding]:
    usd = {style: report.styles[style].usd_per_million_orders for style in STYLES}
    saga, choreography = usd["saga"], usd["choreography"]
    if saga is None or choreography is None:
        return
    yield Finding(
        criterion="cost",
        named_in=CRITERIA.get("cost"),
        better=None if saga == choreography else "saga" if saga < choreography else "choreography",
        evidence=f"Temporal Actions for a million orders: {saga:,.0f} USD in the saga, "
        f"{choreography:,.0f} USD in the choreography.",
    )


def _faults(report: Report, blast: Mapping[Style, BlastRadius] | None) -> Iterator[Finding]:
    if blast is not None:
        shares = {style: blast[style].share for style in STYLES}
        away = blast["saga"].service
        yield _by_figures(
            "blast radius",
            shares["saga"],
            shares["choreography"],
            at_least=0.01,
            evidence=f"While {away} was away, of what the other services did {shares['saga'] * 100:.1f} % was delayed "
            f"or lost in the saga, and {shares['choreography'] * 100:.1f} % in the choreography.",
        )
    wishes = {style: report.styles[style].cancellations for style in STYLES}
    ours, theirs = wishes["saga"], wishes["choreography"]
    if ours and theirs and ours.answered_ms and theirs.answered_ms:
        yield _by_figures(
            "cancellation",
            ours.answered_ms.p50,
            theirs.answered_ms.p50,
            at_least=_NEGLIGIBLE * ours.answered_ms.p50,
            evidence=f"A customer who cancels is answered after {_p50(ours.answered_ms)} in the saga, and after "
            f"{_p50(theirs.answered_ms)} in the choreography (p50); {ours.accepted} of {ours.asked} and "
            f"{theirs.accepted} of {theirs.asked} were in time.",
        )


def _structure(coupling: Coupling) -> Iterator[Finding]:
    knows = {style: sum(len(_others(m)) for m in coupling.modules if m.style == style) for style in STYLES}
    depends = {style: sum(m.efferent for m in coupling.modules if m.style == style) for style in STYLES}
    yield _by_figures(
        "coupling",
        knows["saga"],
        knows["choreography"],
        at_least=1,
        evidence=f"Modules name services other than their own {knows['saga']} times in the saga, and "
        f"{knows['choreography']} times in the choreography; counting events that they hear of one another, there are "
        f"{depends['saga']} and {depends['choreography']} dependencies: the saga keeps them in one place.",
    )
    touched = {style: len(coupling.touched_by_a_new_service[style]) for style in STYLES}
    yield _by_figures(
        "a new service",
        touched["saga"],
        touched["choreography"],
        at_least=1,
        evidence=f"One more service changes {touched['saga']} files in the saga, and {touched['choreography']} in the "
        "choreography.",
    )
    looks = {style: len(coupling.lookups_to_explain_a_stuck_order[style]) for style in STYLES}
    yield _by_figures(
        "visibility",
        looks["saga"],
        looks["choreography"],
        at_least=1,
        evidence=f"Look-ups until it is known why an order is stuck: {looks['saga']} in the saga, "
        f"{looks['choreography']} in the choreography.",
    )


def _flips(report: Report) -> Iterator[str]:
    saga, choreography = (report.styles[style].end_to_end_ms for style in STYLES)
    if saga and choreography:
        gap_ms = abs(saga.p50 - choreography.p50)
        enough_ms = gap_ms / _NEGLIGIBLE - min(saga.p50, choreography.p50)
        apart = f"The styles are {gap_ms:.1f} ms apart per order (p50)"
        if enough_ms > 0:
            yield (
                f"{apart}; with services that take {enough_ms:.0f} ms longer, that is below 5 % of the order's time: "
                "try yours with --profile."
            )
        else:
            yield f"{apart}, below 5 % of the order's time; services that are slower make it less still."
    prices = {style: report.styles[style].usd_per_million_orders for style in STYLES}
    if prices["saga"] and prices["choreography"] and prices["saga"] != prices["choreography"]:
        difference_usd = abs(prices["saga"] - prices["choreography"])
        yield f"Below {1e9 / difference_usd:,.0f} orders a year the difference in Actions is under 1,000 USD a year."
    yield (
        "More services that only want to know of an order weigh for the choreography; more steps that have to come in "
        "sequence, or business rules that span them, weigh for the saga."
    )


def _others(module: Module) -> list[str]:
    """Services that a module names and that it does not belong to."""
    return [service for service in module.services if service not in module.module]


def _by_figures(criterion: str, saga: float, choreography: float, *, at_least: float, evidence: str) -> Finding:
    """A finding from one figure of each style, of which the lower is the better."""
    return Finding(
        criterion=criterion,
        named_in=CRITERIA.get(criterion),
        better=_lower(saga, choreography, at_least=at_least),
        evidence=evidence,
    )


def _lower(saga: float, choreography: float, *, at_least: float) -> Style | None:
    """The style with the lower figure; None where they are less than `at_least` apart."""
    if abs(saga - choreography) < at_least:
        return None
    return "saga" if saga < choreography else "choreography"


def _told(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} times (95 % interval {ratio.low:.2f} to {ratio.high:.2f}, {ratio.pairs} pairs)"


def _p50(times: Percentiles) -> str:
    return f"{times.p50:,.0f} ms"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if names[:-1] else "") + names[-1]
