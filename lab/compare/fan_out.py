"""What one more subscriber costs the choreography."""

import asyncio
import statistics
from collections.abc import Awaitable, Sequence

from events.bus import bus_id
from events.edge import order_placed
from events.subscriptions import SubscriptionRegistry
from events.transport import EventPublisher
from lab.compare.comparison import FanOut
from lab.compare.contestants import Contestant, timed
from lab.compare.measuring import OnOrder, Results, closed_loop, one_at_a_time
from lab.compare.plan import ComparePlan
from lab.console import announce
from lab.histories import costs_of
from lab.measure import Timing, rate_of
from lab.paired import ratios_of_pairs
from lab.processes import lab_processes
from lab.report import Percentiles, Ratio
from orders.loader import OrderBook
from orders.model import Order
from runtime.settings import Settings
from server.session import Session
from services.analytics import ANALYTICS, ON_ORDER_PLACED
from services.service import Service, lab_beside, task_queue

COUNTS = (4, 8, 16, 32)
"""Subscribers of `order.placed`."""

ALONE, CROWD = 20, 40
"""Orders for each of the counts: one at a time, and many in flight."""

_BESIDE = "listeners"


async def fan_out(  # noqa: PLR0913 - where, and what to run
    session: Session,
    settings: Settings,
    book: OrderBook,
    plan: ComparePlan,
    on_order: OnOrder,
    *,
    counts: Sequence[int] = COUNTS,
    alone: int = ALONE,
    crowd: int = CROWD,
) -> tuple[list[FanOut], dict[str, Ratio]]:
    """Publish orders to few and to many subscribers in turn.

    Each subscriber is a copy of analytics, with a process, a task queue and a database of its own, so all of them cost
    the same. They and a bus of their own make a lab beside.

    Args:
        session: the Temporal server.
        settings: the subscribers get a directory in its data directory.
        book: orders to draw from.
        plan: seed, label and concurrency.
        on_order: is told of each order's end.
        counts: of subscribers, fewest first.
        alone: orders for each count, one at a time.
        crowd: orders for each count, many in flight.

    Returns:
        The figures, and the ratio of the time per subscriber: most of them / fewest of them.
    """
    lab = lab_beside(session.lab, _BESIDE)
    listeners = [Service(f"listener-{number:02}", ANALYTICS.attempts) for number in range(1, counts[-1] + 1)]

    def contestant(count: int) -> Contestant:
        subscriptions = [one.handles(ON_ORDER_PLACED, {"type": ["order.placed"]}, lab=lab) for one in listeners[:count]]
        publisher = EventPublisher(
            session.client, SubscriptionRegistry(tuple(subscriptions)), lab=lab, task_queue=task_queue("bus", lab)
        )

        async def run(order: Order) -> Timing:
            mine = order.model_copy(update={"order_id": f"{order.order_id}.{count}"})

            async def start() -> list[Awaitable[object]]:
                await publisher.publish(order_placed(mine))
                return [session.client.get_workflow_handle(bus_id(mine.order_id)).result()]

            return await timed("choreography", mine, start)

        return Contestant(_name(count), run)

    contestants = [contestant(count) for count in counts]
    workers = (*(one.name for one in listeners), "bus")
    async with lab_processes(session, settings, announce, workers, beside=_BESIDE):
        for order in book.take(2, plan.seed, f"fan-warm-up-{plan.label}"):
            await asyncio.gather(*(one.run(order) for one in contestants))
        orders = book.take(alone + crowd, plan.seed, f"fan-{plan.label}")
        results = Results()
        await one_at_a_time(contestants, orders[:alone], results, on_order)
        await closed_loop(contestants, orders[alone:], plan, results, on_order)
    figures = [await _figures(session, count, results) for count in counts]
    few, many = counts[0], counts[-1]
    pairs = list(zip(_per_subscriber_ms(many, results), _per_subscriber_ms(few, results), strict=True))
    return figures, ratios_of_pairs({f"{_name(many)}/{_name(few)}.ms_per_subscriber": pairs}, plan.seed)


async def _figures(session: Session, count: int, results: Results) -> FanOut:
    name = _name(count)
    alone = results.alone[name]
    costs = await costs_of(session.client, [bus_id(timing.placed.order_id) for timing in alone])
    return FanOut(
        subscribers=count,
        end_to_end_ms=Percentiles.of([timing.end_to_end_ms for timing in alone]),
        ms_per_subscriber=Percentiles.of(_per_subscriber_ms(count, results)),
        deliveries_per_s=round((rate_of(results.rounds[name]) or 0) * count, 1),
        actions_per_order=round(statistics.fmean(cost.actions for cost in costs), 2),
        history_events_per_order=round(statistics.fmean(cost.events for cost in costs), 2),
    )


def _per_subscriber_ms(count: int, results: Results) -> list[float]:
    return [timing.end_to_end_ms / count for timing in results.alone[_name(count)]]


def _name(count: int) -> str:
    return f"{count}_subscribers"
