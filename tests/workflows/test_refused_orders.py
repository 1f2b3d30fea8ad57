"""A stranger under a forgotten order's id is refused: it takes nothing of the older order, nor stands for it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from temporalio.client import WorkflowFailureError

from events.bus import bus_id
from events.envelope import Event
from events.log import OrderState
from faults.dice import Dice
from faults.plan import FaultPlan
from lab.audit import AuditReport, audit
from lab.audit.mails import read_mails
from lab.cancelling import Canceller
from lab.effects import all_effects
from lab.placing import Placer
from lab.runs import workflow_id
from lab.status import OrderStatus, end_of
from orders.model import STYLES, Order, Style
from runtime.errors import OrderlabError
from tests.labs import Lab, Labs, failing, forget, holding, namesake, open_lab, until
from tests.workflows.test_forgotten import CLEAN, audited, cancel, completed, handed_over

NO_MAIL = Dice(
    plan=FaultPlan.model_validate(
        {"name": "no mail", "services": {"marketing": {"confirmation.sent": {"permanent": 1}}}}
    ),
    seed=1,
)
"""Marketing does not get round to its work."""

TELLING = ("marketing.tell_customer", "marketing.on_order_cancelled")

DONE = {"shipment.created", "invoice.issued", "confirmation.sent", "campaign.left", "sale.recorded"}


async def in_both(do: Callable[[Style], Awaitable[OrderStatus]]) -> list[OrderStatus]:
    return await asyncio.gather(*(do(style) for style in STYLES))


async def refused(lab: Lab, stranger: Order, style: Style) -> None:
    status = await lab.run(stranger, style)
    assert status.state is OrderState.CANCELLED
    assert "belongs to an order with other content" in (status.detail or "")


async def parked_at_marketing(lab: Lab, order: Order, style: Style) -> None:
    placed = await Placer(lab.client, lab.name, NO_MAIL).place(order, style)
    assert (await end_of(lab.client, placed, look_every_s=0.1))[0] is OrderState.PARKED


async def known_to_all_but_marketing(labs: Labs, order: Order) -> Lab:
    """A lab of which marketing was away when an order was placed, which was then deleted by hand."""
    async with labs(absent=["marketing"]) as lab:

        async def begin(style: Style) -> None:
            await lab.placer.place(order, style)
            await until(lambda: len(lab.effects(order, style)) == 3)
            await forget(lab.client, order, style)

        await asyncio.gather(*(begin(style) for style in STYLES))
    return lab


async def test_an_order_whose_mail_was_parked_comes_back_after_a_stranger_and_is_completed(
    lab: Lab, order: Order
) -> None:
    async def come_back(style: Style) -> OrderStatus:
        await parked_at_marketing(lab, order, style)
        await forget(lab.client, order, style)
        await refused(lab, namesake(order), style)
        assert len(lab.effects(order, style)) == 3
        await forget(lab.client, order, style)
        return await lab.run(order, style)

    for status in await in_both(come_back):
        assert status.state is OrderState.COMPLETED
        assert set(lab.effects(order, status.style)) == DONE
    assert await audited(lab, order) == CLEAN


async def test_a_service_that_met_only_the_stranger_does_its_work_for_the_older_order_when_that_comes_back(
    labs: Labs, order: Order
) -> None:
    before = await known_to_all_but_marketing(labs, order)
    async with open_lab(before.client, before.settings.data) as lab:

        async def come_back(style: Style) -> OrderStatus:
            await refused(lab, namesake(order), style)
            assert await audited_alone(lab, order)
            await forget(lab.client, order, style)
            return await lab.run(order, style)

        # one after the other: the audit looks at both
        ends = [await come_back(style) for style in STYLES]
        report = await audited(lab, order)
        accepted = [await cancel(lab, order, style) for style in STYLES]
        cancelled = await audited(lab, order)

    assert [end.state for end in ends] == [OrderState.COMPLETED] * 2
    assert report == cancelled == CLEAN
    assert accepted == [True, True]
    mails = read_mails(lab.settings)
    assert mails is not None
    for style in STYLES:
        assert len(lab.effects(order, style)) == 10
        everything = all_effects(lab.settings)
        strangers = [one for one in everything if one.style == style and one.order_id.startswith(f"{order.order_id}|")]
        # In the choreography, marketing may have been told of the refusal before it was handed the order.
        assert len(strangers) in ({4} if style == "saga" else {0, 4})
        ids = [str(one.fact["message_id"]) for one in everything if one.style == style and "message_id" in one.fact]
        assert len(set(ids)) == len(ids)
        assert [len(mails.of(one)) for one in ids] == [1] * len(ids)


async def test_an_order_is_not_undone_because_a_stranger_was_deleted_by_hand_before_it_was_undone(
    labs: Labs, order: Order
) -> None:
    before = await known_to_all_but_marketing(labs, order)
    async with open_lab(before.client, before.settings.data, fakes=[failing(one) for one in TELLING]) as lab:

        async def break_off(style: Style) -> None:
            placed = await lab.placer.place(namesake(order), style)
            await end_of(lab.client, placed, look_every_s=0.1)
            await forget(lab.client, order, style)

        await asyncio.gather(*(break_off(style) for style in STYLES))
    async with open_lab(before.client, before.settings.data) as again:
        ends = await in_both(lambda style: again.run(order, style))
        left = {style: set(again.effects(order, style)) for style in STYLES}
        report = await audited(again, order)
        accepted = [await cancel(again, order, style) for style in STYLES]
        undone = {style: set(again.effects(order, style)) for style in STYLES}

    for end in ends:
        # in the choreography, marketing may have been told of the refusal before it was handed the stranger's order
        expected = OrderState.CANCELLED if "confirmation.sent" in left[end.style] else OrderState.COMPLETED
        assert end.state is expected
        assert "shipment.created" in left[end.style]
        assert not left[end.style] & {"shipment.cancelled", "credit_note.issued", "sale.reversed"}
    assert not report.violations
    assert accepted == [True, True]
    assert all({"shipment.cancelled", "credit_note.issued", "sale.reversed"} <= effects for effects in undone.values())


async def audited_alone(lab: Lab, order: Order) -> bool:
    return not (await audited(lab, order)).violations


async def test_a_guest_s_order_comes_back_after_a_customer_s_stranger_and_the_auditor_is_content(
    lab: Lab, order: Order
) -> None:
    guest = order.model_copy(update={"customer_id": None})

    async def come_back(style: Style) -> OrderStatus:
        await completed(lab, guest, style)
        await forget(lab.client, guest, style)
        await refused(lab, order, style)
        await forget(lab.client, guest, style)
        return await lab.run(guest, style)

    for status in await in_both(come_back):
        assert status.state is OrderState.COMPLETED
        assert set(lab.effects(order, status.style)) == DONE - {"confirmation.sent", "campaign.left"}
    assert await audited(lab, order) == CLEAN


async def test_a_customer_who_cancels_after_a_stranger_was_refused_cancels_the_older_order(
    lab: Lab, order: Order
) -> None:
    async def answer(style: Style) -> bool:
        await completed(lab, order, style)
        await forget(lab.client, order, style)
        await refused(lab, namesake(order), style)
        return await cancel(lab, order, style)

    assert await asyncio.gather(*(answer(style) for style in STYLES)) == [True, True]
    assert [len(lab.effects(order, style)) for style in STYLES] == [10, 10]
    assert await audited(lab, order) == CLEAN


async def test_a_customer_who_cancels_after_temporal_has_stopped_a_stranger_cancels_the_older_order(
    labs: Labs, order: Order
) -> None:
    before = await known_to_all_but_marketing(labs, order)
    thanking = holding("marketing.thank_customer")
    async with open_lab(before.client, before.settings.data, fakes=[thanking]) as lab:
        saga = lab.client.get_workflow_handle(workflow_id("saga", order.order_id))
        await lab.placer.place(namesake(order), "saga")
        await asyncio.to_thread(thanking.begun.wait, 30)
        await saga.cancel()
        thanking.released.set()
        with pytest.raises(WorkflowFailureError):
            await saga.result()

        accepted = await cancel(lab, order, "saga")

    assert accepted
    assert {"shipment.cancelled", "credit_note.issued", "sale.reversed"} <= set(lab.effects(order, "saga"))


async def test_a_customer_whose_parcel_was_handed_over_is_refused_also_after_a_stranger(lab: Lab, order: Order) -> None:
    async def answer(style: Style) -> bool:
        await handed_over(lab, order, style)
        await forget(lab.client, order, style)
        await refused(lab, namesake(order), style)
        return await cancel(lab, order, style)

    assert await asyncio.gather(*(answer(style) for style in STYLES)) == [False, False]
    assert [len(lab.effects(order, style)) for style in STYLES] == [5, 5]
    assert await audited(lab, order) == CLEAN


async def test_a_customer_is_told_to_ask_again_while_a_stranger_can_t_be_undone(labs: Labs, order: Order) -> None:
    before = await known_to_all_but_marketing(labs, order)
    async with open_lab(before.client, before.settings.data, fakes=[failing("marketing.tell_customer")]) as lab:
        placed = await lab.placer.place(namesake(order), "saga")
        state, _ = await end_of(lab.client, placed, look_every_s=0.1)
        with pytest.raises(OrderlabError, match="ask again when it has ended"):
            await Canceller(lab.client, lab.name).cancel(order.order_id, "saga")

    assert state is OrderState.ATTENTION
    assert "shipment.cancelled" not in lab.effects(order, "saga")


async def test_another_system_that_cancels_after_a_stranger_was_refused_cancels_the_older_order(
    lab: Lab, order: Order
) -> None:
    async def refuse(style: Style) -> None:
        await completed(lab, order, style)
        await forget(lab.client, order, style)
        await refused(lab, namesake(order), style)

    await asyncio.gather(*(refuse(style) for style in STYLES))
    await lab.placer.publish(erp_cancels(order))
    await lab.client.get_workflow_handle(bus_id(order.order_id)).result()

    assert [len(lab.effects(order, style)) for style in STYLES] == [5, 10]
    assert await audited(lab, order) == CLEAN


async def test_the_auditor_asks_no_parity_of_an_order_that_another_system_s_event_has_cancelled(
    lab: Lab, order: Order
) -> None:
    await asyncio.gather(*(completed(lab, order, style) for style in STYLES))

    await lab.placer.publish(erp_cancels(order))
    await lab.client.get_workflow_handle(bus_id(order.order_id)).result()

    assert [len(lab.effects(order, style)) for style in STYLES] == [5, 10]
    assert await audited(lab, order) == CLEAN


async def test_the_auditor_takes_what_was_done_for_orders_that_are_forgotten_as_explained(
    labs: Labs, fresh_orders: Callable[[int], list[Order]]
) -> None:
    kept, cancelled_since, replaced = fresh_orders(3)
    async with labs() as lab:

        async def live(style: Style) -> None:
            for order in (kept, cancelled_since, replaced):
                await completed(lab, order, style)
                await forget(lab.client, order, style)
            assert await cancel(lab, cancelled_since, style)
            assert await cancel(lab, replaced, style)
            await lab.run(namesake(replaced), style)

        await asyncio.gather(*(live(style) for style in STYLES))

        assert await audited(lab, kept) == AuditReport(checked=0, violations=[])
        assert await audited(lab, cancelled_since) == AuditReport(checked=0, violations=[])
        assert await audited(lab, replaced) == CLEAN
        assert not (await audit(lab.client, lab.settings, lab.name)).violations


def erp_cancels(order: Order) -> Event:
    return Event(
        id="e1",
        source="/erp",
        type="order.cancelled",
        subject=order.order_id,
        time=datetime.now(UTC),
        data={"order_id": order.order_id, "reason": "fraud"},
    )
