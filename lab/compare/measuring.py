"""Measures the contestants, interleaved, so that a machine that slows down or speeds up does so for all alike."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lab.compare.contestants import Contestant, plain_id
from lab.compare.plan import ComparePlan
from lab.measure import Timing
from orders.model import STYLES, Order

T = TypeVar("T")

STEPS_OF_THE_RATE = (0.25, 0.5, 0.75, 1.0)
"""The open loop runs at these shares of the rate that was asked for."""

OnOrder = Callable[[str, Timing], None]
"""Is told of each order's end, with the name of who ran it."""


@dataclass
class Results:
    """What was measured so far, by the name of the contestant."""

    alone: dict[str, list[Timing]] = field(default_factory=lambda: defaultdict(list))
    """One order at a time."""
    crowd: dict[str, list[Timing]] = field(default_factory=lambda: defaultdict(list))
    """Many in flight: closed or open loop."""
    rounds: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    """Per round of the closed loop: how many orders ended, and in how many seconds."""
    load: dict[float, dict[str, list[Timing]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """Rate of the open loop to its timings, counted from the intended start."""

    def only(self, order_ids: Collection[str]) -> "Results":
        """The same without the orders that are not among these, and without rounds that not both styles have run."""

        def kept(timings: list[Timing]) -> list[Timing]:
            return [timing for timing in timings if plain_id(timing) in order_ids]

        few = Results()
        rounds = min(len(self.rounds[style]) for style in STYLES)
        for name in {**self.alone, **self.crowd}:
            few.alone[name], few.crowd[name] = kept(self.alone[name]), kept(self.crowd[name])
            few.rounds[name] = self.rounds[name][:rounds]
        for rate_per_s, by_name in self.load.items():
            for name, timings in by_name.items():
                few.load[rate_per_s][name] = kept(timings)
        return few

    def of(self, name: str) -> list[Timing]:
        """All timings of a contestant."""
        return [*self.alone[name], *self.crowd[name]]


async def one_at_a_time(
    contestants: Sequence[Contestant], orders: Sequence[Order], into: Results, on_order: OnOrder
) -> None:
    """Latency: each order through each contestant, in a sequence that moves on by one with every order."""
    for number, order in enumerate(orders):
        for contestant in rotated(contestants, number):
            timing = await contestant.run(order)
            into.alone[contestant.name].append(timing)
            on_order(contestant.name, timing)


async def closed_loop(
    contestants: Sequence[Contestant], orders: Sequence[Order], plan: ComparePlan, into: Results, on_order: OnOrder
) -> None:
    """Throughput: rounds in which the next order begins when one ends, each round through each contestant."""
    size = plan.round_size
    for number, start in enumerate(range(0, len(orders), size)):
        batch = orders[start : start + size]
        for contestant in rotated(contestants, number):
            began = time.perf_counter()
            async for timing in _in_flight(contestant, batch, plan.in_flight):
                into.crowd[contestant.name].append(timing)
                on_order(contestant.name, timing)
            into.rounds[contestant.name].append((len(batch), time.perf_counter() - began))


async def open_loop(
    contestants: Sequence[Contestant], orders: Sequence[Order], plan: ComparePlan, into: Results, on_order: OnOrder
) -> None:
    """Load: steps of a rate, each with orders of its own."""
    top = plan.rate_per_s or 1
    size = -(-len(orders) // len(STEPS_OF_THE_RATE))
    for number, share in enumerate(STEPS_OF_THE_RATE):
        batch = orders[number * size : (number + 1) * size]
        await at_rate(rotated(contestants, number), batch, top * share, f"{plan.seed}|{share}", into, on_order)


async def at_rate(  # noqa: PLR0913, PLR0917 - who runs what, when, and where it is noted
    contestants: Sequence[Contestant],
    orders: Sequence[Order],
    rate_per_s: float,
    draw: str,
    into: Results,
    on_order: OnOrder,
) -> None:
    """Orders arrive at random, at a rate that knows nothing of how they fare (Poisson arrivals).

    All contestants are given the same orders after the same pauses. An order that is placed late, because this process
    could not keep up, is counted from when it should have been placed.

    Args:
        contestants: in the sequence in which they are given the orders.
        orders: what arrives.
        rate_per_s: orders a second, on average.
        draw: decides the pauses; the same text draws the same ones.
        into: is given the timings.
        on_order: is told of each order's end.
    """
    rng = random.Random(draw)  # noqa: S311 - a reproducible draw, no secret
    pauses_s = [rng.expovariate(rate_per_s) for _ in orders]
    for contestant in contestants:
        timings = await _arriving(contestant, orders, pauses_s, on_order)
        into.load[rate_per_s][contestant.name] += timings
        into.crowd[contestant.name] += timings


async def _arriving(
    contestant: Contestant, orders: Sequence[Order], pauses_s: Sequence[float], on_order: OnOrder
) -> list[Timing]:
    async def run(order: Order, intended: float) -> Timing:
        await asyncio.sleep(max(0, intended - time.perf_counter()))
        late_s = max(0.0, time.perf_counter() - intended)
        timing = await contestant.run(order)
        timing = replace(
            timing,
            called_us=timing.called_us - int(late_s * 1e6),
            ack_ms=timing.ack_ms + late_s * 1e3,
            end_to_end_ms=timing.end_to_end_ms + late_s * 1e3,
        )
        on_order(contestant.name, timing)
        return timing

    at = time.perf_counter()
    runs = []
    for order, pause_s in zip(orders, pauses_s, strict=True):
        at += pause_s
        runs.append(run(order, at))
    return list(await asyncio.gather(*runs))


async def _in_flight(contestant: Contestant, orders: Sequence[Order], concurrency: int) -> AsyncIterator[Timing]:
    """Run orders, so many at a time; yields each as it ends."""
    waiting = list(reversed(orders))
    running = {asyncio.ensure_future(contestant.run(waiting.pop())) for _ in range(min(concurrency, len(waiting)))}
    try:
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            running |= {
                asyncio.ensure_future(contestant.run(waiting.pop())) for _ in range(min(len(done), len(waiting)))
            }
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()


def rotated(contestants: Sequence[T], number: int) -> list[T]:
    """The same in another sequence: each of them is first equally often."""
    first = number % len(contestants)
    return [*contestants[first:], *contestants[:first]]
