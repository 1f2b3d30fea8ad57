"""Orders that were left half done, by whatever broke their workflow off, and the command that finishes them."""

import asyncio

import pytest

from activities.analytics import AnalyticsActivities
from activities.reacting import Reporter
from events.log import OrderState
from faults.dice import Dice
from faults.plan import Customers, FaultPlan
from hosting.workers import hosting
from lab.audit import AuditReport, audit
from lab.cancelling import Canceller
from lab.effects import all_effects
from lab.parity import UNDONE_BY
from lab.placing import Placer
from lab.repair.finding import Finding, Todo
from lab.repair.repairing import Repairer
from lab.runs import runs_of, workflow_id
from orders.cancelling import CancelRequest
from orders.model import STYLES, Order, Style
from services.order_placed import registry
from services.service import Cancellation
from stores.analytics import METADATA
from stores.ledger import Ledger
from tests.labs import Lab, Labs, ended, failing, forget, holding, left_of, namesake, open_lab, repaired, until
from workflows.conversation import WISH

BOTH = pytest.mark.parametrize("style", STYLES)

THANKING = {"saga": "marketing.thank_customer", "choreography": "marketing.on_order_placed"}
TELLING = {"saga": "marketing.tell_customer", "choreography": "marketing.on_order_cancelled"}


def plan(services: dict[str, object], **more: object) -> Dice:
    return Dice(plan=FaultPlan.model_validate({"name": "for the test", "services": services, **more}), seed=7)


NO_INVOICE_AND_NO_MAIL: dict[str, object] = {
    "invoicing": {"invoice.issued": {"permanent": 1.0}},
    "marketing": {"cancellation.sent": {"transient": 1.0, "transient_attempts": 1000}},
}
STUCK_UNDO = plan(NO_INVOICE_AND_NO_MAIL)
"""Invoicing can't write the invoice, so the order is undone; and marketing can't tell the customer so."""

STUCK_UNDO_TOO_LATE = plan(NO_INVOICE_AND_NO_MAIL, customers={"cancel": 0, "handover_ms": 0})
"""The same, of a parcel that is handed over at once: shipping would refuse a customer who wants to cancel."""

TOO_LATE = plan({}, customers={"cancel": 0, "handover_ms": 0})


async def terminate(lab: Lab, order: Order, style: Style) -> None:
    await lab.client.get_workflow_handle(workflow_id(style, order.order_id)).terminate()


async def audited(lab: Lab, order: Order) -> AuditReport:
    return await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])


def todos(told: list[Finding]) -> list[Todo]:
    return [one.todo for one in told]


def is_at(lab: Lab, order: Order, style: Style, *effects: str) -> bool:
    return set(effects) <= set(lab.effects(order, style))


# Broken off


@BOTH
@pytest.mark.parametrize("dice", [STUCK_UNDO, STUCK_UNDO_TOO_LATE], ids=["in time", "too late for a customer"])
async def test_an_order_broken_off_while_it_was_undone_is_undone_to_its_end(
    lab: Lab, order: Order, style: Style, dice: Dice
) -> None:
    await Placer(lab.client, lab.name, dice).place(order, style)
    await until(lambda: "campaign.rejoined" in lab.effects(order, style))
    await terminate(lab, order, style)
    before = await audited(lab, order)

    told, found = await repaired(lab, order, style)

    assert [f"orderlab repair {order.order_id}" in one.what for one in before.violations] == [True]
    assert todos(told) == [Todo.UNDO if style == "saga" else Todo.FINISH]
    assert told[0].state is None
    assert found.is_whole
    assert found.finding.state is OrderState.CANCELLED
    assert "invoic" in (found.finding.detail or ""), "the reason is the one that it was undone for"
    assert left_of(lab, order, style) == set()
    assert "invoice.issued" not in lab.effects(order, style)
    assert (await audited(lab, order)).violations == []


async def test_a_half_undone_saga_whose_customer_was_refused_since_is_undone_all_the_same(
    lab: Lab, order: Order
) -> None:
    await Placer(lab.client, lab.name, STUCK_UNDO_TOO_LATE).place(order, "saga")
    await until(lambda: "campaign.rejoined" in lab.effects(order, "saga"))
    await terminate(lab, order, "saga")
    answer = await Canceller(lab.client, lab.name).cancel(order.order_id, "saga")
    _, found = await repaired(lab, order, "saga")

    assert not answer.accepted
    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, "saga") == set()
    assert (await audited(lab, order)).violations == []


@BOTH
async def test_an_order_broken_off_on_its_way_is_completed_and_nothing_is_done_twice(
    labs: Labs, order: Order, style: Style
) -> None:
    async with labs(absent=["invoicing"]) as lab:
        await lab.placer.place(order, style)
        await until(lambda: is_at(lab, order, style, "shipment.created", "campaign.left", "sale.recorded"))
        await terminate(lab, order, style)
        async with hosting(lab.client, ["invoicing"], lab.settings, lab.name):
            told, found = await repaired(lab, order, style)
            known = await lab.placer.place_once(order, (style,))
            report = await audited(lab, order)

    assert todos(told) == [Todo.FINISH]
    assert found.finding.state is OrderState.COMPLETED
    assert found.is_whole
    assert left_of(lab, order, style) == set(UNDONE_BY)
    assert [one.known for one in known] == [True]
    assert report.violations == []


@BOTH
async def test_an_order_broken_off_when_its_cancellation_was_accepted_and_nothing_undone_yet_is_undone(
    labs: Labs, order: Order, style: Style
) -> None:
    telling = holding(TELLING[style])
    async with labs(fakes=[telling]) as lab:
        await lab.run(order, style)
        await Canceller(lab.client, lab.name).cancel(order.order_id, style)
        await until(telling.begun.is_set)
        await terminate(lab, order, style)
        telling.released.set()
        _, found = await repaired(lab, order, style)
        report = await audited(lab, order)

    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()
    assert report.violations == []


async def test_a_saga_broken_off_when_invoicing_had_given_up_and_nothing_was_undone_yet_is_undone(
    labs: Labs, order: Order
) -> None:
    thanking = holding(THANKING["saga"])
    async with labs(fakes=[failing("invoicing.issue_invoice", times=1), thanking]) as lab:
        await lab.placer.place(order, "saga")
        await until(lambda: thanking.begun.is_set() and is_at(lab, order, "saga", "shipment.created", "sale.recorded"))
        run = lab.client.get_workflow_handle(workflow_id("saga", order.order_id))
        async with asyncio.timeout(10):
            while "issue_invoice" in str((await run.describe()).raw_description.pending_activities):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await terminate(lab, order, "saga")
        thanking.released.set()
        told, found = await repaired(lab, order, "saga")

    assert todos(told) == [Todo.UNDO]
    assert found.finding.state is OrderState.CANCELLED
    assert "invoice.issued" not in lab.effects(order, "saga")


async def test_a_repair_that_was_broken_off_is_taken_up_by_the_next(labs: Labs, order: Order) -> None:
    async with labs(absent=["analytics"]) as lab:
        await Placer(lab.client, lab.name, STUCK_UNDO).place(order, "saga")
        await until(lambda: is_at(lab, order, "saga", "shipment.created", "campaign.left"))
        await terminate(lab, order, "saga")
        async with hosting(lab.client, ["analytics"], lab.settings, lab.name):
            _, found = await repaired(lab, order, "saga")

    assert found.is_whole
    assert found.finding.state in {OrderState.CANCELLED, OrderState.COMPLETED}


async def test_an_order_repaired_in_one_style_is_kept_there_though_the_dice_are_against_it_and_the_audit_is_content(
    labs: Labs, order: Order
) -> None:
    no_invoice = plan({"invoicing": {"invoice.issued": {"permanent": 1.0}}})
    async with labs(absent=["invoicing"]) as lab:
        for style in STYLES:
            await Placer(lab.client, lab.name, no_invoice).place(order, style)
        await until(lambda: is_at(lab, order, "saga", "shipment.created", "campaign.left", "sale.recorded"))
        await terminate(lab, order, "saga")
        async with hosting(lab.client, ["invoicing"], lab.settings, lab.name):
            _, found = await repaired(lab, order, "saga")
            await ended(lab, order, "choreography")
            report = await audited(lab, order)

    assert found.finding.state is OrderState.COMPLETED
    assert left_of(lab, order, "choreography") == set()
    assert report == AuditReport(checked=2, violations=[])


@BOTH
async def test_two_who_repair_at_the_same_moment_do_each_thing_once(lab: Lab, order: Order, style: Style) -> None:
    await Placer(lab.client, lab.name, STUCK_UNDO).place(order, style)
    await until(lambda: "campaign.rejoined" in lab.effects(order, style))
    await terminate(lab, order, style)
    both = await asyncio.gather(*(repaired(lab, order, style) for _ in range(2)))

    assert [found.finding.state for _, found in both] == [OrderState.CANCELLED] * 2
    assert left_of(lab, order, style) == set()
    assert (await audited(lab, order)).violations == []


async def test_a_customer_s_wish_that_a_broken_saga_had_not_answered_is_answered_by_the_repair(
    labs: Labs, order: Order
) -> None:
    async with labs(absent=["shipping"]) as lab:
        await lab.placer.place(order, "saga")
        await until(lambda: is_at(lab, order, "saga", "invoice.issued", "campaign.left"))
        wish = CancelRequest(style="saga", order_id=order.order_id, lab=lab.name)
        await lab.client.get_workflow_handle(workflow_id("saga", order.order_id)).signal(WISH, wish)
        await terminate(lab, order, "saga")
        async with hosting(lab.client, ["shipping"], lab.settings, lab.name):
            _, found = await repaired(lab, order, "saga")

    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, "saga") == set()


# Parked, whole, or under way


@BOTH
async def test_what_is_parked_is_tried_once_more(labs: Labs, order: Order, style: Style) -> None:
    async with labs(fakes=[failing(THANKING[style], times=1)]) as lab:
        before = await lab.run(order, style)
        told, found = await repaired(lab, order, style)

    assert before.state is OrderState.PARKED
    assert todos(told) == [Todo.REDRIVE]
    assert found.finding.state is OrderState.COMPLETED
    assert left_of(lab, order, style) == set(UNDONE_BY)


@BOTH
async def test_what_gives_up_again_stays_parked_which_is_a_legal_state(labs: Labs, order: Order, style: Style) -> None:
    async with labs(fakes=[failing(THANKING[style])]) as lab:
        await lab.run(order, style)
        told, found = await repaired(lab, order, style)

    assert todos(told) == [Todo.REDRIVE]
    assert found.finding.state is OrderState.PARKED
    assert found.is_whole


@BOTH
async def test_a_compensation_that_gave_up_is_tried_once_more(labs: Labs, order: Order, style: Style) -> None:
    async with labs(fakes=[failing(TELLING[style], times=1)]) as lab:
        await lab.run(order, style)
        await Canceller(lab.client, lab.name).cancel(order.order_id, style)
        await ended(lab, order, style)
        told, found = await repaired(lab, order, style)

    assert told[0].state is OrderState.ATTENTION
    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()


async def test_a_compensation_that_gives_up_within_a_repair_asks_for_attention_and_the_next_repair_finishes_it(
    labs: Labs, order: Order
) -> None:
    async with labs(fakes=[failing("shipping.cancel_shipment", times=1)]) as lab:
        await Placer(lab.client, lab.name, STUCK_UNDO).place(order, "saga")
        await until(lambda: "campaign.rejoined" in lab.effects(order, "saga"))
        await terminate(lab, order, "saga")
        told, found = await repaired(lab, order, "saga")

    # the first round undoes and parks shipping's part, the second redrives that
    assert todos(told) == [Todo.UNDO, Todo.REDRIVE]
    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, "saga") == set()


@BOTH
@pytest.mark.parametrize("cancelled", [False, True])
async def test_repairing_a_whole_order_changes_nothing(
    lab: Lab, order: Order, style: Style, *, cancelled: bool
) -> None:
    await lab.run(order, style)
    if cancelled:
        await Canceller(lab.client, lab.name).cancel(order.order_id, style)
        await ended(lab, order, style)
    before, runs = lab.effects(order, style), await runs_of(lab.client, workflow_id(style, order.order_id))
    told, found = await repaired(lab, order, style)

    assert told == []
    assert found.is_whole
    assert found.finding.todo is Todo.NOTHING
    assert lab.effects(order, style) == before
    assert await runs_of(lab.client, workflow_id(style, order.order_id)) == runs


@BOTH
async def test_an_order_under_way_is_left_alone(labs: Labs, order: Order, style: Style) -> None:
    thanking = holding(THANKING[style])
    async with labs(fakes=[thanking]) as lab:
        await lab.placer.place(order, style)
        await until(thanking.begun.is_set)
        found = await Repairer(lab.client, lab.name, lab.settings).examine(order.order_id, style)
        thanking.released.set()
        await ended(lab, order, style)

    assert found is not None
    assert found.finding.todo is Todo.WAIT
    assert "nothing is half done" in found.finding.why
    assert left_of(lab, order, style) == set(UNDONE_BY)


@BOTH
async def test_an_order_that_nobody_has_heard_of_is_none(lab: Lab, order: Order, style: Style) -> None:
    assert await Repairer(lab.client, lab.name, lab.settings).examine(order.order_id, style) is None


@BOTH
async def test_an_order_of_one_style_is_unknown_in_the_other(lab: Lab, order: Order, style: Style) -> None:
    await lab.run(order, style)
    [other] = set(STYLES) - {style}

    assert await Repairer(lab.client, lab.name, lab.settings).examine(order.order_id, other) is None


# Where the workflow says one thing and the databases another


@BOTH
async def test_an_order_that_reads_completed_and_was_undone_in_part_is_undone(
    lab: Lab, order: Order, style: Style
) -> None:
    await lab.run(order, style)
    undo_sale(lab, order, style)
    told, found = await repaired(lab, order, style)

    assert todos(told) == [Todo.UNDO]
    assert found.is_whole
    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()


def undo_sale(lab: Lab, order: Order, style: Style) -> None:
    """Have analytics undo its work, of which no workflow knows."""
    ledger = Ledger(lab.settings.database_url("analytics"), METADATA)
    desk = AnalyticsActivities(ledger, Reporter("analytics", registry(lab.name)))
    desk.reverse_sale(Cancellation(style=style, order_id=order.order_id, reason="by mistake"))
    ledger.engine.dispose()


# Forgotten by Temporal


@BOTH
async def test_a_whole_order_that_temporal_has_forgotten_stays_as_it_is(lab: Lab, order: Order, style: Style) -> None:
    await lab.run(order, style)
    await forget(lab.client, order, style)
    told, found = await repaired(lab, order, style)

    assert told == []
    assert found.is_whole
    assert "forgotten" in found.finding.why
    assert left_of(lab, order, style) == set(UNDONE_BY)


@BOTH
async def test_a_half_undone_order_that_temporal_has_forgotten_is_undone(lab: Lab, order: Order, style: Style) -> None:
    await Placer(lab.client, lab.name, STUCK_UNDO).place(order, style)
    await until(lambda: "campaign.rejoined" in lab.effects(order, style))
    await terminate(lab, order, style)
    await forget(lab.client, order, style)
    told, found = await repaired(lab, order, style)
    again = await lab.run(order, style)
    report = await audited(lab, order)

    assert todos(told) == [Todo.UNDO]
    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()
    assert again.state is OrderState.CANCELLED
    assert report.violations == []


# Another order under the id


@BOTH
async def test_repairing_an_order_that_was_refused_touches_nothing_of_the_one_that_has_the_id(
    lab: Lab, order: Order, style: Style
) -> None:
    await lab.run(order, style)
    await forget(lab.client, order, style)
    refused = await lab.run(namesake(order), style)
    told, found = await repaired(lab, order, style)

    assert refused.state is OrderState.CANCELLED
    assert told == []
    assert found.is_whole
    assert left_of(lab, order, style) == set(UNDONE_BY)


async def test_a_refused_saga_broken_off_while_its_own_was_undone_lets_the_id_go(labs: Labs, order: Order) -> None:
    guest = order.model_copy(update={"customer_id": None})  # of whom marketing never hears
    telling = holding(TELLING["saga"])
    async with labs() as before:
        await before.run(guest, "saga")
    await forget(before.client, guest, "saga")
    async with open_lab(before.client, before.settings.data, fakes=[telling]) as lab:
        await lab.placer.place(order, "saga")
        await until(telling.begun.is_set)
        await terminate(lab, order, "saga")
        telling.released.set()
        told, found = await repaired(lab, order, "saga")

    assert todos(told) == [Todo.UNDO]
    assert found.finding.state is OrderState.CANCELLED
    assert {"shipment.created", "invoice.issued", "sale.recorded"} == left_of(lab, order, "saga")
    assert not any(
        record.order_id == order.order_id and record.service == "marketing" for record in all_effects(lab.settings)
    )


@BOTH
async def test_a_parcel_of_an_order_that_was_repaired_is_handed_over_by_the_shop_s_rule_and_the_auditor_is_content(
    labs: Labs, order: Order, style: Style
) -> None:
    # given an order with a plan of its own for the handover, broken off before shipping was at it
    at_once = Dice(plan=FaultPlan(name="at once", customers=Customers(cancel=0, handover_ms=0)), seed=0)
    async with labs(absent=["shipping"]) as lab:
        await Placer(lab.client, lab.name, at_once).place(order, style)
        await lab.client.get_workflow_handle(workflow_id(style, order.order_id)).terminate("a person's wish")
        # when it is repaired, which throws no dice
        async with hosting(lab.client, ["shipping"], lab.settings, lab.name):
            _, found = await repaired(lab, order, style)
        report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])

    assert found.is_whole
    assert report.violations == []
