"""What the events of the choreography would cost on another broker: a second line beside Temporal's price."""

import asyncio
from collections.abc import Iterable

from temporalio.client import Client

from events.edge import order_placed
from events.reading import log_of
from orders.model import Order

USD_PER_MILLION_EVENTS = 1.0
"""Custom events on Amazon EventBridge, each 64 KB of an event counted as one: https://aws.amazon.com/eventbridge/pricing/."""

_CHUNK_BYTES = 64_000
_AT_ONCE = 8


async def eventbridge_usd_per_million_orders(client: Client, orders: Iterable[Order]) -> float | None:
    """The price of all events of these orders, each published once, for a million of them; None of no orders.

    Args:
        client: of the server that holds their logs.
        orders: that were placed in the choreographed style.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def chunks(order: Order) -> int:
        async with gate:
            log = await log_of(client, order.order_id)
        follow_ups = log.earlier.events + len(log.entries) - 1 if log else 0  # each far below 64 KB
        return -(-len(order_placed(order).model_dump_json().encode()) // _CHUNK_BYTES) + follow_ups

    counted = await asyncio.gather(*(chunks(order) for order in orders))
    return round(sum(counted) / len(counted) * USD_PER_MILLION_EVENTS, 2) if counted else None
