"""Turns what was measured into the report."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean, stdev

from lab.histories import RunCost
from lab.measure import Asked, Measured, Timing, rate_of
from lab.paired import ratios_of_pairs
from lab.parity import UNDONE_BY
from lab.report import Cancellations, Percentiles, Ratio, StyleReport
from orders.model import STYLES, Style
from services.order_placed import SERVICES
from stores.ledger import EffectRecord

USD_PER_MILLION_ACTIONS = 50
"""Price of Temporal Cloud, https://temporal.io/pricing."""

_Z_95 = NormalDist().inv_cdf(0.975)


def style_report(
    style: Style,
    measured: Measured,
    effects: Sequence[EffectRecord],
    costs: Sequence[RunCost],
    consistent_us: Mapping[tuple[Style, str], int],
) -> StyleReport:
    """What one style did. Latencies leave out the orders whose customers changed their minds.

    Args:
        style: which.
        measured: both styles' timings.
        effects: all effects of the run's orders, in both styles.
        costs: of this style's workflows, one for each order.
        consistent_us: since when nothing has changed of an order.
    """
    everything = [timing for timing in measured.all if timing.placed.style == style]
    alone = [timing for timing in measured.one_at_a_time if timing.placed.style == style and timing.asked is None]
    rate_per_s = rate_of(measured.rates[style])
    counted: dict[str, Counter[str]] = {service.name: Counter() for service in SERVICES}
    for record in effects:
        if record.style == style:
            counted[record.service][record.effect] += 1
    actions = _mean([cost.actions for cost in costs])
    states = Counter(timing.state.value for timing in everything if timing.state is not None)
    return StyleReport(
        orders_per_s=None if rate_per_s is None else round(rate_per_s, 2),
        ack_ms=Percentiles.of([timing.ack_ms for timing in alone]),
        end_to_end_ms=Percentiles.of([timing.end_to_end_ms for timing in alone]),
        reaction_ms=by_service(reactions_ms(style, alone, effects)),
        history_events_per_order=_mean([cost.events for cost in costs]),
        actions_per_order=actions,
        workflows_per_order=round(sum(cost.runs for cost in costs) / len(everything), 2) if everything else None,
        noise_per_order=_noise(costs),
        usd_per_million_orders=None if actions is None else round(actions * USD_PER_MILLION_ACTIONS, 2),
        end_states=dict(states),
        retries=sum(cost.retries for cost in costs) if costs else None,
        parked=states["parked"],
        cancellations=_cancellations(style, measured, consistent_us),
        effects={service: dict(counter) for service, counter in counted.items()},
    )


def _cancellations(
    style: Style, measured: Measured, consistent_us: Mapping[tuple[Style, str], int]
) -> Cancellations | None:
    """Counts of all; times of those run one at a time, or of all where none were."""
    asked = [one.asked for one in measured.all if one.placed.style == style and one.asked]
    if not asked:
        return None
    timed = _wishes(style, measured)
    accepted = sum(one.accepted for one in asked)
    return Cancellations(
        asked=len(asked),
        accepted=accepted,
        refused=len(asked) - accepted,
        answered_ms=Percentiles.of([one.answered_ms for one in timed.values()]),
        # an order that had failed by then was consistent before its customer asked
        consistent_ms=Percentiles.of(
            [max(0, consistent_us[style, order] - one.asked_us) / 1e3 for order, one in timed.items() if one.accepted]
        ),
    )


def _wishes(style: Style, measured: Measured) -> dict[str, Asked]:
    """The wishes to cancel whose times count, by order: of those run one at a time, or of all where none were."""
    asked = {one.placed.order_id: one.asked for one in measured.all if one.placed.style == style and one.asked}
    alone = {one.placed.order_id for one in measured.one_at_a_time if one.asked}
    return {order: wish for order, wish in asked.items() if order in alone or not alone}


def reactions_ms(
    style: Style, timings: Sequence[Timing], effects: Sequence[EffectRecord]
) -> dict[tuple[str, str], float]:
    """Reaction time per service and order: from the call to the commit of the service's last forward effect, in ms."""
    called_us = {timing.placed.order_id: timing.called_us for timing in timings}
    reactions: dict[tuple[str, str], float] = defaultdict(float)
    for record in effects:
        called = called_us.get(record.order_id)
        if record.style == style and called is not None and record.effect in UNDONE_BY:
            reaction_ms = record.at.timestamp() * 1e3 - called / 1e3
            key = (record.service, record.order_id)
            reactions[key] = max(reactions[key], reaction_ms)
    return dict(reactions)


def by_service(reactions: Mapping[tuple[str, str], float]) -> dict[str, Percentiles | None]:
    """The distribution of each service's reactions.

    Args:
        reactions: by service and order, in ms.
    """
    return {
        service.name: Percentiles.of([ms for (name, _), ms in reactions.items() if name == service.name])
        for service in SERVICES
    }


def ratios(measured: Measured, effects: Sequence[EffectRecord], seed: int) -> dict[str, Ratio]:
    """Choreography divided by saga: over the same orders for latencies, over the same rounds for throughput.

    The orders are those of the style reports, as far as they have the figure in both styles.

    Args:
        measured: both styles' timings.
        effects: all effects of the run's orders.
        seed: of the bootstrap.
    """
    by_style: dict[Style, dict[str, Timing]] = {
        style: {
            timing.placed.order_id: timing
            for timing in measured.one_at_a_time
            if timing.placed.style == style and timing.asked is None
        }
        for style in STYLES
    }
    saga, choreography = by_style["saga"], by_style["choreography"]
    both = sorted(saga.keys() & choreography.keys())
    pairs = {
        "ack_ms": [(choreography[order].ack_ms, saga[order].ack_ms) for order in both],
        "end_to_end_ms": [(choreography[order].end_to_end_ms, saga[order].end_to_end_ms) for order in both],
    }
    reaction = {style: reactions_ms(style, list(by_style[style].values()), effects) for style in STYLES}
    for service in SERVICES:
        keys = [(service.name, order) for order in both]
        pairs[f"reaction_ms.{service.name}"] = [
            (reaction["choreography"][key], reaction["saga"][key])
            for key in keys
            if key in reaction["choreography"] and key in reaction["saga"]
        ]
    rounds = zip(measured.rates["saga"], measured.rates["choreography"], strict=False)
    pairs["orders_per_s"] = [(ours / our_s, theirs / their_s) for (theirs, their_s), (ours, our_s) in rounds]
    wishes = {style: _wishes(style, measured) for style in STYLES}
    pairs["cancellation_answered_ms"] = [
        (wishes["choreography"][order].answered_ms, wish.answered_ms)
        for order, wish in sorted(wishes["saga"].items())
        if order in wishes["choreography"]
    ]
    return ratios_of_pairs(pairs, seed)


def _noise(costs: Sequence[RunCost]) -> dict[str, float]:
    """Half the width of the 95 % interval of each mean over orders, by Student's t distribution."""
    orders = len(costs)
    if orders < 2:  # noqa: PLR2004 - one value says nothing about its spread
        return {}
    from scipy.stats import t as student  # noqa: PLC0415 - takes long, which no other command should wait for

    t_95 = float(student.ppf(0.975, orders - 1))
    # Most orders are one run; how many have a second one is a count of rare events (Poisson).
    more_runs = sum(cost.runs - 1 for cost in costs)
    halves = {
        "history_events_per_order": t_95 * stdev(cost.events for cost in costs) / math.sqrt(orders),
        "actions_per_order": t_95 * stdev(cost.actions for cost in costs) / math.sqrt(orders),
        "workflows_per_order": _Z_95 * math.sqrt(more_runs) / orders,
    }
    return {name: round(half, 3) for name, half in halves.items()}


def _mean(values: Sequence[int]) -> float | None:
    return round(fmean(values), 2) if values else None
