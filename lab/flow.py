"""A steady flow of orders through both styles, which goes on whatever is killed meanwhile."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from temporalio.client import Client

from lab.measure import Timing, run_order
from lab.placing import Placed, Placer
from orders.model import STYLES, Order, Style

PATIENCE_S = 120
"""How long orders may take to end after the last was placed."""

_LOOK_EVERY_S = 1.0


@dataclass
class Flow:
    """Orders on their way."""

    client: Client
    placer: Placer
    on_order: Callable[[Timing], None]
    """Is told of each order's end, in each style."""
    ended: list[Timing] = field(default_factory=list)
    _under_way: dict[tuple[Style, str], asyncio.Task[None]] = field(default_factory=dict)

    @property
    def in_flight(self) -> frozenset[tuple[Style, str]]:
        """The orders that have been placed, or are just being placed, and have not ended."""
        return frozenset(self._under_way)

    async def place(self, orders: Sequence[Order], pace_per_s: float, *, burst: int = 1) -> None:
        """Place orders in both styles, at a steady pace, and follow each to its end in the background.

        Args:
            orders: each goes through both styles.
            pace_per_s: placements a second, of both styles together.
            burst: so many placements at once, and then a longer pause.
        """
        started = time.monotonic()
        for number, order in enumerate(orders):
            for which, style in enumerate(STYLES if number % 2 == 0 else STYLES[::-1]):
                placement = 2 * number + which
                due = started + (placement - placement % burst) / pace_per_s
                await asyncio.sleep(max(0, due - time.monotonic()))
                self._under_way[style, order.order_id] = asyncio.create_task(self._follow(order, style))

    async def all_ended(self, within_s: float) -> bool:
        """Wait until every order has ended; tells whether all have in time."""
        if self._under_way:
            await asyncio.wait(set(self._under_way.values()), timeout=within_s)
        return not self._under_way

    def stop(self) -> list[Placed]:
        """Follow no order any longer; answers those that have not ended."""
        late = [Placed(style, order_id, known=False) for style, order_id in self._under_way]
        for task in self._under_way.values():
            task.cancel()
        return late

    async def _follow(self, order: Order, style: Style) -> None:
        timing = await run_order(self.client, self.placer, order, style, _LOOK_EVERY_S)
        del self._under_way[style, order.order_id]
        self.ended.append(timing)
        self.on_order(timing)
