"""The orchestrated style, on a real server, real databases and a real mail server."""

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from events.log import OrderState
from hosting.workers import hosting
from lab.placing import Placed
from lab.runs import workflow_id
from lab.status import end_of, status_of
from orders.model import Order
from tests.labs import Lab, Labs, failing, holding, until
from workflows.order_saga import OrderSaga

FORWARD = ["campaign.left", "confirmation.sent", "invoice.issued", "sale.recorded", "shipment.created"]


async def test_an_order_is_shipped_invoiced_counted_and_confirmed_once(lab: Lab, order: Order) -> None:
    status = await lab.run(order, "saga")

    assert status.state is OrderState.COMPLETED
    assert sorted(lab.effects(order, "saga")) == FORWARD


async def test_a_guest_is_sent_no_mail_and_leaves_no_campaign(lab: Lab, order: Order) -> None:
    guest = order.model_copy(update={"customer_id": None})

    status = await lab.run(guest, "saga")

    assert status.state is OrderState.COMPLETED
    assert sorted(lab.effects(guest, "saga")) == ["invoice.issued", "sale.recorded", "shipment.created"]


async def test_a_customer_whom_the_campaign_does_not_write_to_does_not_leave_it(lab: Lab, order: Order) -> None:
    stranger = order.model_copy(update={"customer_id": "not-in-the-data"})

    await lab.run(stranger, "saga")

    assert "confirmation.sent" in lab.effects(stranger, "saga")
    assert "campaign.left" not in lab.effects(stranger, "saga")


@pytest.mark.parametrize(
    ("broken", "undone"),
    [
        (
            "shipping.begin_fulfilment",
            ["cancellation.sent", "campaign.rejoined", "sale.reversed", "credit_note.issued"],
        ),
        ("invoicing.issue_invoice", ["cancellation.sent", "campaign.rejoined", "sale.reversed", "shipment.cancelled"]),
    ],
)
async def test_when_a_critical_step_fails_for_good_the_others_are_undone_last_first(
    labs: Labs, order: Order, broken: str, undone: list[str]
) -> None:
    async with labs(fakes=[failing(broken)]) as lab:
        status = await lab.run(order, "saga")
        outcome = await lab.client.get_workflow_handle_for(OrderSaga.run, status.workflow_id).result()

    assert status.state is OrderState.CANCELLED
    assert broken.split(".", maxsplit=1)[0] in (status.detail or "")
    assert [effect for effect in lab.effects(order, "saga") if effect not in FORWARD] == undone
    assert outcome.compensated == [
        "marketing.tell_customer",
        "analytics.reverse_sale",
        "invoicing.issue_credit_note",
        "shipping.cancel_shipment",
    ]


async def test_when_both_critical_steps_fail_what_never_happened_leaves_no_undo_effect(
    labs: Labs, order: Order
) -> None:
    async with labs(fakes=[failing("shipping.begin_fulfilment"), failing("invoicing.issue_invoice")]) as lab:
        status = await lab.run(order, "saga")

    assert status.state is OrderState.CANCELLED
    assert not {"shipment.cancelled", "credit_note.issued"} & set(lab.effects(order, "saga"))


@pytest.mark.parametrize("broken", ["marketing.thank_customer", "analytics.record_sale"])
async def test_a_step_that_is_not_critical_is_parked_and_finishes_on_redrive(
    labs: Labs, order: Order, broken: str
) -> None:
    service = broken.split(".", maxsplit=1)[0]
    async with labs(fakes=[failing(broken, times=1)]) as lab:
        parked = await lab.run(order, "saga")
        run = lab.client.get_workflow_handle_for(OrderSaga.run, parked.workflow_id)
        listed = (await run.describe()).raw_description.workflow_execution_info.search_attributes.indexed_fields
        await run.signal(OrderSaga.redrive, service)
        outcome = await run.result()

    assert parked.state is OrderState.PARKED
    assert "broken for the test" in (parked.detail or "")
    assert service.encode() in listed["Parked"].data
    assert outcome.state is OrderState.COMPLETED
    assert {"shipment.created", "invoice.issued"} <= set(lab.effects(order, "saga"))


async def test_redriving_what_is_not_parked_changes_nothing(labs: Labs, order: Order) -> None:
    async with labs(fakes=[failing("analytics.record_sale", times=1)]) as lab:
        parked = await lab.run(order, "saga")
        run = lab.client.get_workflow_handle_for(OrderSaga.run, parked.workflow_id)
        await run.signal(OrderSaga.redrive, "shipping")
        still = await run.query(OrderSaga.progress)
        await run.signal(OrderSaga.redrive, "analytics")
        await run.result()

    assert still.state is OrderState.PARKED
    assert lab.effects(order, "saga").count("shipment.created") == 1


async def test_a_compensation_that_gives_up_asks_for_attention_and_keeps_no_other_from_its_work(
    labs: Labs, order: Order
) -> None:
    fakes = [failing("shipping.begin_fulfilment"), failing("analytics.reverse_sale")]
    async with labs(fakes=fakes) as lab:
        status = await lab.run(order, "saga")

    assert status.state is OrderState.ATTENTION
    assert "analytics.reverse_sale" in (status.detail or "")
    undone = [effect for effect in lab.effects(order, "saga") if effect not in FORWARD]
    assert undone == ["cancellation.sent", "campaign.rejoined", "credit_note.issued"]


async def test_a_saga_cancelled_from_outside_compensates_and_closes_as_cancelled(labs: Labs, order: Order) -> None:
    # given an order that can't go on, as invoicing is away
    async with labs(absent=["invoicing"]) as lab:
        await lab.placer.place(order, "saga")
        run = lab.client.get_workflow_handle_for(OrderSaga.run, workflow_id("saga", order.order_id))
        await until(lambda: {"shipment.created", "campaign.left"} <= set(lab.effects(order, "saga")))
        # when it is cancelled in the UI, and invoicing comes back
        await run.cancel()
        async with hosting(lab.client, ["invoicing"], lab.settings, lab.name):
            with pytest.raises(WorkflowFailureError):
                await run.result()
        closed = (await run.describe()).status
        status = await status_of(lab.client, "saga", order.order_id)

    assert closed is WorkflowExecutionStatus.CANCELED
    assert status is not None
    assert status.state is OrderState.CANCELLED
    undone = {"shipment.cancelled", "sale.reversed", "cancellation.sent", "campaign.rejoined"}
    effects = set(lab.effects(order, "saga"))
    assert undone <= effects
    # invoicing may have come back in time to issue the invoice, but then it has taken it back
    assert ("invoice.issued" in effects) == ("credit_note.issued" in effects)


async def test_a_step_under_way_at_a_cancellation_is_awaited_and_undone(labs: Labs, order: Order) -> None:
    sending = holding("marketing.thank_customer")
    async with labs(fakes=[sending]) as lab:
        await lab.placer.place(order, "saga")
        run = lab.client.get_workflow_handle_for(OrderSaga.run, workflow_id("saga", order.order_id))
        await until(lambda: sending.begun.is_set() and "sale.recorded" in lab.effects(order, "saga"))
        await run.cancel()
        sending.released.set()
        with pytest.raises(WorkflowFailureError):
            await run.result()

    effects = lab.effects(order, "saga")
    assert sorted(effect for effect in effects if effect in FORWARD) == FORWARD
    assert len(effects) == 2 * len(FORWARD)
    assert effects.index("confirmation.sent") < effects.index("cancellation.sent")


async def test_a_cancellation_while_it_compensates_keeps_no_compensation_from_its_work(
    labs: Labs, order: Order
) -> None:
    telling = holding("marketing.tell_customer")
    async with labs(fakes=[failing("invoicing.issue_invoice"), telling]) as lab:
        await lab.placer.place(order, "saga")
        run = lab.client.get_workflow_handle_for(OrderSaga.run, workflow_id("saga", order.order_id))
        await until(telling.begun.is_set)
        await run.cancel()
        telling.released.set()
        outcome = await run.result()

    assert outcome.state is OrderState.CANCELLED
    undone = ["cancellation.sent", "campaign.rejoined", "sale.reversed", "shipment.cancelled"]
    assert [effect for effect in lab.effects(order, "saga") if effect not in FORWARD] == undone


async def test_a_cancellation_while_a_parked_step_is_redriven_undoes_all_of_it(labs: Labs, order: Order) -> None:
    thanking = holding("marketing.thank_customer", failing_first=1)
    async with labs(fakes=[thanking]) as lab:
        parked = await lab.run(order, "saga")
        run = lab.client.get_workflow_handle_for(OrderSaga.run, parked.workflow_id)
        await run.signal(OrderSaga.redrive, "marketing")
        await until(thanking.begun.is_set)
        await run.cancel()
        thanking.released.set()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        status = await status_of(lab.client, "saga", order.order_id)

    assert parked.state is OrderState.PARKED
    assert status is not None
    assert status.state is OrderState.CANCELLED
    assert len(lab.effects(order, "saga")) == 2 * len(FORWARD)


async def test_a_cancelled_order_of_which_something_is_left_asks_for_attention(labs: Labs, order: Order) -> None:
    thanking = holding("marketing.thank_customer")
    async with labs(fakes=[thanking, failing("analytics.reverse_sale")]) as lab:
        await lab.placer.place(order, "saga")
        run = lab.client.get_workflow_handle_for(OrderSaga.run, workflow_id("saga", order.order_id))
        await until(lambda: thanking.begun.is_set() and "sale.recorded" in lab.effects(order, "saga"))
        await run.cancel()
        thanking.released.set()
        state, detail = await end_of(lab.client, Placed("saga", order.order_id, known=False), look_every_s=0.1)

    assert state is OrderState.ATTENTION
    assert "analytics.reverse_sale" in (detail or "")


async def test_a_compensation_that_gave_up_is_redriven_and_then_nothing_is_left_of_the_order(
    labs: Labs, order: Order
) -> None:
    fakes = [failing("invoicing.issue_invoice"), failing("shipping.cancel_shipment", times=1)]
    async with labs(fakes=fakes) as lab:
        attention = await lab.run(order, "saga")
        run = lab.client.get_workflow_handle_for(OrderSaga.run, attention.workflow_id)
        await run.signal(OrderSaga.redrive, "shipping")
        outcome = await run.result()

    assert attention.state is OrderState.ATTENTION
    assert outcome.state is OrderState.CANCELLED
    assert "shipment.cancelled" in lab.effects(order, "saga")


async def test_a_workflow_replayed_from_the_start_at_each_task_ends_the_same(labs: Labs, order: Order) -> None:
    async with labs(cached=0) as lab:
        status = await lab.run(order, "saga")

    assert status.state is OrderState.COMPLETED
    assert sorted(lab.effects(order, "saga")) == FORWARD
