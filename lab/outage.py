"""One service is away while orders flow: what the others notice of it, and how it catches up."""

import asyncio
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime

from lab.effects import all_effects
from lab.flow import PATIENCE_S, Flow
from lab.processes import Child
from lab.report import Down
from lab.summary import reactions_ms
from orders.model import STYLES, Order
from runtime.settings import Settings
from services.order_placed import SERVICES


async def flow_without(
    service: Child, flow: Flow, settings: Settings, orders: Sequence[Order], pace_per_s: float
) -> Down:
    """Place half of the orders, take a service away, place the others, bring it back.

    Args:
        service: its process.
        flow: places the orders; nothing may be in flight.
        settings: where the databases are.
        orders: to place.
        pace_per_s: placements a second.
    """
    half = len(orders) // 2
    await flow.place(orders[:half], pace_per_s)
    await flow.all_ended(PATIENCE_S)
    before = list(flow.ended)
    service.held = True
    service.kill()
    started = datetime.now(UTC).timestamp()
    await flow.place(orders[half:], pace_per_s)
    others = [one.name for one in SERVICES if one.name != service.name]
    await _others_done(settings, orders[half:], others)
    service.held = False
    back = asyncio.get_running_loop().time()
    ended = await flow.all_ended(PATIENCE_S)
    caught_up_s = round(asyncio.get_running_loop().time() - back, 3) if ended else None
    effects = await asyncio.to_thread(all_effects, settings)
    meanwhile = [timing for timing in flow.ended if timing.called_us >= started * 1e6]
    ratio: dict[str, dict[str, float | None]] = {}
    for style in STYLES:
        was, is_now = (
            reactions_ms(style, [t for t in timings if t.placed.style == style], effects)
            for timings in (before, meanwhile)
        )
        ratio[style] = {other: _ratio_of_medians(other, is_now, was) for other in others}
    return Down(service=service.name, reaction_ratio=ratio, caught_up_s=caught_up_s)


async def _others_done(settings: Settings, orders: Sequence[Order], others: Sequence[str]) -> None:
    """Wait until all other services have done what they do for these orders, in both styles."""
    due = {
        (style, order.order_id, service)
        for order in orders
        for style in STYLES
        for service in others
        if service != "marketing" or not order.is_guest
    }
    async with asyncio.timeout(PATIENCE_S):
        while due - {  # noqa: ASYNC110 - databases send no events
            (record.style, record.order_id, record.service) for record in await asyncio.to_thread(all_effects, settings)
        }:
            await asyncio.sleep(0.2)


def _ratio_of_medians(
    service: str, ours: dict[tuple[str, str], float], theirs: dict[tuple[str, str], float]
) -> float | None:
    medians = [
        statistics.median(values) if (values := [ms for (name, _), ms in times.items() if name == service]) else None
        for times in (ours, theirs)
    ]
    return round(medians[0] / medians[1], 3) if medians[0] is not None and medians[1] else None
