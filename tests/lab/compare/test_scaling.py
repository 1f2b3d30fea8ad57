"""Scaling, on a real lab with a process per worker, in small."""

import asyncio
from pathlib import Path

import pytest

from lab.compare.fan_out import fan_out
from lab.compare.plan import ComparePlan
from lab.compare.two_labs import against_untuned, growth
from lab.effects import all_effects
from lab.measure import Timing
from lab.running import whole_lab
from orders.loader import load_orders
from orders.model import STYLES
from runtime.settings import SHIPPED_ORDERS, Settings
from services.order_placed import WORKERS
from tests.processes import forget_environment


async def test_more_subscribers_more_orders_and_default_settings_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_environment(monkeypatch)
    settings, book = Settings(data=tmp_path), load_orders(SHIPPED_ORDERS)
    plan = ComparePlan.now(4, seed=7, concurrency=4, scaling=True)
    ended: list[Timing] = []

    def told(_: str, timing: Timing) -> None:
        ended.append(timing)

    async with whole_lab(settings) as (session, _):
        few_and_many, per_subscriber = await fan_out(
            session, settings, book, plan, told, counts=(1, 3), alone=2, crowd=4
        )
        placed = {record.order_id for record in all_effects(settings)}
        grown, later = await growth(settings, book, plan, told, few=4, many=12, probes=2)
        untuned = await against_untuned(session, settings, book, plan, told, probes=2)

    assert [(one.subscribers, one.actions_per_order) for one in few_and_many] == [(1, 2), (3, 4)]
    assert per_subscriber.keys() == {"3_subscribers/1_subscribers.ms_per_subscriber"}
    assert placed == set()  # the subscribers have databases of their own
    assert (grown.orders_before, grown.orders_after) == (4, 12)
    assert grown.memory_before_mib.keys() == grown.memory_after_mib.keys() == {"mail", *WORKERS}
    assert later.keys() == {f"{style}/fresh.end_to_end_ms" for style in STYLES}
    assert untuned.keys() == {f"{style}/untuned.end_to_end_ms" for style in STYLES}
    # a step waits up to 50 ms at default settings, and there are three
    assert all(ratio.median < 1 for ratio in untuned.values())
    assert all(timing.state is not None for timing in ended)
    assert await asyncio.to_thread(lambda: [*tmp_path.glob("growth-*")]) == []
    assert len(ended) == 2 * (2 + 4) + (2 * (12 + 4) + 4 * 2) + 4 * 2
