"""Runs orders through both styles, interleaved, and notes what a caller sees."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from temporalio.client import Client

from events.log import OrderState
from lab.patience import persistently
from lab.placing import Placed, Placer
from lab.status import end_of
from orders.model import STYLES, Order, Style

IN_FLIGHT = 30
"""Orders under way at once while throughput is measured."""


@dataclass(frozen=True)
class Timing:
    """One order in one style, as its caller saw it."""

    placed: Placed
    called_us: int
    """When the call was made: microseconds since 1970, the clock that the effects are stamped by."""
    ack_ms: float
    """How long the publish or start call took."""
    end_to_end_ms: float
    """From the call to the news of the end."""
    state: OrderState | None
    detail: str | None
    asked: "Asked | None" = None
    """Where the customer wanted it cancelled."""


@dataclass(frozen=True)
class Asked:
    """A customer's wish to cancel an order, and the answer."""

    asked_us: int
    """When: microseconds since 1970."""
    answered_ms: float
    """From asking to the answer."""
    accepted: bool


@dataclass
class Measured:
    """All that a run measured."""

    one_at_a_time: list[Timing] = field(default_factory=list)
    many_in_flight: list[Timing] = field(default_factory=list)
    rates: dict[Style, list[tuple[int, float]]] = field(default_factory=lambda: {style: [] for style in STYLES})
    """Per round of the throughput phase: how many orders ended, and in how many seconds."""

    @property
    def all(self) -> list[Timing]:
        """Both phases."""
        return self.one_at_a_time + self.many_in_flight


def rate_of(rounds: Sequence[tuple[int, float]]) -> float | None:
    """How many orders a second ended, over all rounds; None of no rounds.

    Args:
        rounds: how many orders ended in each, and in how many seconds.
    """
    seconds = sum(took_s for _, took_s in rounds)
    return sum(orders for orders, _ in rounds) / seconds if seconds else None


async def measure(
    client: Client, placer: Placer, orders: Sequence[Order], on_order: Callable[[Timing], None], *, into: Measured
) -> None:
    """Take every order through both styles: first some one at a time for latency, then the rest many at once.

    Within each phase the styles alternate, and so does which of them goes first, so that a machine that slows down or
    speeds up does so for both.

    Args:
        client: of the Temporal server.
        placer: places the orders.
        orders: distinct ones.
        on_order: is told of each order's end, in each style.
        into: takes the results as they come, so that an interrupted run keeps what it has.
    """
    # An order that stays open with something parked sends no word of it, so where that can be it is asked more often.
    look_every_s = 0.5 if placer.expects_faults else 5
    alone = orders[: latency_share(len(orders))]
    for number, order in enumerate(alone):
        for style in _alternating(number):
            timing = await run_order(client, placer, order, style, look_every_s)
            into.one_at_a_time.append(timing)
            on_order(timing)
    rest = orders[len(alone) :]
    for number, batch in enumerate(_rounds(rest)):
        for style in _alternating(number):
            started = time.perf_counter()
            gate = asyncio.Semaphore(IN_FLIGHT)
            timings = await asyncio.gather(
                *(_gated(gate, run_order(client, placer, order, style, look_every_s), on_order) for order in batch)
            )
            into.rates[style].append((len(batch), time.perf_counter() - started))
            into.many_in_flight += timings


async def warm_up(client: Client, placer: Placer, orders: Sequence[Order]) -> None:
    """Run orders that leave nothing behind, so that no style pays for imports and first connections.

    The orders are a guest's, as a mail can't be rehearsed.
    """
    for order in orders:
        guest = order.model_copy(update={"customer_id": None})
        for style in STYLES:
            await end_of(client, await placer.place(guest, style, rehearsal=True))


def latency_share(orders: int) -> int:
    """How many of the orders are run one at a time: half, but no more than 60, which is enough for a median."""
    return min((orders + 1) // 2, 60)


def _rounds(orders: Sequence[Order]) -> list[Sequence[Order]]:
    """Split the orders into an even number of rounds, so that each style is first equally often."""
    rounds = 4 if len(orders) >= 4 * IN_FLIGHT else 2
    size = -(-len(orders) // rounds)
    return [orders[start : start + size] for start in range(0, len(orders), size)] if orders else []


def _alternating(number: int) -> tuple[Style, ...]:
    return STYLES if number % 2 == 0 else STYLES[::-1]


async def _gated(
    gate: asyncio.Semaphore, run: Coroutine[None, None, Timing], on_order: Callable[[Timing], None]
) -> Timing:
    async with gate:
        timing = await run
    on_order(timing)
    return timing


async def run_order(client: Client, placer: Placer, order: Order, style: Style, look_every_s: float) -> Timing:
    """Place an order and wait for its end, and keep at both while there is no server: the same order twice is one.

    A customer who changes their mind has it cancelled meanwhile, or after that, or even before.

    Args:
        client: of the Temporal server.
        placer: places the order.
        order: what to place.
        style: in which style.
        look_every_s: how often an order that has not ended is asked whether something is parked.
    """
    mind = placer.change_of_mind(order)
    asked = await _ask(placer, order, style) if mind is not None and mind.after_s is None else None
    called_us = time.time_ns() // 1_000
    called = time.perf_counter()
    placed = await persistently(lambda: placer.place(order, style))
    acknowledged = time.perf_counter()
    if mind is not None and mind.after_s is not None:
        await asyncio.sleep(max(0, called + mind.after_s - time.perf_counter()))
        asked = await _ask(placer, order, style)
    state, detail = await persistently(lambda: end_of(client, placed, look_every_s=look_every_s))
    ended = time.perf_counter()
    return Timing(placed, called_us, (acknowledged - called) * 1e3, (ended - called) * 1e3, state, detail, asked)


async def _ask(placer: Placer, order: Order, style: Style) -> Asked:
    """Ask for an order to be cancelled, as its customer does."""
    asked_us = time.time_ns() // 1_000
    asked = time.perf_counter()
    decision = await persistently(lambda: placer.canceller.cancel(order.order_id, style))
    return Asked(asked_us, (time.perf_counter() - asked) * 1e3, decision.accepted)
