"""What the others feel of a service that is away: the blast radius of one failure."""

import asyncio
import statistics
from collections.abc import Sequence

from lab.compare.comparison import BlastRadius
from lab.effects import all_effects
from lab.flow import Flow
from lab.measure import Timing
from lab.outage import flow_without
from lab.parity import UNDONE_BY
from lab.placing import Placer
from lab.processes import Child
from orders.model import STYLES, Order, Style
from runtime.settings import Settings
from server.session import Session
from stores.ledger import EffectRecord

AWAY = "shipping"
"""The service that is taken away: a critical one, so that there is a business rule to tell apart."""

_PACE_PER_S = 10
"""Placements a second, well below what the machine takes: what delays an effect is then the outage."""

_DELAYED = 2.0


async def blast_radius(
    session: Session, settings: Settings, service: Child, orders: Sequence[Order]
) -> dict[Style, BlastRadius]:
    """Place half of the orders, take a service away, place the others, bring it back; and see what the others felt.

    The outage is the only fault: no dice are thrown.

    Args:
        session: the Temporal server.
        settings: where the databases are.
        service: the process to take away.
        orders: of their own; nothing else may be in flight.
    """
    flow = Flow(session.client, Placer(session.client, session.lab), lambda _: None)
    await flow_without(service, flow, settings, orders, _PACE_PER_S)
    effects = await asyncio.to_thread(all_effects, settings)
    half = {order.order_id for order in orders[: len(orders) // 2]}
    return {style: _felt(style, service.name, flow.ended, half, effects) for style in STYLES}


def _felt(
    style: Style, away: str, timings: Sequence[Timing], before: set[str], effects: Sequence[EffectRecord]
) -> BlastRadius:
    """Judge each effect of the other services, of the orders that were placed while one was away.

    An effect was due where it happened in either style: both were given the same orders.
    """
    called_us = {timing.placed.order_id: timing.called_us for timing in timings if timing.placed.style == style}
    due = {
        (record.order_id, record.effect)
        for record in effects
        if record.order_id in called_us and record.service != away and record.effect in UNDONE_BY
    }
    took_ms: dict[tuple[str, str], float] = {}
    undone = set()
    for record in effects:
        if record.style == style and record.order_id in called_us:
            took_ms[record.order_id, record.effect] = record.at.timestamp() * 1e3 - called_us[record.order_id] / 1e3
            undone.add((record.order_id, record.effect))
    compensated = {key for key in due if (key[0], UNDONE_BY[key[1]]) in undone}
    usual_ms = {
        effect: statistics.median(ms for (order, name), ms in took_ms.items() if name == effect and order in before)
        for effect in {effect for order, effect in due if order in before and (order, effect) in took_ms}
    }
    meanwhile = {key for key in due if key[0] not in before}
    judged = meanwhile - compensated
    lost = sum(key not in took_ms for key in judged)
    delayed = sum(
        key in took_ms and key[1] in usual_ms and took_ms[key] > _DELAYED * usual_ms[key[1]] for key in judged
    )
    return BlastRadius(
        service=away,
        expected=len(meanwhile),
        delayed=delayed,
        lost=lost,
        compensated=len(meanwhile & compensated),
        share=round((delayed + lost) / len(meanwhile), 4) if meanwhile else 0,
        orders=len(called_us.keys() - before),
    )
