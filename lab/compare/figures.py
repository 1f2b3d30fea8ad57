"""Turns what the contestants did into figures and ratios."""

from collections.abc import Mapping, Sequence

from lab.compare.comparison import LoadPoint
from lab.compare.contestants import NAIVE_FANOUT, ONE_ACTIVITY, plain_id
from lab.compare.measuring import Results
from lab.measure import Timing, rate_of
from lab.paired import ratios_of_pairs
from lab.report import PairedDifference, Percentiles, Ratio, ReferenceReport
from lab.summary import by_service, reactions_ms
from orders.model import STYLES, Style
from services.order_placed import SERVICES
from stores.ledger import EffectRecord


def reference_report(name: str, results: Results, effects: Sequence[EffectRecord]) -> ReferenceReport:
    """What a reference did.

    Args:
        name: of the reference.
        results: what was measured.
        effects: in the databases of the references.
    """
    timings = [timing for timing in results.alone[name] if timing.state is not None]
    style: Style = "choreography" if name == NAIVE_FANOUT else "saga"
    rate_per_s = rate_of(results.rounds[name])
    return ReferenceReport(
        orders_per_s=None if rate_per_s is None else round(rate_per_s, 2),
        end_to_end_ms=Percentiles.of([timing.end_to_end_ms for timing in timings]),
        reaction_ms=by_service(reactions_ms(style, timings, effects)),
    )


def end_to_end_ratio(ours: str, theirs: str, results: Results, seed: int) -> dict[str, Ratio]:
    """How much longer an order takes in one than in the other, one at a time, order by order."""
    other = {timing.placed.order_id: timing for timing in results.alone[theirs] if timing.state is not None}
    pairs = [
        (timing.end_to_end_ms, other[timing.placed.order_id].end_to_end_ms)
        for timing in results.alone[ours]
        if timing.placed.order_id in other and timing.asked is None
    ]
    return ratios_of_pairs({f"{ours}/{theirs}.end_to_end_ms": pairs}, seed)


def reaction_ratios(  # noqa: PLR0913, PLR0917 - whose times, and what the ratios are called
    style: Style,
    ours: Sequence[Timing],
    one_activity: Sequence[Timing],
    effects: Sequence[EffectRecord],
    beside: Sequence[EffectRecord],
    seed: int,
    when: str = "",
) -> dict[str, Ratio]:
    """How long each service takes to react, against the same service as the one activity of a workflow.

    One activity is run for each order, of each service in its turn: the pairs are the orders in which the service whose
    reaction is compared had the turn, and both times end with the commit of its last effect.

    Args:
        style: which.
        ours: its timings.
        one_activity: the timings of the same orders there.
        effects: of the style.
        beside: the effects in the databases of the references.
        seed: of the bootstrap.
        when: comes before the name of the measure.
    """
    ended = {timing.placed.order_id: plain_id(timing) for timing in one_activity if timing.state is not None}
    there = {
        (service, ended[order]): ms
        for (service, order), ms in reactions_ms("saga", one_activity, beside).items()
        if order in ended
    }
    reactions = reactions_ms(style, [timing for timing in ours if timing.asked is None], effects)
    pairs = {
        f"{style}/{ONE_ACTIVITY}.{when}reaction_ms.{service.name}": [
            (ms, there[key]) for key, ms in reactions.items() if key[0] == service.name and key in there
        ]
        for service in SERVICES
    }
    return ratios_of_pairs(pairs, seed)


def without(differences: Mapping[str, PairedDifference], left_out: int) -> dict[str, PairedDifference]:
    """The same, saying of how many orders more they are not.

    Args:
        differences: by what they are of.
        left_out: orders that only one style had run, and that were taken away before.
    """
    return {name: one.model_copy(update={"left_out": one.left_out + left_out}) for name, one in differences.items()}


def rate_ratio(ours: str, theirs: str, results: Results, seed: int) -> dict[str, Ratio]:
    """How many more orders a second one takes than the other, round by round."""
    rates = ([orders / seconds for orders, seconds in results.rounds[name]] for name in (ours, theirs))
    pairs = list(zip(*rates, strict=False))  # interrupted, one of them may be a round ahead
    return ratios_of_pairs({f"{ours}/{theirs}.orders_per_s": pairs}, seed)


def samples_ms(style: Style, timings: Sequence[Timing], effects: Sequence[EffectRecord]) -> dict[str, list[float]]:
    """Service to its reaction times, sorted."""
    reactions = reactions_ms(style, [timing for timing in timings if timing.asked is None], effects)
    return {
        service.name: sorted(round(ms, 2) for (name, _), ms in reactions.items() if name == service.name)
        for service in SERVICES
    }


def load_of(results: Results, effects: Sequence[EffectRecord]) -> dict[Style, list[LoadPoint]]:
    """The open loop's figures, by rate."""
    rates = sorted(results.load)
    return {style: [load_point(style, style, rate, results, effects) for rate in rates] for style in STYLES if rates}


def load_point(
    name: str, listed: Style, rate_per_s: float, results: Results, effects: Sequence[EffectRecord]
) -> LoadPoint:
    """What a contestant did in an open loop.

    Args:
        name: of the contestant.
        listed: the style that its effects are listed under.
        rate_per_s: of the loop.
        results: what was measured.
        effects: in the databases that it wrote to.
    """
    timings = [timing for timing in results.load[rate_per_s][name] if timing.asked is None]
    return LoadPoint(
        rate_per_s=round(rate_per_s, 2),
        end_to_end_ms=Percentiles.of([timing.end_to_end_ms for timing in timings]),
        reaction_ms=by_service(reactions_ms(listed, timings, effects)),
    )
