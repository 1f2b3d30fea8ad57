"""The verdict in plain words: what the run favours, by which criterion, with which evidence, and what would flip it."""

from collections.abc import Iterator, Mapping, Sequence

from lab import ratio_words
from lab.compare.answers import (
    MATTERS,
    MATTERS_POINTS,
    MATTERS_SHARE,
    Judgement,
    difference_of_means,
    difference_of_shares,
    of_counts,
    of_difference,
    of_ratio,
)
from lab.compare.comparison import BlastRadius, Coupling, Finding, Interval, Verdict
from lab.compare.criteria import CRITERIA
from lab.compare.page.words import dollars, duration
from lab.report import ENOUGH_PAIRS, Ratio, Report
from lab.summary import USD_PER_MILLION_ACTIONS
from orders.model import STYLES, Style
from services.order_placed import SERVICES


def verdict(report: Report, coupling: Coupling, blast: Mapping[Style, BlastRadius] | None) -> Verdict:
    """Judge a run.

    Args:
        report: the figures.
        coupling: how much the parts of each style know.
        blast: what the others felt of an outage; None where there was none.
    """
    findings = [*_speed(report), *_money(report), *_faults(report, blast), *_structure(coupling)]
    return Verdict(headline=_headline(findings), findings=findings, flips=list(_flips(report, findings)))


def _headline(findings: Sequence[Finding]) -> str:
    """The criteria by their answer: what favours a style first, what nothing is known of last."""
    by_answer: dict[str, list[str]] = {}
    for finding in findings:
        by_answer.setdefault(finding.told, []).append(finding.criterion)
    sentences: dict[str, str] = {
        **{style: f"The {style} does better in {{}}." for style in STYLES},
        "no clear difference": "No clear difference in {}.",
        "too small to matter": "A difference too small to matter in {}.",
        "too little data": "Too little data to tell of {}.",
    }
    told = [sentence.format(_listed(by_answer[key])) for key, sentence in sentences.items() if key in by_answer]
    return " ".join(told) or "Nothing could be compared."


def _speed(report: Report) -> Iterator[Finding]:
    styles = report.styles
    yield from _by_ratio(
        report,
        "end-to-end latency",
        "end_to_end_ms",
        "the end of an order is known after",
        is_measured=all(style.end_to_end_ms for style in styles.values()),
    )
    for service in SERVICES:
        yield from _by_ratio(
            report,
            f"reaction of {service.name}",
            f"reaction_ms.{service.name}",
            f"{service.name} reacts in",
            is_measured=all(style.reaction_ms.get(service.name) for style in styles.values()),
        )
    yield from _by_ratio(
        report,
        "throughput",
        "orders_per_s",
        "orders a second are",
        is_measured=all(style.orders_per_s for style in styles.values()),
        less_is_better=False,
    )


def _by_ratio(  # noqa: PLR0913 - what it is of, and how it is told
    report: Report, criterion: str, name: str, what: str, *, is_measured: bool, less_is_better: bool = True
) -> Iterator[Finding]:
    """A finding from a ratio; none of what was not measured in both styles."""
    ratio = report.ratios.get(name)
    if ratio is None and not is_measured:
        return
    evidence = (
        f"In the choreography, {what} {_told(ratio)}." if ratio else "Fewer than two pairs have it in both styles."
    )
    yield _finding(criterion, of_ratio(ratio, less_is_better=less_is_better), MATTERS, evidence)


def _money(report: Report) -> Iterator[Finding]:
    saga, choreography = (report.styles[style] for style in STYLES)
    if saga.usd_per_million_orders is None or choreography.usd_per_million_orders is None:
        return
    prices = f"Temporal Actions for a million orders: {dollars(saga.usd_per_million_orders)} in the saga, "
    prices += f"{dollars(choreography.usd_per_million_orders)} in the choreography"
    noise = [style.noise_per_order.get("actions_per_order") for style in (saga, choreography)]
    if noise[0] is None or noise[1] is None:
        yield _finding("cost", Judgement("too little data"), MATTERS, f"{prices}; how sure that is, is not known.")
        return
    difference = difference_of_means(
        saga.usd_per_million_orders,
        choreography.usd_per_million_orders,
        noise[0] * USD_PER_MILLION_ACTIONS,
        noise[1] * USD_PER_MILLION_ACTIONS,
    )
    least = MATTERS_SHARE * saga.usd_per_million_orders
    orders = min(sum(style.end_states.values()) for style in (saga, choreography))
    yield _finding(
        "cost",
        of_difference(difference, matters_from=least, data=orders),
        MATTERS,
        f"{prices}: {_difference(difference, ' USD', 0, orders)}.",
        difference,
    )


def _faults(report: Report, blast: Mapping[Style, BlastRadius] | None) -> Iterator[Finding]:
    if blast is not None:
        yield _blast(blast["saga"], blast["choreography"])
    wishes = {style: report.styles[style].cancellations for style in STYLES}
    ours, theirs = wishes["saga"], wishes["choreography"]
    if ours and theirs and ours.answered_ms and theirs.answered_ms:
        ratio = report.ratios.get("cancellation_answered_ms")
        times = f"; in the choreography it takes {_told(ratio)}" if ratio else ""
        yield _finding(
            "cancellation",
            of_ratio(ratio, less_is_better=True),
            MATTERS,
            f"A customer who cancels is answered after {duration(ours.answered_ms.p50)} in the saga, and after "
            f"{duration(theirs.answered_ms.p50)} in the choreography (p50 of {ours.answered_ms.n:,} and of "
            f"{theirs.answered_ms.n:,}){times}. Of all who asked, "
            f"{ours.accepted} of {ours.asked} and {theirs.accepted} of {theirs.asked} were in time.",
        )


def _blast(saga: BlastRadius, choreography: BlastRadius) -> Finding:
    """The effects of one order share its fate, so the orders are counted and not the effects."""
    orders = min(one.expected if one.orders is None else min(one.orders, one.expected) for one in (saga, choreography))
    difference = difference_of_shares(saga.share, choreography.share, orders)
    points = Interval(value=difference.value * 100, low=difference.low * 100, high=difference.high * 100)
    return _finding(
        "blast radius",
        of_difference(difference, matters_from=MATTERS_SHARE, data=orders),
        MATTERS_POINTS,
        f"While {saga.service} was away, of what the other services did {saga.share * 100:.1f} % was delayed or lost "
        f"in the saga, and {choreography.share * 100:.1f} % in the choreography: "
        f"{_difference(points, ' percentage points', 1, orders)}.",
        difference,
    )


def _structure(coupling: Coupling) -> Iterator[Finding]:
    """What is counted in the code, and so is exact; nothing of what was not read."""
    if coupling.modules:
        knows = {style: sum(len(m.services) for m in coupling.modules if m.style == style) for style in STYLES}
        depends = {style: sum(m.efferent for m in coupling.modules if m.style == style) for style in STYLES}
        yield _by_counts(
            "coupling",
            knows,
            "1 name",
            f"Modules name services other than their own {knows['saga']} times in the saga, and "
            f"{knows['choreography']} times in the choreography; counting events that they hear of one another, there "
            f"are {depends['saga']} and {depends['choreography']} dependencies: the saga keeps them in one place.",
        )
    if coupling.touched_by_a_new_service.keys() >= set(STYLES):
        touched = {style: len(coupling.touched_by_a_new_service[style]) for style in STYLES}
        yield _by_counts(
            "a new service",
            touched,
            "1 file",
            f"One more service changes {touched['saga']} files in the saga, and {touched['choreography']} in the "
            "choreography.",
        )
    if coupling.lookups_to_explain_a_stuck_order.keys() >= set(STYLES):
        looks = {style: len(coupling.lookups_to_explain_a_stuck_order[style]) for style in STYLES}
        yield _by_counts(
            "visibility",
            looks,
            "1 look-up",
            f"Look-ups until it is known why an order is stuck: {looks['saga']} in the saga, "
            f"{looks['choreography']} in the choreography.",
        )


def _flips(report: Report, findings: Sequence[Finding]) -> Iterator[str]:
    """What would turn round those findings that favour a style."""
    favouring = {finding.criterion for finding in findings if finding.better}
    saga, choreography = (report.styles[style] for style in STYLES)
    if "end-to-end latency" in favouring and saga.end_to_end_ms and choreography.end_to_end_ms:
        ours, theirs = saga.end_to_end_ms.p50, choreography.end_to_end_ms.p50
        gap_ms = abs(ours - theirs)
        enough_ms = gap_ms / MATTERS_SHARE - min(ours, theirs)
        apart = f"The styles are {gap_ms:.1f} ms apart per order (p50)"
        if enough_ms > 0:
            yield (
                f"{apart}; with services that take {enough_ms:,.0f} ms longer, that is below {MATTERS} of the order's "
                "time: try yours with --profile."
            )
        else:
            yield f"{apart}, below {MATTERS} of the order's time; services that are slower make it less still."
    if "cost" in favouring and saga.usd_per_million_orders and choreography.usd_per_million_orders:
        difference_usd = abs(saga.usd_per_million_orders - choreography.usd_per_million_orders)
        yield f"Below {1e9 / difference_usd:,.0f} orders a year the difference in Actions is under 1,000 USD a year."
    yield (
        "More services that only want to know of an order weigh for the choreography; more steps that have to come in "
        "sequence, or business rules that span them, weigh for the saga."
    )


def _by_counts(criterion: str, counts: Mapping[Style, int], matters_from: str, evidence: str) -> Finding:
    """A finding from one exact count of each style, of which the lower is the better."""
    return _finding(criterion, of_counts(counts["saga"], counts["choreography"]), matters_from, evidence)


def _finding(
    criterion: str, judgement: Judgement, matters_from: str, evidence: str, difference: Interval | None = None
) -> Finding:
    catalogued = "reaction of the services" if criterion.startswith("reaction") else criterion
    return Finding(
        criterion=criterion,
        named_in=CRITERIA.get(catalogued),
        answer=judgement.answer,
        better=judgement.better,
        matters_from=matters_from,
        difference=difference,
        evidence=evidence,
    )


def _told(ratio: Ratio) -> str:
    times = f"{ratio_words.figure(ratio.median)} times what it is in the saga"
    if ratio.says == "too few pairs":
        return f"{times} ({ratio_words.reservation(ratio)})"
    low, high = ratio_words.figure(ratio.low), ratio_words.figure(ratio.high)
    return f"{times} (95 % interval {low} to {high}, {ratio.pairs:,} pairs)"


def _difference(difference: Interval, unit: str, decimals: int, orders: int) -> str:
    """Choreography - saga, with its interval where there are orders enough for one."""
    value, low, high = (
        f"{round(one, decimals) + 0.0:+,.{decimals}f}" for one in (difference.value, difference.low, difference.high)
    )
    if orders < ENOUGH_PAIRS:
        return f"{value}{unit} (too few orders: {orders})"
    return f"{value}{unit} (95 % interval {low} to {high}, {orders:,} orders)"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if names[:-1] else "") + names[-1]
