"""Reactions at a third of the maximum throughput."""

from collections.abc import Mapping, Sequence

from lab.compare.contestants import Contestant
from lab.compare.measuring import OnOrder, Results, at_rate, closed_loop, rotated
from lab.compare.plan import ComparePlan
from lab.measure import rate_of
from orders.loader import OrderBook
from orders.model import STYLES

ORDERS = 200
"""For each contestant: enough for a p99."""

MAXIMUM_ORDERS = 80
"""In each style, where the maximum is not known yet."""

_ROUNDS = 5


async def at_a_third(  # noqa: PLR0913, PLR0917 - who runs what, and how much of it
    contestants: Sequence[Contestant],
    book: OrderBook,
    plan: ComparePlan,
    rounds: Mapping[str, Sequence[tuple[int, float]]],
    into: Results,
    on_order: OnOrder,
    *,
    orders: int = ORDERS,
) -> None:
    """Run an open loop at a third of what the slower style can take, in rounds that the contestants take in turn.

    Args:
        contestants: both styles, and what else is to run.
        book: orders to draw from.
        plan: seed, label and concurrency.
        rounds: of the closed loop of each style, which tell the maximum; where there are none, it is found first.
        into: is given what was measured, under the one rate.
        on_order: is told of each order's end.
        orders: for each contestant.
    """
    rounds = rounds or await _closed_loop(contestants, book, plan, on_order)
    maximum_per_s = min(rate_of(rounds[style]) or 1 for style in STYLES)
    batch = book.take(orders, plan.seed, f"third-{plan.label}")
    size = -(-orders // _ROUNDS)
    for number, start in enumerate(range(0, orders, size)):
        turn, some, draw = rotated(contestants, number), batch[start : start + size], f"{plan.seed}|third|{number}"
        await at_rate(turn, some, maximum_per_s / 3, draw, into, on_order)


async def _closed_loop(
    contestants: Sequence[Contestant], book: OrderBook, plan: ComparePlan, on_order: OnOrder
) -> Mapping[str, Sequence[tuple[int, float]]]:
    styles = [one for one in contestants if one.name in STYLES]
    results = Results()
    orders = book.take(MAXIMUM_ORDERS, plan.seed, f"maximum-{plan.label}")
    await closed_loop(styles, orders, plan, results, on_order)
    return results.rounds
