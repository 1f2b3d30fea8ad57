"""The verdict in plain words: what the run favours, by which criterion, with which evidence, and what would flip it."""

from collections.abc import Iterator, Mapping, Sequence

from lab import ratio_words
from lab.compare.answers import (
    MATTERS,
    MATTERS_POINTS,
    MATTERS_SHARE,
    TOO_LITTLE,
    Judgement,
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
    findings = [*_speed(report), _money(report), *_faults(report, blast), *_structure(coupling)]
    return Verdict(headline=_headline(findings), findings=findings, flips=list(_flips(report, findings)))


def _headline(findings: Sequence[Finding]) -> str:
    """The criteria by their answer: what favours a style first, what nothing is known of last."""
    by_answer: dict[str, list[str]] = {}
    for finding in findings:
        by_answer.setdefault(finding.told, []).append(finding.criterion)
    sentences: dict[str, str] = {
        **{style: f"The {style} does better in {{}}." for style in STYLES},
        "no clear difference": "No clear difference in {}.",
        "too small to matter": "No difference that matters in {}.",
        "too little data": "Too little data to tell of {}.",
    }
    told = [sentence.format(_listed(by_answer[key])) for key, sentence in sentences.items() if key in by_answer]
    return " ".join(told)


def _speed(report: Report) -> Iterator[Finding]:
    yield _by_ratio(
        "end-to-end latency",
        report.ratios.get("end_to_end_ms"),
        "the end of an order is known after",
        is_measured=all(style.end_to_end_ms for style in report.styles.values()),
    )
    for service in SERVICES:
        yield _by_ratio(
            f"reaction of {service.name}",
            report.ratios.get(f"reaction_ms.{service.name}"),
            f"{service.name} reacts in",
            is_measured=all(style.reaction_ms.get(service.name) for style in report.styles.values()),
        )
    yield _by_ratio(
        "throughput",
        report.ratios.get("orders_per_s"),
        "orders a second are",
        is_measured=all(style.orders_per_s for style in report.styles.values()),
        how=": it takes rounds of many orders in flight, and no --rate",
        less_is_better=False,
    )


def _by_ratio(  # noqa: PLR0913 - what it is of, and how it is told
    criterion: str, ratio: Ratio | None, what: str, *, is_measured: bool, how: str = "", less_is_better: bool = True
) -> Finding:
    if ratio is None and not is_measured:
        return _unmeasured(criterion, how)
    evidence = (
        f"In the choreography, {what} {_told(ratio)}." if ratio else "Fewer than two pairs have it in both styles."
    )
    return _finding(criterion, of_ratio(ratio, less_is_better=less_is_better), MATTERS, evidence)


def _unmeasured(criterion: str, how: str = "", matters_from: str = MATTERS) -> Finding:
    """What a run did not measure is a criterion all the same: of no word, nobody would know that it is missing."""
    return _finding(criterion, TOO_LITTLE, matters_from, f"Not measured in this run{how}.")


def _money(report: Report) -> Finding:
    saga, choreography = (report.styles[style].usd_per_million_orders for style in STYLES)
    if saga is None or choreography is None:
        return _unmeasured("cost")
    prices = f"Temporal Actions for a million orders: {dollars(saga)} in the saga, "
    prices += f"{dollars(choreography)} in the choreography"
    actions = report.differences.get("actions_per_order")
    if actions is None:
        told = f"{prices}; how sure that is, is not known: it takes two orders that both styles ran."
        return _finding("cost", TOO_LITTLE, MATTERS, told)
    mean, low, high = (round(one * USD_PER_MILLION_ACTIONS, 2) for one in (actions.mean, actions.low, actions.high))
    difference = Interval(value=mean, low=low, high=high)
    left_out = f"; left out, as only one style ran them: {actions.left_out:,}" if actions.left_out else ""
    return _finding(
        "cost",
        of_difference(difference, matters_from=MATTERS_SHARE * saga, data=actions.pairs),
        MATTERS,
        f"{prices}; order by order: {_difference(difference, ' USD', 0, actions.pairs, 'pairs')}{left_out}.",
        difference,
    )


def _faults(report: Report, blast: Mapping[Style, BlastRadius] | None) -> Iterator[Finding]:
    if blast is None:
        yield _unmeasured("blast radius", ": it takes --faults or --profile", MATTERS_POINTS)
    else:
        yield _blast(blast["saga"], blast["choreography"])
    wishes = {style: report.styles[style].cancellations for style in STYLES}
    ours, theirs = wishes["saga"], wishes["choreography"]
    if not (ours and theirs and ours.answered_ms and theirs.answered_ms):
        yield _unmeasured("cancellation", ": it takes --cancel-share, and customers who cancel")
        return
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
        f"{_difference(points, ' percentage points', 1, orders, 'orders')}.",
        difference,
    )


def _structure(coupling: Coupling) -> Iterator[Finding]:
    """What is counted in the code, and so is exact."""
    if not coupling.modules:
        yield _unmeasured("coupling", matters_from="1 name")
    else:
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
    if not coupling.touched_by_a_new_service.keys() >= set(STYLES):
        yield _unmeasured("a new service", matters_from="1 file")
    else:
        touched = {style: len(coupling.touched_by_a_new_service[style]) for style in STYLES}
        yield _by_counts(
            "a new service",
            touched,
            "1 file",
            f"One more service changes {touched['saga']} files in the saga, and {touched['choreography']} in the "
            "choreography.",
        )
    if not coupling.lookups_to_explain_a_stuck_order.keys() >= set(STYLES):
        yield _unmeasured("visibility", matters_from="1 look-up")
    else:
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
    cost = next(finding.difference for finding in findings if finding.criterion == "cost")
    if "cost" in favouring and cost is not None:
        yield f"Below {1e9 / abs(cost.value):,.0f} orders a year the difference in Actions is under 1,000 USD a year."
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
    if not ratio.has_interval:
        return f"{times} ({ratio_words.too_few(ratio)})"
    low, high = ratio_words.figure(ratio.low), ratio_words.figure(ratio.high)
    return f"{times} (95 % interval {low} to {high}, {ratio.pairs:,} pairs)"


def _difference(difference: Interval, unit: str, decimals: int, count: int, of: str) -> str:
    """Choreography - saga, with its interval where it is of enough orders or pairs for one."""
    value, low, high = (
        f"{round(one, decimals) + 0.0:+,.{decimals}f}" for one in (difference.value, difference.low, difference.high)
    )
    if count < ENOUGH_PAIRS:
        return f"{value}{unit} (too few {of}: {count})"
    return f"{value}{unit} (95 % interval {low} to {high}, {count:,} {of})"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if names[:-1] else "") + names[-1]
