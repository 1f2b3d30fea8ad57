"""`orderlab chaos`: kills processes while orders flow through both styles; the auditor judges what came of it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from faults.dice import Dice
from faults.plan import FaultPlan
from lab.demo import DemoPlan, report_on, warm_up_lab
from lab.flow import PATIENCE_S, Flow
from lab.killing import ENOUGH, Killer
from lab.measure import Measured, Timing
from lab.outage import flow_without
from lab.placing import Placer
from lab.processes import Child
from lab.report import Kill, Report
from orders.loader import OrderBook
from runtime.errors import InputError
from runtime.settings import Settings
from server.session import Session

_FASTEST_PER_S = 16
"""Placements a second: below what two cores take, so that what delays an order is the kill and not a queue."""


_LARGEST_BURST = 12


@dataclass(frozen=True)
class ChaosPlan:
    """What a chaos run does."""

    orders: int
    targets: Sequence[str]
    """What to kill, in turn; nothing where a service is down instead."""
    every_s: float
    seed: int
    label: str
    faults: FaultPlan | None
    down: str | None
    """The service that is away while the second half of the orders is placed."""

    @classmethod
    def now(  # noqa: PLR0913 - the options of the command
        cls,
        orders: int,
        targets: Sequence[str],
        every_s: float,
        seed: int,
        *,
        faults: FaultPlan | None,
        down: str | None,
    ) -> "ChaosPlan":
        """A plan labelled with the time."""
        return cls(orders, targets, every_s, seed, datetime.now(UTC).strftime("c%m%d-%H%M%S"), faults, down)

    @property
    def pace_per_s(self) -> float:
        """Placements a second: slow enough for all the kills that a pass needs, and one more of each."""
        if not self.targets:
            return _FASTEST_PER_S
        return min(_FASTEST_PER_S, 2 * self.orders / (self.every_s * len(self.targets) * (ENOUGH + 1)))

    @property
    def burst(self) -> int:
        """Placements at once, so that a kill finds many orders at every stage; at least one burst for each kill."""
        return max(1, min(_LARGEST_BURST, int(self.pace_per_s * self.every_s)))

    @property
    def as_demo(self) -> DemoPlan:
        """The same orders, for the report."""
        return DemoPlan(self.orders, self.seed, self.label, self.faults)

    @property
    def dice(self) -> Dice | None:
        """What goes wrong besides."""
        return self.as_demo.dice


async def run_chaos(  # noqa: PLR0913 - what it needs to break things, and whom it tells
    session: Session,
    children: Sequence[Child],
    settings: Settings,
    book: OrderBook,
    plan: ChaosPlan,
    *,
    on_order: Callable[[Timing], None],
    on_kill: Callable[[Kill], None],
) -> Report:
    """Run the plan and report on it.

    Args:
        session: the Temporal server, which must be ours.
        children: the processes of the lab, which must be ours.
        settings: where the services' databases are.
        book: orders to draw from.
        plan: what to do.
        on_order: is told of each order's end, in each style.
        on_kill: is told of each kill.

    Raises:
        InputError: the server or the processes belong to somebody else.
    """
    if session.server is None or not children:
        raise InputError("chaos kills what it has started itself: stop the lab that runs, and unset TEMPORAL_ADDRESS")
    placer = Placer(session.client, session.lab, plan.dice)
    await warm_up_lab(session, book, plan.as_demo)
    orders = book.take(plan.orders, plan.seed, plan.label)
    flow = Flow(session.client, placer, on_order)
    killer = Killer(flow, children, session.server, plan.targets, plan.seed, on_kill, worth_it=min(4, plan.burst))
    killing = asyncio.create_task(killer.run(plan.every_s)) if plan.targets else None
    try:
        if plan.down is None:
            await flow.place(orders, plan.pace_per_s, burst=plan.burst)
            down = None
        else:
            service = next(child for child in children if child.name == plan.down)
            down = await flow_without(service, flow, settings, orders, plan.pace_per_s)
        await flow.all_ended(PATIENCE_S)
    finally:
        late = flow.stop()
        if killing is not None:
            killing.cancel()
    if not late:
        await killer.recovered()
    report = await report_on(session, settings, plan.as_demo, orders, Measured(many_in_flight=flow.ended))
    return report.model_copy(
        update={
            "kills": killer.kills,
            "down": down,
            "unfinished": [*report.unfinished, *(f"{one.style}/{one.order_id}: has not ended" for one in late)],
        }
    )


def verdict(report: Report, plan: ChaosPlan) -> list[str]:
    """Why a run is not a pass; nothing where it is one."""
    kills = report.kills or []
    faults = [
        f"{target} was killed {count} times with orders in flight, and {ENOUGH} are needed: take more --orders"
        for target in plan.targets
        if (count := sum(kill.target == target for kill in kills)) < ENOUGH
    ]
    return faults + report.broken()
