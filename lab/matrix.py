"""The fault matrix: every kind of fault, on every effect and its undoing, in both styles, each with its own order.

The orders are real and go through real services; the rule, the comparison of the styles and the auditor judge them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import BaseModel
from temporalio.client import Client, WorkflowExecutionStatus

from events.log import OrderState
from faults.dice import Dice
from lab.audit import AuditReport, audit
from lab.effects import all_effects
from lab.histories import costs_of
from lab.matrix_rule import CASES, UNDOING, Case, Cell, complaints
from lab.parity import Parity, compare_styles
from lab.placing import Placed, Placer
from lab.runs import workflow_id
from lab.status import end_of
from orders.loader import OrderBook, campaign_audience
from orders.model import STYLES, Order, Style
from runtime.search import PARKED
from runtime.settings import Settings
from server.session import Session

_AT_ONCE = 8
_LOOK_EVERY_S = 0.2
_PATIENCE_S = 60
"""An order that has not ended by then is told as it stands."""

_SEED = 7
"""Decides which orders; a matrix leaves nothing else to chance."""


class Matrix(BaseModel):
    """All cells, and what was found by looking at them together."""

    cells: list[Cell]
    """Case by case, both styles of a case beside each other and about the same order."""
    parity: Parity
    audit: AuditReport
    """Guarantees 1, 2 and 4 over the orders of the matrix, down to the rows of each service and the mails."""

    @property
    def broken(self) -> list[str]:
        """Why the run is not a pass, each in one line; nothing where it is one."""
        told = [
            f"{cell.effect} {cell.fault} {cell.when}, {cell.style}/{cell.order_id}: {'; '.join(cell.wrong)}"
            for cell in self.cells
            if cell.wrong
        ]
        ids = {cell.order_id for cell in self.cells}
        return [*told, *(f"the books: {found.what}" for found in self.audit.violations if found.order_id not in ids)]


async def run_matrix(
    session: Session,
    settings: Settings,
    book: OrderBook,
    on_cell: Callable[[Cell], None],
    cases: Sequence[Case] = CASES,
) -> Matrix:
    """Run the cases in both styles and judge what came of them.

    Args:
        session: the Temporal server; workers must be at work.
        settings: where the services' databases are.
        book: orders to draw from; those of the campaign's customers are taken, as all effects apply to them.
        on_cell: is told of each cell when it has ended, before the styles are compared and the auditor comes.
        cases: which.
    """
    audience = campaign_audience(book.orders)
    members = replace(book, orders=tuple(order for order in book.orders if order.customer_id in audience))
    label = datetime.now(UTC).strftime("m%m%d-%H%M%S")
    orders = members.take(len(cases), _SEED, label)
    runner = _Runner(session, settings, label, on_cell, asyncio.Semaphore(_AT_ONCE))
    cells = await asyncio.gather(
        *(runner.run(case, order, style) for case, order in zip(cases, orders, strict=True) for style in STYLES)
    )
    ids = {order.order_id for order in orders}
    effects = await asyncio.to_thread(all_effects, settings)
    parity = compare_styles(ids, (record for record in effects if record.order_id in ids))
    audited = await audit(session.client, settings, session.lab, order_ids=ids, parity=False)
    return Matrix(
        cells=[_with_what_else_is_wrong(cell, parity, audited) for cell in cells], parity=parity, audit=audited
    )


@dataclass(frozen=True)
class _Runner:
    """Runs one cell after the other, some of them at once."""

    session: Session
    settings: Settings
    label: str
    """Ends every order id."""
    on_cell: Callable[[Cell], None]
    gate: asyncio.Semaphore

    async def run(self, case: Case, order: Order, style: Style) -> Cell:
        """Place an order that meets the fault, wait for its end, and look at what is there then."""
        async with self.gate:
            client = self.session.client
            dice = Dice(plan=case.plan, seed=_SEED, label=f".{self.label}")
            called = datetime.now(UTC)  # the clock that the effects are stamped by
            state, detail = await _end(client, await Placer(client, self.session.lab, dice).place(order, style))
            found = await asyncio.to_thread(all_effects, self.settings, order.order_id)
            records = [record for record in found if record.style == style]
            befallen = [record.at - called for record in records if record.effect == case.effect]
            (cost,) = await costs_of(client, [workflow_id(style, order.order_id)])
            cell = Cell(
                **case.model_dump(),
                style=style,
                order_id=order.order_id,
                state=state,
                detail=detail,
                effects=tuple(record.effect for record in records if record.effect not in UNDOING),
                compensations=tuple(record.effect for record in records if record.effect in UNDOING),
                effect_after_ms=round(befallen[0].total_seconds() * 1e3) if befallen else None,
                retries=cost.retries,
                parked=await _parked(client, workflow_id(style, order.order_id)),
            )
        cell = cell.model_copy(update={"wrong": complaints(cell)})
        self.on_cell(cell)
        return cell


async def _end(client: Client, placed: Placed) -> tuple[OrderState | None, str | None]:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await end_of(client, placed, look_every_s=_LOOK_EVERY_S)
    except TimeoutError:
        return OrderState.RUNNING, f"it has not ended within {_PATIENCE_S} s"


async def _parked(client: Client, workflow: str) -> tuple[str, ...]:
    """Services with work in the dead-letter queue, asked of the workflow itself: the queue's list follows later."""
    run = await client.get_workflow_handle(workflow).describe()
    is_open = run.status is WorkflowExecutionStatus.RUNNING
    return tuple(run.typed_search_attributes.get(PARKED) or ()) if is_open else ()


def _with_what_else_is_wrong(cell: Cell, parity: Parity, audited: AuditReport) -> Cell:
    differing = [
        f"{difference.service} stands differently in the other style"
        for difference in parity.differences
        if difference.order_id == cell.order_id
    ]
    violations = [
        f"guarantee {found.guarantee}: {found.what}"
        for found in audited.violations
        if found.order_id == cell.order_id and found.style in {None, cell.style}
    ]
    return cell.model_copy(update={"wrong": (*cell.wrong, *differing, *violations)})
