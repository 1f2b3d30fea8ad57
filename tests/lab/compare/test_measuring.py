"""The measuring itself, with contestants whose times are known."""

import asyncio
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.log import OrderState
from lab.compare.contestants import Contestant
from lab.compare.measuring import STEPS_OF_THE_RATE, Results, closed_loop, one_at_a_time, open_loop
from lab.compare.plan import ComparePlan
from lab.compare.third import MAXIMUM_ORDERS, at_a_third
from lab.measure import Timing
from lab.paired import difference_of_pairs, ratio_of_pairs
from lab.placing import Placed
from orders.loader import OrderBook
from orders.model import Order


class Clockwork:
    """Takes a fixed time for each order, and keeps who came when and how many were at it."""

    def __init__(self, name: str, takes_s: float = 0) -> None:
        self.name = name
        self.takes_s = takes_s
        self.calls: list[str] = []
        self.most_at_once = 0
        self._now = 0

    async def run(self, order: Order) -> Timing:
        self.calls.append(order.order_id)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        called_us, called = time.time_ns() // 1_000, time.perf_counter()
        await asyncio.sleep(self.takes_s)
        self._now -= 1
        took_ms = (time.perf_counter() - called) * 1e3
        placed = Placed("saga", order.order_id, known=False)
        return Timing(placed, called_us, 0, took_ms, OrderState.COMPLETED, None)

    @property
    def contestant(self) -> Contestant:
        return Contestant(self.name, self.run)


def nothing(_name: str, _timing: Timing) -> None:
    """Nobody wants to know."""


@pytest.fixture
def orders(book: OrderBook) -> list[Order]:
    return book.take(60, 1, "measuring")


async def test_every_order_goes_through_every_contestant_and_each_is_first_equally_often(orders: list[Order]) -> None:
    told: list[str] = []
    clocks = [Clockwork(name) for name in ("a", "b", "c")]
    results = Results()

    await one_at_a_time([c.contestant for c in clocks], orders, results, lambda name, _: told.append(name))

    assert all(clock.calls == [order.order_id for order in orders] for clock in clocks)
    assert all(clock.most_at_once == 1 for clock in clocks)
    assert Counter(told[::3]) == {"a": 20, "b": 20, "c": 20}


async def test_the_closed_loop_keeps_as_many_in_flight_as_it_was_told_to(orders: list[Order]) -> None:
    clocks = [Clockwork(name, takes_s=0.001) for name in ("a", "b")]
    plan = ComparePlan.now(100, 1, concurrency=5)
    results = Results()

    await closed_loop([c.contestant for c in clocks], orders, plan, results, nothing)

    for clock in clocks:
        assert clock.most_at_once == 5
        assert sorted(clock.calls) == sorted(order.order_id for order in orders)
        assert sum(count for count, _ in results.rounds[clock.name]) == len(orders)
        assert all(seconds > 0 for _, seconds in results.rounds[clock.name])


async def test_both_are_given_the_same_orders_in_the_same_rounds(orders: list[Order]) -> None:
    clocks = [Clockwork(name) for name in ("a", "b")]
    results = Results()

    await closed_loop([c.contestant for c in clocks], orders, ComparePlan.now(120, 1, concurrency=3), results, nothing)

    assert [n for n, _ in results.rounds["a"]] == [n for n, _ in results.rounds["b"]]
    assert len(results.rounds["a"]) == 10


async def test_an_order_that_could_not_be_placed_in_time_counts_from_when_it_should_have_been(
    orders: list[Order],
) -> None:
    # given a contestant that blocks everything, itself included, for longer than orders take to arrive
    clock = Clockwork("a")

    async def blocking(order: Order) -> Timing:
        time.sleep(0.01)  # noqa: ASYNC251 - this is what a process does that can't keep up
        return await clock.run(order)

    results = Results()
    plan = ComparePlan.now(100, 1, rate_per_s=1_000)

    await open_loop([Contestant("a", blocking)], orders, plan, results, nothing)

    # then the last of each step waited for most of the others, and that is in its time
    for rate in (1_000 * share for share in STEPS_OF_THE_RATE[1:]):
        assert max(timing.end_to_end_ms for timing in results.load[rate]["a"]) > 50


async def test_the_open_loop_runs_at_each_step_of_the_rate(orders: list[Order]) -> None:
    clocks = [Clockwork(name) for name in ("a", "b")]
    results = Results()

    await open_loop([c.contestant for c in clocks], orders, ComparePlan.now(100, 1, rate_per_s=400), results, nothing)

    assert sorted(results.load) == [100, 200, 300, 400]
    for timings in results.load.values():
        assert [t.placed.order_id for t in timings["a"]] == [t.placed.order_id for t in timings["b"]]
    assert sorted(clocks[0].calls) == sorted(order.order_id for order in orders)


async def test_a_third_of_what_the_slower_style_can_take_is_put_to_all_with_the_same_orders(book: OrderBook) -> None:
    clocks = [Clockwork(name) for name in ("saga", "choreography", "one_activity")]
    rounds = {"saga": [(600, 1.0)], "choreography": [(300, 0.5), (300, 1.5)]}
    results = Results()

    await at_a_third([c.contestant for c in clocks], book, ComparePlan.now(9, 1), rounds, results, nothing, orders=10)

    assert list(results.load) == [100]
    assert clocks[0].calls == clocks[1].calls == clocks[2].calls
    assert len(set(clocks[0].calls)) == 10


async def test_where_nobody_knows_the_maximum_it_is_found_first_by_the_styles_alone(book: OrderBook) -> None:
    clocks = [Clockwork(name) for name in ("saga", "choreography", "one_activity")]
    plan = ComparePlan.now(9, 1, rate_per_s=5)

    await at_a_third([c.contestant for c in clocks], book, plan, {}, Results(), nothing, orders=10)

    assert [len(clock.calls) for clock in clocks] == [MAXIMUM_ORDERS + 10, MAXIMUM_ORDERS + 10, 10]


def test_a_ratio_is_the_median_of_pairs_with_an_interval_that_holds_it() -> None:
    found = ratio_of_pairs([2.0, 4.0, 6.6, 2.2, 9.0, 2.0, 2.1, 2.0], [1.0, 2.0, 3.0, 1.0, 3.0, 1.0, 1.0, 1.0], seed=1)

    assert found is not None
    assert found.low <= found.median <= found.high
    assert found.median == pytest.approx(2.05)
    assert found.low > 1
    assert found.has_interval


def test_of_one_pair_there_is_no_ratio_and_of_a_few_no_interval() -> None:
    few = ratio_of_pairs([2.0, 2.0], [1.0, 1.0], seed=1)

    assert ratio_of_pairs([2.0], [1.0], seed=1) is None
    assert few is not None
    assert not few.has_interval


def test_a_difference_is_the_mean_over_the_orders_that_both_ran_by_students_t() -> None:
    saga = {"1": 5.0, "2": 6.0, "3": 9.0, "4": 5.0, "of saga": 99.0}
    choreography = {"1": 6.0, "2": 7.0, "3": 10.0, "4": 8.0, "of": 1.0, "choreography": 1.0}

    found = difference_of_pairs(choreography, saga)

    assert found is not None
    assert (found.mean, found.pairs, found.left_out) == (1.5, 4, 3)
    half = 3.182446 * 1 / 2  # t(0.975, 3), and a standard deviation of 1
    assert (found.low, found.high) == pytest.approx((1.5 - half, 1.5 + half), abs=1e-4)


def test_what_makes_an_order_dear_in_both_does_not_hide_a_difference() -> None:
    saga = {str(order): 5.0 + order % 7 * 10 for order in range(40)}
    choreography = {order: actions + 1 + (order == "0") for order, actions in saga.items()}

    found = difference_of_pairs(choreography, saga)

    assert found is not None
    assert 0.9 < found.low < found.mean < found.high < 1.1


@pytest.mark.parametrize(
    ("ours", "theirs"), [({}, {}), ({"1": 1.0}, {"1": 2.0}), ({"1": 1.0, "2": 1.0}, {"3": 1.0, "4": 1.0})]
)
def test_of_less_than_two_orders_that_both_ran_there_is_no_difference(
    ours: dict[str, float], theirs: dict[str, float]
) -> None:
    assert difference_of_pairs(ours, theirs) is None


@given(st.dictionaries(st.integers(0, 30).map(str), st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2))
@settings(max_examples=50, deadline=None)
def test_a_difference_holds_its_mean_and_is_the_same_in_the_other_direction(
    pairs: dict[str, tuple[float, float]],
) -> None:
    ours, theirs = ({order: pair[which] for order, pair in pairs.items()} for which in (0, 1))

    there, back = difference_of_pairs(ours, theirs), difference_of_pairs(theirs, ours)

    assert there is not None
    assert back is not None
    assert there.low <= there.mean <= there.high
    assert (there.low, there.mean, there.high) == pytest.approx((-back.high, -back.mean, -back.low), abs=2e-4)


@pytest.mark.parametrize("orders", [1, 2, 3, 50, 100, 1_000, 5_000])
def test_all_orders_are_measured_once(orders: int) -> None:
    plan = ComparePlan.now(orders, 1)

    assert 1 <= plan.alone <= orders
    assert plan.round_size >= 1
