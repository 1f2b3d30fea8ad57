"""Who takes part in a comparison, and how each takes an order to its end: both styles, and the references."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowFailureError

from events.bus import WORKFLOW_TASK_TIMEOUT
from events.edge import order_placed
from events.log import OrderState
from events.subscriptions import RoutedEvent
from faults.dice import Dice
from lab.measure import Timing, run_order
from lab.placing import Placed, Placer
from orders.model import STYLES, Order, Placement, Style
from services.analytics import RECORD_SALE
from services.invoicing import ISSUE_INVOICE
from services.marketing import THANK_CUSTOMER
from services.order_placed import REFERENCES, registry
from services.service import task_queue
from services.shipping import BEGIN_FULFILMENT
from workflows.references import BareWorkflow, NaiveSubscriber, OneActivity, OneStep

BESIDE = "references"
"""Name of the lab in which the references run, beside that of the styles."""

BARE_WORKFLOW, NAIVE_FANOUT, ONE_ACTIVITY = "bare_workflow", "naive_fanout", "one_activity"

_OF_ONE_ACTIVITY = f".{ONE_ACTIVITY}"
"""Ends the ids of the orders there."""

Work = TypeVar("Work", Placement, OneStep)

_LOOK_EVERY_S = 5.0
_LOOK_EVERY_WITH_FAULTS_S = 0.5


@dataclass(frozen=True)
class Contestant:
    """Something that can take an order to its end."""

    name: str
    run: Callable[[Order], Awaitable[Timing]]


def styles(client: Client, placer: Placer) -> list[Contestant]:
    """Saga and choreography."""
    look_every_s = _LOOK_EVERY_WITH_FAULTS_S if placer.expects_faults else _LOOK_EVERY_S

    def contestant(style: Style) -> Contestant:
        return Contestant(style, lambda order: run_order(client, placer, order, style, look_every_s))

    return [contestant(style) for style in STYLES]


def plain_id(timing: Timing) -> str:
    """The id of the order as the styles have it, whoever ran it."""
    return timing.placed.order_id.removesuffix(_OF_ONE_ACTIVITY)


@dataclass(frozen=True)
class References:
    """The references, in their lab.

    In its databases the effects of workflows that call activities are listed under the style `saga`, and those of
    handlers under `choreography`; so is the `placed` of their timings.
    """

    client: Client
    lab: str
    """Suffix of their task queues."""
    dice: Dice | None
    _turns: Iterator[int] = field(default_factory=count)

    def contestants(self) -> list[Contestant]:
        """What the styles are held against."""
        return [
            Contestant(BARE_WORKFLOW, self.bare_workflow),
            Contestant(NAIVE_FANOUT, self.naive_fanout),
            Contestant(ONE_ACTIVITY, self.one_activity),
        ]

    async def bare_workflow(self, order: Order) -> Timing:
        """The saga's activities under the barest workflow."""
        return await self._one_workflow(order, BareWorkflow.run, self._placement(order), f"bare/{order.order_id}")

    async def one_activity(self, order: Order) -> Timing:
        """One activity of one service, each service in its turn."""
        steps = [BEGIN_FULFILMENT, ISSUE_INVOICE, RECORD_SALE, *([] if order.is_guest else [THANK_CUSTOMER])]
        step = steps[next(self._turns) % len(steps)]
        mine = order.model_copy(update={"order_id": f"{order.order_id}{_OF_ONE_ACTIVITY}"})
        work = OneStep(placement=self._placement(mine), activity=step.activity)
        return await self._one_workflow(mine, OneActivity.run, work, f"one/{mine.order_id}")

    async def _one_workflow(
        self, order: Order, workflow: Callable[[Any, Work], Awaitable[None]], work: Work, workflow_id: str
    ) -> Timing:
        async def start() -> list[Awaitable[None]]:
            run = await self.client.start_workflow(
                workflow,
                work,
                id=workflow_id,
                task_queue=task_queue(REFERENCES, self.lab),
                task_timeout=WORKFLOW_TASK_TIMEOUT,
            )
            return [run.result()]

        return await timed("saga", order, start)

    async def naive_fanout(self, order: Order) -> Timing:
        """A signal-with-start of one workflow for each subscriber of `order.placed`, all at once."""
        routed = registry(self.lab).route(order_placed(order, dice=self.dice))

        async def start() -> list[Awaitable[None]]:
            return await asyncio.gather(
                *(self._subscriber(order, routed, number) for number in range(len(routed.recipients)))
            )

        return await timed("choreography", order, start)

    async def _subscriber(self, order: Order, routed: RoutedEvent, number: int) -> Awaitable[None]:
        recipient = routed.recipients[number]
        run = await self.client.start_workflow(
            NaiveSubscriber.run,
            recipient,
            id=f"naive/{order.order_id}/{recipient.subscriber}",
            task_queue=task_queue(REFERENCES, self.lab),
            start_signal="publish",
            start_signal_args=[routed],
            task_timeout=WORKFLOW_TASK_TIMEOUT,
        )
        return run.result()

    def _placement(self, order: Order) -> Placement:
        return Placement(style="saga", order=order, lab=self.lab, dice=self.dice)


async def timed(style: Style, order: Order, start: Callable[[], Awaitable[Sequence[Awaitable[object]]]]) -> Timing:
    """Start workflows for an order, and wait for all of them; the call ends when all are started.

    Args:
        style: that the order is listed under.
        order: what they are about.
        start: starts them, and answers what to wait for.
    """
    called_us, called = time.time_ns() // 1_000, time.perf_counter()
    ends = await start()
    acknowledged = time.perf_counter()
    state: OrderState | None = OrderState.COMPLETED
    detail: str | None = None
    try:
        await asyncio.gather(*ends)
    except WorkflowFailureError as failure:  # a reference has no way to deal with a fault
        state, detail = None, str(failure.cause)
    ended = time.perf_counter()
    placed = Placed(style, order.order_id, known=False)
    return Timing(placed, called_us, (acknowledged - called) * 1e3, (ended - called) * 1e3, state, detail)
