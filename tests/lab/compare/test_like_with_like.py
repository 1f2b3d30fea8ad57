"""Ratios divide like by like, and are of the orders that the figures beside them are of."""

from datetime import UTC, datetime

from events.log import OrderState
from lab.compare.contestants import BARE_WORKFLOW, ONE_ACTIVITY
from lab.compare.figures import reaction_ratios, reference_report, without
from lab.compare.measuring import Results
from lab.histories import RunCost
from lab.measure import Asked, Measured, Timing
from lab.paired import difference_of_pairs
from lab.placing import Placed
from lab.summary import ratios, style_report
from orders.model import STYLES, Style
from services.order_placed import SERVICES, UNDONE_BY
from stores.ledger import EffectRecord

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = [service.name for service in SERVICES]
ORDERS = [str(number) for number in range(40)]
STYLE_MS = {name: 10.0 * (number + 1) for number, name in enumerate(NAMES)}
"""How long each service takes in either style: of one activity, half of it."""


def record(order: str, service: str, ms: float, style: Style = "saga") -> EffectRecord:
    effect = next(iter(UNDONE_BY[service]))
    at = datetime.fromtimestamp(NOON.timestamp() + ms / 1e3, UTC)
    key = f"{style}/{order}/{service}"
    return EffectRecord(
        order_id=order, style=style, service=service, effect=effect, idempotency_key=key, at=at, fact={}
    )


def timing(order: str, ms: float = 500, *, style: Style = "saga", asked: bool = False, ended: bool = True) -> Timing:
    called_us = int(NOON.timestamp() * 1e6)
    return Timing(
        Placed(style, order, known=False),
        called_us,
        1,
        ms,
        OrderState.COMPLETED if ended else None,
        None,
        Asked(called_us, 5, accepted=True) if asked else None,
    )


def turn_of(number: int) -> str:
    return NAMES[number % len(NAMES)]


DONE = [record(order, name, STYLE_MS[name]) for order in ORDERS for name in NAMES]
BESIDE = [
    record(f"{order}.{ONE_ACTIVITY}", turn_of(number), STYLE_MS[turn_of(number)] / 2)
    for number, order in enumerate(ORDERS)
]


def test_a_reaction_is_divided_by_that_of_the_same_service_where_it_had_its_turn() -> None:
    there = [timing(f"{order}.{ONE_ACTIVITY}", ms=900 + number) for number, order in enumerate(ORDERS)]

    found = reaction_ratios("saga", [timing(order) for order in ORDERS], there, DONE, BESIDE, seed=1)

    for name in NAMES:
        ratio = found[f"saga/{ONE_ACTIVITY}.reaction_ms.{name}"]
        assert (ratio.low, ratio.median, ratio.high) == (2, 2, 2), name  # no other service's time is among them
        assert ratio.pairs == len(ORDERS) // len(NAMES)


def test_an_order_that_did_not_end_there_or_that_its_customer_cancelled_here_is_no_pair() -> None:
    ours = [timing(order, asked=order == "0") for order in ORDERS]
    there = [timing(f"{order}.{ONE_ACTIVITY}", ended=order != "4") for order in ORDERS]

    found = reaction_ratios("saga", ours, there, DONE, BESIDE, seed=1, when="at_a_third.")

    assert found[f"saga/{ONE_ACTIVITY}.at_a_third.reaction_ms.{NAMES[0]}"].pairs == len(ORDERS) // len(NAMES) - 2


def test_of_an_interrupted_run_references_are_of_the_orders_that_both_styles_ran() -> None:
    results = Results()
    results.alone["saga"] = [timing(order) for order in "1234"]
    results.alone["choreography"] = [timing(order, style="choreography") for order in "123"]
    results.alone[BARE_WORKFLOW] = [timing(order) for order in "1234"]
    results.alone[ONE_ACTIVITY] = [timing(f"{order}.{ONE_ACTIVITY}") for order in "1234"]
    results.rounds |= {"saga": [(9, 1.0), (9, 2.0)], "choreography": [(9, 1.0)], BARE_WORKFLOW: [(9, 1.0), (9, 4.0)]}

    both = results.only({"1", "2", "3"})

    for name in (*STYLES, BARE_WORKFLOW, ONE_ACTIVITY):
        assert len(both.alone[name]) == 3
        assert both.rounds[name] == results.rounds[name][:1]
    report = reference_report(BARE_WORKFLOW, both, [])
    assert report.end_to_end_ms is not None
    assert (report.end_to_end_ms.n, report.orders_per_s) == (3, 9)


def test_orders_that_were_taken_away_before_are_counted_among_those_left_out() -> None:
    found = difference_of_pairs({"1": 5, "2": 6, "3": 7}, {"1": 5, "2": 5})

    assert found is not None
    assert {name: one.left_out for name, one in without({"actions_per_order": found}, 4).items()} == {
        "actions_per_order": 5
    }


def test_the_answers_to_customers_are_compared_of_the_orders_whose_times_are_told() -> None:
    measured = Measured(
        one_at_a_time=[timing(order, style=style, asked=order in "12") for style in STYLES for order in "123"],
        many_in_flight=[timing("4", style=style, asked=True) for style in STYLES],
    )

    told = style_report("saga", measured, [], [], dict.fromkeys([(s, o) for s in STYLES for o in "1234"], 0))
    ratio = ratios(measured, [], seed=1)["cancellation_answered_ms"]

    assert told.cancellations is not None
    assert told.cancellations.answered_ms is not None
    assert told.cancellations.asked == 3
    assert told.cancellations.answered_ms.n == ratio.pairs == 2


def test_figures_per_order_are_of_orders_also_where_some_took_two_runs() -> None:
    measured = Measured(one_at_a_time=[timing(order) for order in "12"])
    costs = [RunCost(events=20, actions=5, retries=0), RunCost(events=40, actions=11, retries=2, runs=2)]

    report = style_report("saga", measured, [], costs, {})

    assert (report.actions_per_order, report.history_events_per_order, report.workflows_per_order) == (8, 30, 1.5)
    assert report.usd_per_million_orders == 400
    assert report.retries == 2


def test_the_noise_of_a_few_orders_is_wider_than_that_of_many() -> None:
    def noise(orders: int) -> float:
        costs = [RunCost(events=20, actions=5 + number % 2, retries=0) for number in range(orders)]
        report = style_report("saga", Measured(one_at_a_time=[timing(str(n)) for n in range(orders)]), [], costs, {})
        return report.noise_per_order["actions_per_order"]

    assert noise(2) > 6  # 12.7 standard errors
    assert 0.09 < noise(100) < 0.11  # two


def test_of_one_order_no_noise_is_known() -> None:
    costs = [RunCost(events=20, actions=5, retries=0)]

    assert style_report("saga", Measured(one_at_a_time=[timing("1")]), [], costs, {}).noise_per_order == {}
