"""Repairs of an order to which others do something meanwhile: between looking and acting, or at the same moment.

Hypothesis draws how each of some orders is broken, what others do about it and when, and whether the repair itself is
broken off; then it is repaired once more. All orders of an example are repaired at once.
"""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, get_args

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from temporalio.client import Client

from events.log import OrderState
from hosting.workers import hosting
from lab.audit import audit
from lab.cancelling import Canceller
from lab.placing import Placer
from lab.repair.finding import Repair, Todo
from lab.repair.repairing import Repairer
from lab.runs import runs_of, workflow_id
from orders.cancelling import CancelRequest
from orders.loader import OrderBook
from orders.model import STYLES, Order, Style
from runtime.errors import OrderlabError
from runtime.search import attributes_of
from services.service import task_queue
from tests.labs import Lab, Labs, due_of, ended, forget, left_of, repaired, until
from tests.lives import Life
from tests.meanwhile import Deed, meanwhile
from tests.workflows.test_repair import plan, terminate, todos, undo_sale
from workflows.order_cancellation import OrderCancellation

EXAMPLES = {"long": 40}
"""By the profile of hypothesis."""
FEW = 3
ORDERS = 8
"""In each example."""
PATIENCE_S = 120

A_WHILE: dict[str, object] = {"transient": 1.0, "transient_attempts": 5}
"""Fails for six seconds: who goes on with it, and is no repair, is met by that, too."""

NO_THANKS = plan({"marketing": {"confirmation.sent": A_WHILE}})
THANKS_GIVEN_UP = plan({"marketing": {"confirmation.sent": {"permanent": 1.0}}})
NO_CANCELLATION_MAIL = plan({"marketing": {"cancellation.sent": A_WHILE}})
STUCK_UNDO = plan(
    {"invoicing": {"invoice.issued": {"permanent": 1.0}}, "marketing": {"cancellation.sent": A_WHILE}},
)


async def broken_on_its_way(lab: Lab, order: Order, style: Style) -> None:
    await Placer(lab.client, lab.name, NO_THANKS).place(order, style)
    await until(lambda: {"shipment.created", "invoice.issued", "sale.recorded"} <= set(lab.effects(order, style)))
    await terminate(lab, order, style)


async def broken_while_undone(lab: Lab, order: Order, style: Style) -> None:
    await Placer(lab.client, lab.name, STUCK_UNDO).place(order, style)
    await until(lambda: "campaign.rejoined" in lab.effects(order, style))
    await terminate(lab, order, style)


async def broken_while_cancelled(lab: Lab, order: Order, style: Style) -> None:
    await lab.run(order, style)
    await Canceller(lab.client, lab.name, NO_CANCELLATION_MAIL).cancel(order.order_id, style)
    await until(lambda: "campaign.rejoined" in lab.effects(order, style))
    await terminate(lab, order, style)


async def undone_by_analytics_alone(lab: Lab, order: Order, style: Style) -> None:
    await lab.run(order, style)
    await asyncio.to_thread(undo_sale, lab, order, style)


async def parked(lab: Lab, order: Order, style: Style) -> None:
    await Placer(lab.client, lab.name, THANKS_GIVEN_UP).place(order, style)
    await ended(lab, order, style)


WAYS: dict[str, Callable[[Lab, Order, Style], Awaitable[None]]] = {
    way.__name__: way
    for way in (broken_on_its_way, broken_while_undone, broken_while_cancelled, undone_by_analytics_alone, parked)
}

What = Literal["repair", "cancel", "redrive", "place once more", "terminate"]
When = Literal["after the look", "before the start", "at the same moment"]


@dataclass(frozen=True)
class Program:
    """How an order is broken, and what is done about it."""

    style: Style
    way: str
    others: tuple[tuple[What, When], ...]
    broken_off: bool
    """Whether the repair is killed after the first of what it does."""


@dataclass
class Repaired:
    """An order that is repaired while others do something about it."""

    lab: Lab
    order: Order
    program: Program
    seen: Counter[str]
    is_off: bool = False
    """A customer was told so."""

    def _life(self, client: Client) -> Life:
        return Life(client, self.lab.name, self.lab.settings, self.order, NO_THANKS, self.seen)

    async def live(self) -> None:
        """Have it broken, repaired while others are at it, and repaired once more."""
        style = self.program.style
        await WAYS[self.program.way](self.lab, self.order, style)
        after_looking, before_starting = self._all("after the look"), self._all("before the start")
        mine = self._life(meanwhile(self.lab.client, after_looking=after_looking, before_starting=before_starting))
        await asyncio.gather(self._repair(mine), self._all("at the same moment")())
        _, self.found = await repaired(self.lab, self.order, style)

    async def _repair(self, life: Life) -> None:
        repairer = Repairer(life.client, life.lab, life.settings)

        async def wait(_: Todo) -> None:
            if self.program.broken_off:
                raise asyncio.CancelledError
            await life.end(self.program.style)

        with contextlib.suppress(asyncio.CancelledError):
            await repairer.repair(self.order.order_id, self.program.style, ended=wait, tell=lambda _: None)

    def _all(self, when: When) -> Deed:
        async def do_all() -> None:
            for what, then in self.program.others:
                if then == when:
                    self.seen[f"{what} {when}"] += 1
                    await self._do(what)

        return do_all

    async def _do(self, what: What) -> None:
        life, style = self._life(self.lab.client), self.program.style
        match what:
            case "repair":
                await life.repair(style)
            case "cancel":
                with contextlib.suppress(OrderlabError):  # nobody could decide, as its bus is broken off
                    self.is_off |= (await life.cancel(style)).accepted
            case "redrive":
                await life.redrive()
            case "place once more":
                await life.place(self.order, style)
            case "terminate":
                await life.terminate(style)

    def wrongs(self, book: OrderBook) -> list[str]:
        """What is wrong with how it stands in the end."""
        left, state = left_of(self.lab, self.order, self.program.style), self.found.finding.state
        undone = bool(self.found.finding.undone)
        self.seen[str(state)] += 1
        wrong = []
        if not self.found.is_whole:
            wrong.append(f"it is not whole: {self.found.finding.why}")
        if state not in {OrderState.COMPLETED, OrderState.CANCELLED}:
            wrong.append(f"it is {state}")
        if state is OrderState.COMPLETED and (undone or left != due_of(self.order, book)):
            wrong.append(f"completed, with {left}")
        if state is OrderState.CANCELLED and left:
            wrong.append(f"cancelled, with {left}")
        if self.is_off and state is not OrderState.CANCELLED:
            wrong.append(f"{state}, though its customer was told that it is cancelled")
        return [f"{self.order.order_id}, {self.program}: {one}" for one in wrong]


programs = st.builds(
    Program,
    style=st.sampled_from(STYLES),
    way=st.sampled_from(list(WAYS)),
    others=st.lists(
        st.tuples(st.sampled_from(get_args(What)), st.sampled_from(get_args(When))), min_size=1, max_size=3
    ).map(tuple),
    broken_off=st.booleans(),
)


async def test_whatever_others_do_meanwhile_a_repaired_order_is_whole_and_each_thing_was_done_once(
    lab: Lab, book: OrderBook
) -> None:
    loop, seen = asyncio.get_running_loop(), Counter[str]()
    labels = map("meanwhile{}".format, itertools.count())
    is_long = settings.get_current_profile_name() in EXAMPLES

    async def run(drawn: list[Program]) -> list[str]:
        taken = (order for order in book.take(20 * len(drawn), 1, next(labels)) if order.customer_id is not None)
        orders = list(itertools.islice(taken, len(drawn)))
        lives = [Repaired(lab, order, program, seen) for order, program in zip(orders, drawn, strict=True)]
        under_way = {asyncio.create_task(life.live()): life for life in lives}
        done, late = await asyncio.wait(under_way, timeout=PATIENCE_S)
        wrong = [f"{under_way[task].program} has not ended" for task in late]
        wrong += [f"{under_way[task].program}: {error!r}" for task in done if (error := task.exception())]
        if wrong:
            return wrong
        # nobody has a reason to undo an order in part, so the auditor goes on to accuse whoever has done that
        ids = [one.order.order_id for one in lives if WAYS[one.program.way] is not undone_by_analytics_alone]
        report = await audit(lab.client, lab.settings, lab.name, order_ids=ids, parity=False)
        return [*(one for life in lives for one in life.wrongs(book)), *map(str, report.violations)]

    @settings(
        max_examples=EXAMPLES.get(settings.get_current_profile_name(), FEW),
        deadline=None,
        derandomize=not is_long,
        phases=(Phase.generate,),
    )
    @given(st.lists(programs, min_size=ORDERS, max_size=ORDERS))
    def is_whole(drawn: list[Program]) -> None:
        wrongs = asyncio.run_coroutine_threadsafe(run(drawn), loop).result()
        assert not wrongs, "\n".join(wrongs)

    await asyncio.to_thread(is_whole)  # hypothesis runs no coroutines; this loop runs them for it
    print(dict(seen))  # noqa: T201 - the long run shows it
    assert {"completed", "cancelled"} <= seen.keys()


async def test_a_saga_that_was_cancelled_since_somebody_looked_is_not_run_again(lab: Lab, order: Order) -> None:
    await broken_on_its_way(lab, order, "saga")

    async def cancel() -> None:
        await Canceller(lab.client, lab.name).cancel(order.order_id, "saga")
        await ended(lab, order, "saga")

    repairer = Repairer(meanwhile(lab.client, before_starting=cancel), lab.name, lab.settings)
    seen = await repairer.examine(order.order_id, "saga")
    assert seen is not None
    await seen.do()
    told, found = await repaired(lab, order, "saga")

    assert seen.finding.todo is Todo.FINISH
    assert len(await runs_of(lab.client, workflow_id("saga", order.order_id))) == 2, "the broken one, the cancellation"
    assert todos(told) == []
    assert (found.finding.state, found.finding.detail) == (OrderState.CANCELLED, "cancelled by the customer")
    assert left_of(lab, order, "saga") == set()


async def test_a_wish_that_was_answered_since_somebody_looked_is_not_asked_again(labs: Labs, order: Order) -> None:
    # given a cancellation that was broken off before shipping could answer
    async with labs(absent=["shipping"]) as lab:
        run = await lab.client.start_workflow(
            OrderCancellation.run,
            CancelRequest(style="saga", order_id=order.order_id, lab=lab.name),
            id=workflow_id("saga", order.order_id),
            task_queue=task_queue("saga", lab.name),
            memo={"lab": lab.name},
            search_attributes=attributes_of(order.order_id, "saga"),
        )
        await run.terminate()

        async def cancel() -> None:
            await Canceller(lab.client, lab.name).cancel(order.order_id, "saga")
            await ended(lab, order, "saga")

        # when it is repaired, and the customer asks once more just before that begins
        async with hosting(lab.client, ["shipping"], lab.settings, lab.name):
            repairer = Repairer(meanwhile(lab.client, before_starting=cancel), lab.name, lab.settings)
            seen = await repairer.examine(order.order_id, "saga")
            assert seen is not None
            await seen.do()
            _, found = await repaired(lab, order, "saga")

    assert seen.finding.todo is Todo.FINISH
    assert len(await runs_of(lab.client, workflow_id("saga", order.order_id))) == 2, "the broken one, the customer's"
    assert found.finding.state is OrderState.CANCELLED


async def test_a_forgotten_saga_that_was_placed_again_since_somebody_looked_is_left_to_that(
    lab: Lab, order: Order
) -> None:
    await broken_while_undone(lab, order, "saga")
    await forget(lab.client, order, "saga")

    async def place() -> None:
        await lab.run(order, "saga")

    repairer = Repairer(meanwhile(lab.client, before_starting=place), lab.name, lab.settings)
    seen = await repairer.examine(order.order_id, "saga")
    assert seen is not None
    await seen.do()
    runs = await runs_of(lab.client, workflow_id("saga", order.order_id))
    _, found = await repaired(lab, order, "saga")

    assert seen.finding.todo is Todo.UNDO
    assert len(runs) == 1
    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, "saga") == set()


async def what_the_second_saw_before_the_first_repaired(lab: Lab, order: Order, style: Style) -> Repair:
    """Have two look at an order that reads completed and is half undone, and the first repair it."""
    await undone_by_analytics_alone(lab, order, style)
    late = await Repairer(lab.client, lab.name, lab.settings).examine(order.order_id, style)
    assert late is not None
    await repaired(lab, order, style)
    return late


async def test_a_saga_that_ended_otherwise_between_a_look_and_a_late_repair_is_left_as_it_is(
    lab: Lab, order: Order
) -> None:
    late = await what_the_second_saw_before_the_first_repaired(lab, order, "saga")
    before = await runs_of(lab.client, workflow_id("saga", order.order_id))
    # when the second acts on what it has seen
    await late.do()

    assert late.finding.todo is Todo.UNDO
    assert await runs_of(lab.client, workflow_id("saga", order.order_id)) == before


async def test_a_bus_that_was_repaired_between_a_look_and_a_late_repair_is_told_nothing_twice(
    lab: Lab, order: Order
) -> None:
    late = await what_the_second_saw_before_the_first_repaired(lab, order, "choreography")
    before, runs = lab.effects(order, "choreography"), await runs_of(lab.client, f"bus/{order.order_id}")
    await late.do()

    assert late.finding.todo is Todo.UNDO
    assert lab.effects(order, "choreography") == before
    assert await runs_of(lab.client, f"bus/{order.order_id}") == runs
