"""Orders that Temporal has forgotten, as it does some time after their end: what the services know keeps books true."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from events.log import OrderState
from faults.dice import Dice
from faults.plan import Customers, FaultPlan
from lab.audit import AuditReport, audit
from lab.placing import Placed, Placer
from lab.status import OrderStatus, end_of
from orders.model import STYLES, Order, Style
from tests.labs import Lab, Labs, failing, forget, namesake, open_lab

HANDED_OVER = Dice(plan=FaultPlan(name="handed over", customers=Customers(cancel=0, handover_ms=0)), seed=1)
"""The parcel is handed over the moment that it is made up, so that no customer can cancel any more."""

NO_PARCEL = Dice(
    plan=FaultPlan.model_validate(
        {"name": "no parcel", "services": {"shipping": {"shipment.created": {"permanent_after": 1}}}}
    ),
    seed=1,
)
"""Shipping does its work, and says that it can't."""

SHIPPING = ("shipping.begin_fulfilment", "shipping.on_order_placed")
"""Activities of both styles."""


@dataclass(frozen=True)
class Story:
    """What became, in one style, of an order and of the one that was placed under its id when it was forgotten."""

    style: Style
    old: list[str]
    """Effects of the first, when it had ended."""
    second: OrderStatus
    now: list[str]
    """Effects under the id, when the second had ended."""

    def is_cancelled(self, why: str) -> bool:
        return self.second.state is OrderState.CANCELLED and why in (self.second.detail or "")


First = Callable[[Lab, Order, Style], Awaitable[object]]


async def stories(lab: Lab, first: First, order: Order, second: Order) -> list[Story]:
    """Have the first order come to its end in each style, and be forgotten; then place the second."""

    async def tell(style: Style) -> Story:
        await first(lab, order, style)
        old = lab.effects(order, style)
        await forget(lab.client, order, style)
        status = await lab.run(second, style)
        return Story(style, old, status, lab.effects(order, style))

    return await asyncio.gather(*(tell(style) for style in STYLES))


async def audited(lab: Lab, order: Order) -> AuditReport:
    return await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])


CLEAN = AuditReport(checked=2, violations=[])


async def completed(lab: Lab, order: Order, style: Style) -> None:
    assert (await lab.run(order, style)).state is OrderState.COMPLETED


async def cancelled_by_the_customer(lab: Lab, order: Order, style: Style) -> None:
    await completed(lab, order, style)
    assert await cancel(lab, order, style)


async def cancelled_before_it_was_placed(lab: Lab, order: Order, style: Style) -> None:
    assert await cancel(lab, order, style)


async def cancelled_by_the_shop(lab: Lab, order: Order, style: Style) -> None:
    placed = await Placer(lab.client, lab.name, NO_PARCEL).place(order, style)
    assert (await end_of(lab.client, placed, look_every_s=0.1))[0] is OrderState.CANCELLED


async def handed_over(lab: Lab, order: Order, style: Style) -> None:
    placed = await Placer(lab.client, lab.name, HANDED_OVER).place(order, style)
    assert (await end_of(lab.client, placed, look_every_s=0.1))[0] is OrderState.COMPLETED


async def cancel(lab: Lab, order: Order, style: Style) -> bool:
    """Change the customer's mind, and wait until all has come of that which will; whether it was in time."""
    answer = await lab.placer.canceller.cancel(order.order_id, style)
    await end_of(lab.client, Placed(style, order.order_id, known=True), look_every_s=0.1)
    return answer.accepted


async def test_another_order_under_a_forgotten_id_is_cancelled_and_the_old_one_stays_as_it_was(
    lab: Lab, order: Order
) -> None:
    for story in await stories(lab, completed, order, namesake(order)):
        assert story.is_cancelled(f"order id {order.order_id} belongs to an order with other content, which ")
        assert "Error" not in (story.second.detail or "")
        assert len(story.old) == 5
        assert story.now == story.old

    assert await audited(lab, order) == CLEAN


async def test_the_same_order_placed_again_when_it_was_forgotten_is_completed_and_nothing_is_done_twice(
    lab: Lab, order: Order
) -> None:
    for story in await stories(lab, completed, order, order):
        assert story.second.state is OrderState.COMPLETED
        assert story.now == story.old

    assert await audited(lab, order) == CLEAN


async def test_what_is_placed_under_the_id_of_a_forgotten_cancelled_order_ends_cancelled_and_says_why(
    lab: Lab, fresh_orders: Callable[[int], list[Order]]
) -> None:
    cancelled = (cancelled_by_the_customer, cancelled_before_it_was_placed, cancelled_by_the_shop)
    same, another = fresh_orders(6)[:3], fresh_orders(6)[3:]
    told = await asyncio.gather(
        *(stories(lab, first, order, order) for first, order in zip(cancelled, same, strict=True)),
        *(stories(lab, first, order, namesake(order)) for first, order in zip(cancelled, another, strict=True)),
    )

    for story in (story for both in told for story in both):
        assert story.is_cancelled("cancelled before") or story.is_cancelled("belongs to an order with other content")
        assert story.now == story.old
    for order in (*same, *another):
        assert await audited(lab, order) == CLEAN


async def test_an_order_that_some_services_know_otherwise_is_cancelled_and_what_others_did_for_it_is_undone(
    lab: Lab, order: Order
) -> None:
    # given a forgotten order of a guest, of whom marketing never heard, and a customer's under the same id
    guest = order.model_copy(update={"customer_id": None})

    for story in await stories(lab, completed, guest, order):
        assert story.is_cancelled("belongs to an order with other content")
        # then marketing, which may have thanked before it heard of that, has taken it back
        done = sorted(effect for effect in story.now if effect not in story.old)
        assert done in ([], ["campaign.left", "campaign.rejoined", "cancellation.sent", "confirmation.sent"])

    assert await audited(lab, order) == CLEAN


async def test_a_forgotten_order_that_can_t_be_cancelled_any_more_is_not_taken_for_the_next_one_under_its_id(
    lab: Lab, order: Order
) -> None:
    async def tell(style: Style) -> OrderStatus:
        await handed_over(lab, order, style)
        await forget(lab.client, order, style)
        assert not await cancel(lab, order, style)
        return await lab.run(namesake(order), style)

    for status in await asyncio.gather(*(tell(style) for style in STYLES)):
        assert status.state is OrderState.CANCELLED
        assert "belongs to an order with other content" in (status.detail or "")
        assert len(lab.effects(order, status.style)) == 5

    assert await audited(lab, order) == CLEAN


async def test_a_customer_cancels_an_order_that_was_forgotten_and_it_is_undone(lab: Lab, order: Order) -> None:
    async def undone(style: Style) -> bool:
        await completed(lab, order, style)
        await forget(lab.client, order, style)
        return await cancel(lab, order, style)

    assert await asyncio.gather(*(undone(style) for style in STYLES)) == [True, True]
    assert all(len(lab.effects(order, style)) == 10 for style in STYLES)


async def test_an_order_forgotten_in_one_style_is_refused_there_and_done_in_the_other(lab: Lab, order: Order) -> None:
    await completed(lab, order, "saga")
    await forget(lab.client, order, "saga")

    ends = {style: await lab.run(namesake(order), style) for style in STYLES}

    assert [ends[style].state for style in STYLES] == [OrderState.CANCELLED, OrderState.COMPLETED]
    assert await audited(lab, order) == CLEAN


async def test_a_forgotten_order_is_not_undone_by_the_failure_of_another_one_under_its_id(
    labs: Labs, order: Order
) -> None:
    async def forgotten(lab: Lab, style: Style) -> None:
        await completed(lab, order, style)
        await forget(lab.client, order, style)

    async with labs() as lab:
        await asyncio.gather(*(forgotten(lab, style) for style in STYLES))
    async with open_lab(lab.client, lab.settings.data, fakes=[failing(one) for one in SHIPPING]) as again:
        ends = await asyncio.gather(*(again.run(namesake(order), style) for style in STYLES))
        report = await audited(again, order)

    assert [end.state for end in ends] == [OrderState.CANCELLED] * 2
    assert all(len(lab.effects(order, style)) == 5 for style in STYLES)
    assert report == CLEAN


async def test_an_order_whose_id_only_analytics_knows_as_another_s_is_cancelled_and_undone_everywhere_else(
    labs: Labs, order: Order, tmp_path: Path
) -> None:
    # given the books of analytics in a lab that knows nothing else any more
    async with labs() as before:
        await asyncio.gather(*(before.run(order, style) for style in STYLES))
    await asyncio.gather(*(forget(before.client, order, style) for style in STYLES))
    (tmp_path / "services").mkdir()
    shutil.copy(before.settings.data / "services" / "analytics.db", tmp_path / "services")

    async with open_lab(before.client, tmp_path) as lab:
        ends = await asyncio.gather(*(lab.run(namesake(order), style) for style in STYLES))
        report = await audited(lab, order)

    done = {"shipment.created", "invoice.issued", "confirmation.sent", "campaign.left"}
    undone = {"shipment.cancelled", "credit_note.issued", "cancellation.sent", "campaign.rejoined"}
    for end in ends:
        assert end.state is OrderState.CANCELLED
        assert "which analytics knows" in (end.detail or "")
        effects = set(lab.effects(order, end.style))
        assert "sale.recorded" in effects
        assert "sale.reversed" not in effects
        assert len(effects & done) == len(effects & undone)
    assert report == CLEAN
