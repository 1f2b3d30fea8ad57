"""The dead-letter queue of a lab: what was given up for now in either style, and how to try it again."""

import asyncio
from enum import StrEnum

from pydantic import BaseModel, TypeAdapter
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from events.bus import REDRIVE, bus_id
from events.log import DeliveryState, OrderState
from events.parked import MEMO, ParkedDelivery
from events.reading import log_of
from lab.runs import is_at_work
from runtime.errors import InputError
from runtime.search import ORDER_ID, PARKED
from workflows.order_saga import OrderSaga

_LOOK_EVERY_S = 0.1
_ENTRIES = TypeAdapter(list[ParkedDelivery])


class DeadLetter(BaseModel):
    """A parked delivery, and where it is."""

    id: str
    """Names it among all that is parked: `saga/536365>marketing`."""
    workflow_id: str
    run_id: str
    order_id: str | None
    """None where it is not about an order."""
    delivery: ParkedDelivery


class Outcome(StrEnum):
    """What became of a redrive."""

    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    """The order was cancelled meanwhile, so there was nothing to do any more."""
    PARKED = "parked again"
    UNDER_WAY = "under way"
    """It is still being tried."""


class Redriven(BaseModel):
    """A redrive, and what became of it."""

    id: str
    outcome: Outcome


async def parked(client: Client, lab: str) -> list[DeadLetter]:
    """All that is parked in a lab, the oldest order first; one query, however many orders there are.

    Args:
        client: of the Temporal server.
        lab: only what this lab parked.
    """
    found: list[DeadLetter] = []
    async for run in client.list_workflows(f"{PARKED.name} IS NOT NULL AND ExecutionStatus = 'Running'"):
        if (await run.memo()).get("lab", "") == lab:
            found += await parked_in(run)
    return found[::-1]


async def parked_in(run: WorkflowExecution) -> list[DeadLetter]:
    """What is parked in one open run."""
    return [
        DeadLetter(
            id=f"{run.id}>{entry.id}",
            workflow_id=run.id,
            run_id=run.run_id,
            order_id=run.typed_search_attributes.get(ORDER_ID),
            delivery=entry,
        )
        for entry in _ENTRIES.validate_python((await run.memo()).get(MEMO) or [])
    ]


def chosen(letters: list[DeadLetter], wanted: str | None) -> list[DeadLetter]:
    """Those to redrive: the one of this id, or all for None.

    Raises:
        InputError: nothing parked has this id.
    """
    if wanted is None:
        return letters
    found = [letter for letter in letters if letter.id == wanted]
    if not found:
        raise InputError(f"nothing is parked under {wanted!r}; `orderlab parked` lists what is")
    return found


async def redrive(client: Client, letter: DeadLetter, wait_s: float) -> Redriven:
    """Hand a parked delivery over once more, and tell what became of it.

    What succeeded before is not touched, and what was compensated meanwhile is refused by the service itself.

    Args:
        client: of the Temporal server; the workflow's worker must be at work.
        letter: what to redrive.
        wait_s: how long to wait for the outcome.
    """
    ask = _ask_saga if letter.workflow_id.startswith("saga/") else _ask_bus
    before, _ = await ask(client, letter)
    try:
        await client.get_workflow_handle(letter.workflow_id).signal(REDRIVE, letter.delivery.id)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # it has closed since it was listed
            raise
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while loop.time() < deadline:
        if not await _is_at_work(client, letter):
            redrives, outcome = await ask(client, letter)
            if redrives > before or outcome is not Outcome.PARKED:
                return Redriven(id=letter.id, outcome=outcome)
        await asyncio.sleep(_LOOK_EVERY_S)
    return Redriven(id=letter.id, outcome=Outcome.UNDER_WAY)


async def _is_at_work(client: Client, letter: DeadLetter) -> bool:
    run = await client.get_workflow_handle(letter.workflow_id).describe()
    return run.status is WorkflowExecutionStatus.RUNNING and is_at_work(run)


async def _ask_bus(client: Client, letter: DeadLetter) -> tuple[int, Outcome]:
    """How often the delivery has been redriven, and how it stands."""
    log = await log_of(client, letter.workflow_id.removeprefix(bus_id("")))
    for entry in log.entries if log else []:
        for record in entry.deliveries:
            if letter.delivery.id in {f"{entry.name}>{record.handler}", f"{entry.id}>{record.handler}"}:
                outcome = {
                    DeliveryState.PARKED: Outcome.PARKED,
                    DeliveryState.PENDING: Outcome.PARKED,  # not known yet
                    DeliveryState.SUPERSEDED: Outcome.SUPERSEDED,
                }.get(record.state, Outcome.DELIVERED)
                return record.redrives, outcome
    return 0, Outcome.SUPERSEDED


async def _ask_saga(client: Client, letter: DeadLetter) -> tuple[int, Outcome]:
    """How often the step has been redriven, and how it stands."""
    run = client.get_workflow_handle_for(OrderSaga.run, letter.workflow_id)
    progress = await run.query(OrderSaga.progress)
    redrives = progress.redriven.count(letter.delivery.service)
    if letter.delivery.work in {*progress.done, *progress.compensated}:
        return redrives, Outcome.DELIVERED
    if progress.state in {OrderState.PARKED, OrderState.ATTENTION, OrderState.RUNNING}:
        return redrives, Outcome.PARKED
    return redrives, Outcome.SUPERSEDED
