"""How an order stands, asked the same way in both styles."""

import asyncio
from datetime import datetime

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError, RPCStatusCode

from events.bus import LOG
from events.log import DeliveryState, EventLog, OrderState, counting, order_state
from events.reading import OPEN, QUERY_TIMEOUT
from lab.placing import Placed
from lab.runs import is_at_work, workflow_id
from orders.model import STYLES, Style
from runtime.search import ORDER_ID, ORDER_STYLE
from workflows.order_saga import OrderSaga
from workflows.outcome import SagaOutcome

_left_alone: set[asyncio.Future[tuple[OrderState | None, str | None]]] = set()
"""Calls that wait for the end of a run, though nobody is interested in it any more.

They are not cancelled. The development server's SQLite has one connection, and a call that is cancelled while the
server reads for it interrupts that connection, by which the server can lose its database for good ("interrupted (9)",
see docs/decisions). Just when an order has been parked, it reads.
"""


def _forget(call: asyncio.Future[tuple[OrderState | None, str | None]]) -> None:
    _left_alone.discard(call)
    if not call.cancelled():
        call.exception()  # looked at, so that asyncio does not complain


class OrderStatus(BaseModel):
    """How an order stands in one style."""

    order_id: str
    style: Style
    state: OrderState | None
    """None where its workflow ended outside any legal state."""
    detail: str | None
    """Why it was cancelled or parked, or what is wrong."""
    workflow_id: str
    run_id: str | None
    started: datetime | None


async def status_of(client: Client, style: Style, order_id: str) -> OrderStatus | None:
    """How an order stands in a style; None where it was not placed in it.

    It is answered at once: of the run that is the latest when it is asked, also where another one follows meanwhile.
    """
    try:
        found = await client.get_workflow_handle(workflow_id(style, order_id)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    if found.status in OPEN:
        state, detail = await _state_of_open_run(client, style, order_id)
        detail = detail or _what_it_waits_for(found)
    else:
        state, detail = await _state_at_the_end(client, style, order_id, run_id=found.run_id)
    return OrderStatus(
        order_id=order_id,
        style=style,
        state=state,
        detail=detail,
        workflow_id=found.id,
        run_id=found.run_id,
        started=found.start_time,
    )


async def end_of(client: Client, placed: Placed, *, look_every_s: float = 1) -> tuple[OrderState | None, str | None]:
    """Wait until an order has come to one of its end states; answers that and the reason.

    Its workflow may stay open then, for the redrive of what is parked.

    Args:
        client: of the server where it runs.
        placed: the order.
        look_every_s: how often an open run is asked how it stands; the end of the run is learned at once.
    """
    closed = asyncio.ensure_future(_state_at_the_end(client, placed.style, placed.order_id))
    while True:
        if (await asyncio.wait({closed}, timeout=look_every_s))[0]:
            return closed.result()
        state, detail = await _state_of_open_run(client, placed.style, placed.order_id)
        if state is not OrderState.RUNNING:
            _left_alone.add(closed)
            closed.add_done_callback(_forget)
            return state, detail


async def recent(client: Client, lab: str, limit: int) -> list[OrderStatus]:
    """The orders placed last, newest first.

    Args:
        client: of the server to ask.
        lab: only its orders, as others may use the same server.
        limit: at most so many, an order counted once in each style.
    """
    query = " OR ".join(f"{ORDER_STYLE.name} = '{style}'" for style in STYLES)
    started: dict[tuple[Style, str], datetime] = {}
    # All are looked at: the server lists the open runs first, and then by when the others have closed.
    async for run in client.list_workflows(query):
        order_id = run.typed_search_attributes.get(ORDER_ID)
        if order_id is not None and await run.memo_value("lab", default="") == lab:
            order: tuple[Style, str] = ("saga" if run.id.startswith("saga/") else "choreography", order_id)
            started[order] = max(run.start_time, started.get(order, run.start_time))
    newest = sorted(started, key=started.__getitem__, reverse=True)[:limit]
    found = await asyncio.gather(*(status_of(client, style, order_id) for style, order_id in newest))
    return [status for status in found if status is not None]


async def _state_at_the_end(
    client: Client, style: Style, order_id: str, run_id: str | None = None
) -> tuple[OrderState | None, str | None]:
    """How an order stands when its run has closed, and whatever that continues as; it is waited for.

    Args:
        client: of the server.
        style: of the order.
        order_id: of the order.
        run_id: the run, if not the latest; one that has closed is not waited for.
    """
    name = workflow_id(style, order_id)
    try:
        if style == "saga":
            return _of_saga(await client.get_workflow_handle_for(OrderSaga.run, name, run_id=run_id).result())
        log: EventLog = await client.get_workflow_handle(name, run_id=run_id, result_type=EventLog).result()
        return _of_log(log)
    except WorkflowFailureError as error:
        if isinstance(error.cause, CancelledError) and style == "saga":
            return OrderState.CANCELLED, "the workflow was cancelled"
        return None, f"the workflow did not end as an order can: {error.cause}; {mended_by(order_id)}"


def mended_by(order_id: str) -> str:
    """What a person can do about an order that was left half done."""
    return f"`orderlab repair {order_id}` finishes it"


async def _state_of_open_run(client: Client, style: Style, order_id: str) -> tuple[OrderState | None, str | None]:
    run = client.get_workflow_handle(workflow_id(style, order_id))
    try:
        found = await run.describe()
        if found.status in OPEN and is_at_work(found):
            return OrderState.RUNNING, None
        if style == "saga":
            return _of_saga(await run.query(OrderSaga.progress, rpc_timeout=QUERY_TIMEOUT))
        return _of_log(await run.query(LOG, result_type=EventLog, rpc_timeout=QUERY_TIMEOUT))
    except (RPCError, WorkflowQueryFailedError) as error:
        return OrderState.RUNNING, f"no worker answers: {error.message}"


def _what_it_waits_for(run: WorkflowExecutionDescription) -> str | None:
    """What an open run waits for: work that has failed before, and why it did, and work that nobody has taken yet."""
    told = []
    for work in run.raw_description.pending_activities:
        if work.attempt > 1:
            told.append(f"{work.activity_type.name} failed {work.attempt - 1} times: {work.last_failure.message}")
        elif not work.HasField("last_started_time"):
            told.append(f"{work.activity_type.name} waits for a worker")
    return "; ".join(told) or None


def _of_saga(outcome: SagaOutcome) -> tuple[OrderState, str | None]:
    reasons = [f"{given_up.activity}: {given_up.reason}" for given_up in outcome.given_up]
    return outcome.state, "; ".join(([outcome.reason] if outcome.reason else []) + reasons) or None


def _of_log(log: EventLog) -> tuple[OrderState, str | None]:
    answers = [
        f"{entry.reason} (by hand of {entry.by_hand})" if entry.by_hand else entry.reason
        for entry in counting(log.entries)
        if (entry.type in {"order.cancelled", "cancellation.refused"} or entry.by_hand) and entry.reason
    ]
    reasons = answers + [
        f"{delivery.handler}: {delivery.reason}"
        for state in (DeliveryState.FAILED, DeliveryState.PARKED)
        for delivery in log.deliveries(state)
    ]
    if not reasons:  # cancelled in a log that Temporal has forgotten: those who were asked again say so
        reasons = [delivery.reason for delivery in log.deliveries(DeliveryState.SUPERSEDED) if delivery.reason][:1]
    return order_state(log), "; ".join(reasons) or None
