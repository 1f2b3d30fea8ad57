"""`orderlab demo`: takes real orders through both styles and compares what came out."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from faults.dice import Dice
from faults.plan import FaultPlan
from lab.audit import audit
from lab.effects import all_effects, consistent_since_us
from lab.histories import costs_of
from lab.measure import Measured, Timing, measure, warm_up
from lab.paired import difference_of_pairs
from lab.parity import compare_styles
from lab.placing import Placer
from lab.report import Links, Report, ServerReport
from lab.runs import workflow_id
from lab.summary import ratios, style_report
from orders.loader import OrderBook
from orders.model import STYLES, Order
from runtime.settings import Settings
from server.connect import server_version
from server.session import Session
from services.order_placed import SCENARIO

_WARM_UP_ORDERS = 3


@dataclass(frozen=True)
class DemoPlan:
    """What a demo takes on."""

    orders: int
    seed: int
    label: str
    """Ends every order id, so that runs don't collide."""
    faults: FaultPlan | None = None

    @classmethod
    def now(cls, orders: int, seed: int, faults: FaultPlan | None = None) -> "DemoPlan":
        """A plan labelled with the time."""
        return cls(orders, seed, datetime.now(UTC).strftime("d%m%d-%H%M%S"), faults)

    @property
    def dice(self) -> Dice | None:
        """What goes wrong: the same in each run of the same seed."""
        return None if self.faults is None else Dice(plan=self.faults, seed=self.seed, label=f".{self.label}")

    def cancelled_by_the_clock(self, order_ids: Iterable[str]) -> set[str]:
        """The orders that their customers cancel some time after placing: in each style at a moment of its own."""
        minds = {} if self.dice is None else {order: self.dice.change_of_mind(order) for order in order_ids}
        return {order for order, mind in minds.items() if mind is not None and mind.after_s is not None}


async def run_demo(
    session: Session, settings: Settings, book: OrderBook, plan: DemoPlan, on_order: Callable[[Timing], None]
) -> Report:
    """Run the plan and report on it.

    Args:
        session: the Temporal server; workers must be at work.
        settings: where the services' databases are.
        book: orders to draw from.
        plan: how many, which, and under which label.
        on_order: is told of each order's end, in each style.
    """
    placer = Placer(session.client, session.lab, plan.dice)
    await warm_up_lab(session, book, plan)
    measured = Measured()
    orders = book.take(plan.orders, plan.seed, plan.label)
    await measure(session.client, placer, orders, on_order, into=measured)
    return await report_on(session, settings, plan, orders, measured)


async def warm_up_lab(session: Session, book: OrderBook, plan: DemoPlan) -> None:
    """Run orders that leave nothing behind, so that no order that counts pays for imports and first connections."""
    placer = Placer(session.client, session.lab)
    await warm_up(session.client, placer, book.take(_WARM_UP_ORDERS, plan.seed, f"warm-up-{plan.label}"))


async def report_on(
    session: Session, settings: Settings, plan: DemoPlan, orders: Sequence[Order], measured: Measured
) -> Report:
    """Build the report: counts from the histories, effects from the databases, times from the clocks.

    Args:
        session: the Temporal server.
        settings: where the services' databases are.
        plan: what was asked for.
        orders: all that were placed, also those that have not ended.
        measured: those that have.
    """
    ids = {order.order_id for order in orders}
    ended = {
        style: sorted({timing.placed.order_id for timing in measured.all if timing.placed.style == style})
        for style in STYLES
    }
    effects = [record for record in await asyncio.to_thread(all_effects, settings) if record.order_id in ids]
    consistent_us = await asyncio.to_thread(consistent_since_us, settings)
    asked = [timing for timing in measured.all if timing.asked is not None]
    costs = {
        style: await costs_of(
            session.client,
            [workflow_id(style, order) for order in ended[style]],
            started_again=[workflow_id(style, timing.placed.order_id) for timing in asked],
        )
        for style in STYLES
    }
    actions = {
        style: {order: cost.actions for order, cost in zip(ended[style], costs[style], strict=True)} for style in STYLES
    }
    difference = difference_of_pairs(actions["choreography"], actions["saga"])
    shown = orders[0].order_id
    return Report(
        scenario=SCENARIO,
        transport="temporal-bus",
        seed=plan.seed,
        orders=len(ids),
        faults=plan.faults,
        server=ServerReport(
            version=await server_version(session.client), tuned=session.tuned, database=session.database
        ),
        styles={style: style_report(style, measured, effects, costs[style], consistent_us) for style in STYLES},
        ratios=ratios(measured, effects, plan.seed),
        differences={} if difference is None else {"actions_per_order": difference},
        parity=compare_styles(ids - plan.cancelled_by_the_clock(ids), effects),
        audit=await audit(session.client, settings, session.lab, order_ids=ids),
        links=Links(
            order_id=shown,
            saga=session.link(workflow_id("saga", shown)),
            choreography=session.link(workflow_id("choreography", shown)),
        ),
        unfinished=[
            f"{workflow_id(timing.placed.style, timing.placed.order_id)}: {timing.detail}"
            for timing in measured.all
            if timing.state is None
        ],
    )
