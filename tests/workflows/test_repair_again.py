"""Orders that are repaired once more, or after a person has reset their run: what counts then, and what does not."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, text
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from events.envelope import Event
from events.log import OrderState
from lab.audit import audit
from lab.cancelling import Canceller
from lab.parity import UNDONE_BY
from lab.placing import Placer
from lab.repair.finding import Todo
from lab.repair.repairing import Repairer
from lab.runs import runs_of, workflow_id
from orders.model import STYLES, Order, Style
from tests.labs import Lab, Labs, ended, failing, forget, holding, left_of, namesake, open_lab, repaired, until
from tests.workflows.test_repair import STUCK_UNDO, TOO_LATE, plan, terminate, todos
from tests.workflows.test_resets import points_of, reset

BOTH = pytest.mark.parametrize("style", STYLES)

NO_CANCELLATION_MAIL = plan({"marketing": {"cancellation.sent": {"transient": 1.0, "transient_attempts": 1000}}})


@BOTH
async def test_a_repair_of_a_forgotten_order_that_was_broken_off_undoes_that_one_and_not_another_under_its_id(
    labs: Labs, order: Order, style: Style
) -> None:
    # given an order of a guest, of whom marketing never hears, and another one under its id, which was refused; that
    # one is half undone, and Temporal has forgotten both
    guest = order.model_copy(update={"customer_id": None})
    async with labs() as before:
        await before.run(guest, style)
        await forget(before.client, guest, style)
        await Placer(before.client, before.name, NO_CANCELLATION_MAIL).place(namesake(order), style)
        await until(lambda: "campaign.rejoined" in before.effects(order, style))
        await terminate(before, order, style)
        await forget(before.client, order, style)
    # when the repair of it is broken off, as marketing is away, and begun again when that is back
    async with open_lab(before.client, before.settings.data, absent=["marketing"]) as lab:
        first = await Repairer(lab.client, lab.name, lab.settings).examine(order.order_id, style)
        assert first is not None
        await first.do()
        await terminate(lab, order, style)
    async with open_lab(before.client, before.settings.data) as lab:
        _, found = await repaired(lab, order, style)
        left = left_of(lab, order, style)

    assert first.finding.todo is Todo.UNDO
    assert found.is_whole
    assert left == {"shipment.created", "invoice.issued", "sale.recorded"}, "they are the guest's"


async def test_what_a_saga_was_about_to_do_when_a_person_reset_it_is_not_done_by_a_repair(
    labs: Labs, order: Order
) -> None:
    # given a saga that invoicing had given up, and that had undone nothing yet when a person reset it; what came of
    # that is broken off on its way
    thanking = holding("marketing.thank_customer")
    async with labs(fakes=[failing("invoicing.issue_invoice", times=1), thanking]) as lab:
        await lab.placer.place(order, "saga")
        await until(thanking.begun.is_set)
        name = workflow_id("saga", order.order_id)
        await until_given_up(lab, name)
        [run_id] = await runs_of(lab.client, name)
        await reset(lab.client, name, run_id, (await points_of(lab.client, name, run_id))[0])
        await until(lambda: "invoice.issued" in lab.effects(order, "saga"))
        await terminate(lab, order, "saga")
        thanking.released.set()
        # when it is repaired
        told, found = await repaired(lab, order, "saga")
        report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])

    assert todos(told) == [Todo.FINISH]
    assert found.finding.state is OrderState.COMPLETED
    assert left_of(lab, order, "saga") == set(UNDONE_BY)
    assert report.violations == []


async def test_who_stops_the_workflow_that_asks_shipping_cancels_no_order_whose_parcel_is_on_its_way(
    labs: Labs, order: Order
) -> None:
    # given a completed order whose parcel has been handed over; while shipping is asked whether the customer can still
    # cancel it, a person asks Temporal to cancel that workflow, and then terminates it
    asking = holding("shipping.decide_cancellation")
    async with labs(fakes=[asking]) as lab:
        await Placer(lab.client, lab.name, TOO_LATE).place(order, "saga")
        await ended(lab, order, "saga")
        wish = asyncio.create_task(Canceller(lab.client, lab.name).cancel(order.order_id, "saga"))
        await until(asking.begun.is_set)
        run = lab.client.get_workflow_handle(workflow_id("saga", order.order_id))
        await run.cancel()
        await run.terminate()
        asking.released.set()
        await asyncio.wait([wish])
        # when it is repaired
        await repaired(lab, order, "saga")
        after = await ended(lab, order, "saga")
        report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])

    assert after.state is OrderState.COMPLETED
    assert left_of(lab, order, "saga") == set(UNDONE_BY)
    assert report.violations == []


async def test_what_a_bus_was_told_when_a_person_reset_it_before_that_cancels_no_order_that_was_completed_since(
    labs: Labs, order: Order
) -> None:
    # given a bus that was told that invoicing had given up, and nobody had undone anything yet when a person reset it
    services = ("shipping", "invoicing", "marketing", "analytics")
    away = [failing(f"{service}.on_order_cancelled", times=1) for service in services]
    async with labs(fakes=[failing("invoicing.on_order_placed", times=1), *away]) as lab:
        before = await lab.run(order, "choreography")
        name = workflow_id("choreography", order.order_id)
        [run_id] = await runs_of(lab.client, name)
        await reset(lab.client, name, run_id, (await points_of(lab.client, name, run_id))[0])
        after = await ended(lab, order, "choreography")
        # when it is audited, and repaired
        report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])
        told, found = await repaired(lab, order, "choreography")

    assert before.state is OrderState.ATTENTION
    assert after.state is OrderState.COMPLETED
    assert report.violations == []
    assert todos(told) == []
    assert found.finding.state is OrderState.COMPLETED
    assert left_of(lab, order, "choreography") == set(UNDONE_BY)


async def until_given_up(lab: Lab, name: str) -> None:
    """Wait until the run has been told that invoicing gave up."""
    run = lab.client.get_workflow_handle(name)
    async with asyncio.timeout(10):
        while "invoic" in str((await run.describe()).raw_description.pending_activities):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_bus_whose_earlier_run_was_deleted_is_told_by_a_second_repair_what_it_has_not_heard(
    lab: Lab, order: Order
) -> None:
    # given a forgotten order that was repaired, of whose runs the server has deleted the one in which it was
    style: Style = "choreography"
    await Placer(lab.client, lab.name, STUCK_UNDO).place(order, style)
    await until(lambda: "campaign.rejoined" in lab.effects(order, style))
    await terminate(lab, order, style)
    await forget(lab.client, order, style)
    first, _ = await repaired(lab, order, style)
    name = workflow_id(style, order.order_id)
    [repaired_in] = await runs_of(lab.client, name)
    ticket = Event(id="t-1", source="/desk", type="ticket.created", subject=order.order_id, time=datetime.now(UTC))
    await lab.placer.publish(ticket)
    await ended(lab, order, style)
    await lab.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=lab.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=name, run_id=repaired_in),
        ),
        retry=True,
    )
    async with asyncio.timeout(60):
        while repaired_in in await runs_of(lab.client, name):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
    # when something is found to stand once more
    engine = create_engine(lab.settings.database_url("shipping"))
    with engine.begin() as db:
        key = f"{style}/{order.order_id}/shipping/shipment.cancelled"
        db.execute(text("DELETE FROM effects WHERE idempotency_key = :key"), {"key": key})
    engine.dispose()
    second, found = await repaired(lab, order, style)

    assert todos(first) == todos(second) == [Todo.UNDO]
    assert found.is_whole
    assert left_of(lab, order, style) == set()
