"""Runs that a person resets, to any point: what was undone stays undone, and what was accepted is not lost for good."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from activities.analytics import AnalyticsActivities
from activities.reacting import Reporter
from events.envelope import Event
from events.log import OrderState
from events.reading import whole_log_of
from lab.audit import AuditReport, audit
from lab.cancelling import Canceller
from lab.parity import UNDONE_BY
from lab.repair.finding import Todo
from lab.runs import runs_of, workflow_id
from orders.model import STYLES, Order, Style
from services.order_placed import registry
from services.service import Cancellation
from stores.analytics import METADATA
from stores.ledger import Ledger
from tests.labs import Lab, Labs, ended, failing, holding, left_of, repaired, until, until_listed

BOTH = pytest.mark.parametrize("style", STYLES)

THANKING = {"saga": "marketing.thank_customer", "choreography": "marketing.on_order_placed"}
INVOICING = {"saga": "invoicing.issue_invoice", "choreography": "invoicing.on_order_placed"}


async def points_of(client: Client, name: str, run_id: str) -> list[int]:
    """Where a person can reset a run to: ends of its workflow tasks; the first two, one in the middle, the last."""
    history = await client.get_workflow_handle(name, run_id=run_id).fetch_history()
    ends = [e.event_id for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    return sorted({*ends[:2], ends[len(ends) // 2], ends[-1]})


async def reset(client: Client, name: str, run_id: str, point: int) -> None:
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=name, run_id=run_id),
            workflow_task_finish_event_id=point,
            reason="a person's wish",
            request_id=uuid4().hex,
        )
    )


async def audited(lab: Lab, order: Order, *styles: Style) -> AuditReport:
    for style in styles:
        await until_listed(lab.client, workflow_id(style, order.order_id))
    return await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])


async def cancelled_on_its_way(lab: Lab, order: Order, style: Style, thanking: holding) -> None:
    await lab.placer.place(order, style)
    await until(lambda: thanking.begun.is_set() and "sale.recorded" in lab.effects(order, style))
    await Canceller(lab.client, lab.name).cancel(order.order_id, style)
    thanking.released.set()
    await ended(lab, order, style)


async def test_an_order_that_was_cancelled_on_its_way_stays_so_in_both_styles_wherever_its_run_is_reset_to(
    labs: Labs, order: Order
) -> None:
    thanking = {style: holding(THANKING[style]) for style in STYLES}
    async with labs(fakes=[*thanking.values()]) as lab:
        for style in STYLES:
            await cancelled_on_its_way(lab, order, style, thanking[style])
            before = lab.effects(order, style)
            name = workflow_id(style, order.order_id)
            [run_id] = await runs_of(lab.client, name)
            for point in await points_of(lab.client, name, run_id):
                await reset(lab.client, name, run_id, point)
                status = await ended(lab, order, style)

                assert (style, point, status.state) == (style, point, OrderState.CANCELLED)
                assert left_of(lab, order, style) == set()
                _, found = await repaired(lab, order, style)
                assert found.is_whole
                assert found.finding.state is OrderState.CANCELLED
                assert sorted(lab.effects(order, style)) == sorted(before)
                assert (await audited(lab, order, style)).violations == []
        assert (await audited(lab, order, *STYLES)).violations == []


@BOTH
async def test_an_order_that_could_not_be_kept_stays_cancelled_wherever_its_run_is_reset_to(
    labs: Labs, order: Order, style: Style
) -> None:
    async with labs(fakes=[failing(INVOICING[style], times=1)]) as lab:
        await lab.run(order, style)
        name = workflow_id(style, order.order_id)
        [run_id] = await runs_of(lab.client, name)
        for point in await points_of(lab.client, name, run_id):
            await reset(lab.client, name, run_id, point)
            status = await ended(lab, order, style)

            assert (point, status.state) == (point, OrderState.CANCELLED)
            assert left_of(lab, order, style) == set()


@BOTH
async def test_a_completed_order_stays_completed_wherever_its_run_is_reset_to(
    lab: Lab, order: Order, style: Style
) -> None:
    await lab.run(order, style)
    name = workflow_id(style, order.order_id)
    [run_id] = await runs_of(lab.client, name)
    for point in await points_of(lab.client, name, run_id):
        await reset(lab.client, name, run_id, point)
        status = await ended(lab, order, style)

        assert (point, status.state) == (point, OrderState.COMPLETED)
        assert left_of(lab, order, style) == set(UNDONE_BY)
    assert (await audited(lab, order, style)).violations == []


@BOTH
async def test_an_order_cancelled_after_its_end_stays_so_when_the_run_before_is_reset(
    lab: Lab, order: Order, style: Style
) -> None:
    await lab.run(order, style)
    await Canceller(lab.client, lab.name).cancel(order.order_id, style)
    await ended(lab, order, style)
    name = workflow_id(style, order.order_id)
    first, _ = await runs_of(lab.client, name)
    await reset(lab.client, name, first, (await points_of(lab.client, name, first))[0])
    status = await ended(lab, order, style)
    left = left_of(lab, order, style)
    _, found = await repaired(lab, order, style)

    assert status.state is OrderState.CANCELLED
    assert left == set()
    assert found.is_whole
    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()
    assert (await audited(lab, order, style)).violations == []


async def test_an_event_lost_as_a_run_was_reset_that_was_not_the_latest_is_told_by_the_audit_and_recalled_by_a_repair(
    lab: Lab, order: Order
) -> None:
    # given an event about an order that has ended, so in a run of its own
    await lab.run(order, "choreography")
    ticket = Event(id="t-1", source="/desk", type="ticket.created", subject=order.order_id, time=datetime.now(UTC))
    await lab.placer.publish(ticket)
    await ended(lab, order, "choreography")
    # when the run before that one is reset
    name = workflow_id("choreography", order.order_id)
    first, _ = await runs_of(lab.client, name)
    await reset(lab.client, name, first, (await points_of(lab.client, name, first))[0])
    await ended(lab, order, "choreography")
    lost = await audited(lab, order, "choreography")
    told, found = await repaired(lab, order, "choreography")
    log = await whole_log_of(lab.client, order.order_id)

    assert [f"orderlab repair {order.order_id}" in one.what for one in lost.violations] == [True]
    assert [one.todo for one in told] == [Todo.RECALL]
    assert found.is_whole
    assert log is not None
    assert [entry.id for entry in log.entries].count("t-1") == 1
    assert (await audited(lab, order, "choreography")).violations == []


async def test_a_run_that_goes_on_with_a_log_may_be_reset_and_does_its_work_once_more_without_being_accused(
    lab: Lab, order: Order
) -> None:
    # given a log, and the run in which the order was placed goes on with it
    ticket = Event(id="t-1", source="/desk", type="ticket.created", subject=order.order_id, time=datetime.now(UTC))
    await lab.placer.publish(ticket)
    await ended(lab, order, "choreography")
    await lab.run(order, "choreography")
    # when it is reset, twice
    name = workflow_id("choreography", order.order_id)
    for _ in range(2):
        *_, latest = await runs_of(lab.client, name)
        points = await points_of(lab.client, name, latest)
        await reset(lab.client, name, latest, points[0])
        status = await ended(lab, order, "choreography")

        assert status.state is OrderState.COMPLETED
        assert (await audited(lab, order, "choreography")).violations == []


async def test_a_run_that_followed_a_terminated_one_may_be_reset_and_is_not_accused_of_what_it_finds_done(
    labs: Labs, order: Order
) -> None:
    # given a bus that was terminated while marketing was at the order, and a cancellation that opened the next run
    thanking = holding(THANKING["choreography"])
    async with labs(fakes=[thanking]) as lab:
        await lab.placer.place(order, "choreography")
        await until(lambda: thanking.begun.is_set() and "sale.recorded" in lab.effects(order, "choreography"))
        name = workflow_id("choreography", order.order_id)
        await lab.client.get_workflow_handle(name).terminate("a person's wish")
        thanking.released.set()
        await Canceller(lab.client, lab.name).cancel(order.order_id, "choreography")
        await ended(lab, order, "choreography")
        # when that run is reset, to its beginning and to where it had taken the log over, one after the other
        _, next_run = await runs_of(lab.client, name)
        for point in (await points_of(lab.client, name, next_run))[:2]:
            await reset(lab.client, name, next_run, point)
            await ended(lab, order, "choreography")
        _, found = await repaired(lab, order, "choreography")

        assert found.is_whole
        assert left_of(lab, order, "choreography") == set()
        assert (await audited(lab, order, "choreography")).violations == []


@BOTH
async def test_an_order_reset_when_analytics_alone_had_undone_its_work_is_cancelled_and_never_completed(
    lab: Lab, order: Order, style: Style
) -> None:
    # given a service without which an order could be kept, and which has undone its work
    await lab.run(order, style)
    ledger = Ledger(lab.settings.database_url("analytics"), METADATA)
    desk = AnalyticsActivities(ledger, Reporter("analytics", registry(lab.name)))
    desk.reverse_sale(Cancellation(style=style, order_id=order.order_id, reason="half undone"))
    ledger.engine.dispose()
    # when its run is reset
    name = workflow_id(style, order.order_id)
    [run_id] = await runs_of(lab.client, name)
    await reset(lab.client, name, run_id, (await points_of(lab.client, name, run_id))[0])
    status = await ended(lab, order, style)
    left = left_of(lab, order, style)
    told, found = await repaired(lab, order, style)

    # then the saga undoes the rest by itself; the bus, which nobody has told that the order is off, by a repair
    assert status.state is OrderState.CANCELLED
    assert (left == set()) is (style == "saga")
    assert [one.todo for one in told] == ([] if style == "saga" else [Todo.RECALL, Todo.UNDO])
    assert found.is_whole
    assert found.finding.state is OrderState.CANCELLED
    assert left_of(lab, order, style) == set()
