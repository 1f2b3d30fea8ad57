"""Orders that were left half done, by whatever broke their workflow off, and the command that finishes them."""

import asyncio

import pytest

from events.log import OrderState
from faults.dice import Dice
from faults.plan import FaultPlan
from lab.audit import AuditReport, audit
from lab.placing import Placed, Placer
from lab.repair.finding import Finding, Repair, Todo
from lab.repair.repairing import Repairer
from lab.runs import workflow_id
from lab.status import end_of
from orders.model import STYLES, Order, Style
from tests.labs import Lab, until

BOTH = pytest.mark.parametrize("style", STYLES)

STUCK_UNDO = Dice(
    plan=FaultPlan.model_validate(
        {
            "name": "stuck-undo",
            "services": {
                "invoicing": {"invoice.issued": {"permanent": 1.0}},
                "marketing": {"cancellation.sent": {"transient": 1.0, "transient_attempts": 1000}},
            },
        }
    ),
    seed=7,
)
"""Invoicing can't write the invoice, so the order is undone; and marketing can't tell the customer so."""


async def repaired(lab: Lab, order: Order, style: Style) -> tuple[list[Finding], Repair]:
    """Repair an order as the command does; answers what was found on the way, and how it stands then."""
    told: list[Finding] = []

    async def ended(_: Todo) -> None:
        await asyncio.wait_for(end_of(lab.client, Placed(style, order.order_id, known=True), look_every_s=0.1), 30)

    repairer = Repairer(lab.client, lab.name, lab.settings)
    found = await repairer.repair(order.order_id, style, ended=ended, tell=lambda of: told.append(of.finding))
    assert found is not None
    return told, found


async def terminate(lab: Lab, order: Order, style: Style) -> None:
    await lab.client.get_workflow_handle(workflow_id(style, order.order_id)).terminate()


async def audited(lab: Lab, order: Order) -> AuditReport:
    return await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])


@BOTH
async def test_an_order_broken_off_while_it_was_undone_is_undone_to_its_end(
    lab: Lab, order: Order, style: Style
) -> None:
    await Placer(lab.client, lab.name, STUCK_UNDO).place(order, style)
    await until(lambda: "campaign.rejoined" in lab.effects(order, style))
    await terminate(lab, order, style)
    before = await audited(lab, order)

    told, found = await repaired(lab, order, style)

    assert before.violations
    assert [one.todo for one in told] == [Todo.UNDO if style == "saga" else Todo.FINISH]
    assert found.is_whole
    assert found.finding.state is OrderState.CANCELLED
    assert found.finding.stands == []
    assert "invoice.issued" not in lab.effects(order, style)
    assert (await audited(lab, order)).violations == []


@BOTH
async def test_repairing_a_whole_order_changes_nothing(lab: Lab, order: Order, style: Style) -> None:
    await lab.run(order, style)
    before = lab.effects(order, style)
    told, found = await repaired(lab, order, style)

    assert told == []
    assert found.is_whole
    assert lab.effects(order, style) == before
