"""What the histories of an order's saga tell: the order, and how far it had come when its workflow was broken off."""

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType as Kind
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from lab.runs import runs_of, were_reset, workflow_id
from orders.cancelling import CancelRequest, LateOrder
from orders.model import Placement
from orders.repairing import RepairRequest
from runtime.errors import OrderIdTakenError
from services.analytics import REVERSE_SALE
from services.invoicing import ISSUE_CREDIT_NOTE, ISSUE_INVOICE
from services.marketing import TELL_CUSTOMER
from services.service import Cancellation
from services.shipping import BEGIN_FULFILMENT, CANCEL_SHIPMENT
from workflows.conversation import WISH
from workflows.order_cancellation import OrderCancellation
from workflows.order_repair import OrderRepair
from workflows.order_saga import OrderSaga

_UNDOING = {CANCEL_SHIPMENT.activity, ISSUE_CREDIT_NOTE.activity, TELL_CUSTOMER.activity, REVERSE_SALE.activity}
_CRITICAL = {BEGIN_FULFILMENT.activity, ISSUE_INVOICE.activity}

Told = TypeVar("Told", bound=BaseModel)


@dataclass
class SagaPast:
    """All that the runs of an order's saga tell together."""

    placement: Placement | None = None
    """The order as it was placed last; None where it never was, or that has been forgotten."""
    placed_us: int | None = None
    """When: microseconds since 1970."""
    wish: CancelRequest | None = None
    """What the customer has asked for last."""
    is_off: bool = False
    """Whether it was being undone, or had to be: a critical service had given up, or a person had stopped it."""
    reason: str | None = None
    """Why it was being undone, where that had begun."""
    refused: bool = False
    """Whether a service had refused it, as the id is another order's."""
    repair: RepairRequest | None = None
    """What was to be undone, where a repair has begun that since the saga ran."""

    @property
    def content(self) -> str | None:
        """Fingerprint of the order; None where nobody knows which it is."""
        if self.repair is not None:
            return self.repair.content
        return None if self.placement is None else self.placement.order.fingerprint


async def saga_past(client: Client, order_id: str) -> SagaPast:
    """Read the histories of all runs, as far as the server has them.

    A person who resets a run takes back what it did after that point, as far as that was but intended: what was done at
    the services stands in their databases. What it did before is in the history of the run that came of it, too.

    Args:
        client: of the server where they ran.
        order_id: of an order that was placed or cancelled.
    """
    past = SagaPast()
    name = workflow_id("saga", order_id)
    histories: dict[str, WorkflowHistory] = {}
    for run_id in await runs_of(client, name):
        try:
            histories[run_id] = await client.get_workflow_handle(name, run_id=run_id).fetch_history()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # deleted since it was listed
                raise
    taken_back = were_reset({run_id: _original(history) for run_id, history in histories.items()})
    for run_id, history in histories.items():
        reader = _Reader(client, past, was_reset=run_id in taken_back)
        for event in history.events:
            await reader.read(event)
    return past


def _original(history: WorkflowHistory) -> str:
    return history.events[0].workflow_execution_started_event_attributes.original_execution_run_id


class _Reader:
    """Puts what the history of one run tells into the past of its order."""

    def __init__(self, client: Client, past: SagaPast, *, was_reset: bool) -> None:
        self._client = client
        self._past = past
        self._was_reset = was_reset
        self._is_saga = False
        """A workflow that only asks shipping for a decision takes no cancellation of its own for a reason."""
        self._work: dict[int, str] = {}
        """Activity types, by the events that scheduled them."""

    async def read(self, event: HistoryEvent) -> None:
        """Take the next event of the history."""
        started = event.workflow_execution_started_event_attributes
        signalled = event.workflow_execution_signaled_event_attributes
        scheduled = event.activity_task_scheduled_event_attributes
        if started.workflow_type.name:
            await self._begin(event)
        elif signalled.signal_name == "placed":
            late = await self._decoded(signalled.input, LateOrder)
            self._place(late.placement, event)
        elif signalled.signal_name == WISH:
            self._past.wish = await self._decoded(signalled.input, CancelRequest)
        elif event.event_type == Kind.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED and self._is_saga:
            self._call_off()
        elif scheduled.activity_type.name:
            self._work[event.event_id] = scheduled.activity_type.name
            if scheduled.activity_type.name in _UNDOING:
                self._call_off(reason=(await self._decoded(scheduled.input, Cancellation)).reason)
        else:
            self._end(event)

    async def _begin(self, event: HistoryEvent) -> None:
        started = event.workflow_execution_started_event_attributes
        self._is_saga = started.workflow_type.name == OrderSaga.__name__
        if self._is_saga:
            self._past.repair = None
            self._place(await self._decoded(started.input, Placement), event)
        elif started.workflow_type.name == OrderCancellation.__name__:
            self._past.wish = await self._decoded(started.input, CancelRequest)
        elif started.workflow_type.name == OrderRepair.__name__:
            self._past.repair = await self._decoded(started.input, RepairRequest)
            self._call_off(reason=self._past.repair.reason)

    def _call_off(self, *, reason: str | None = None, refused: bool = False) -> None:
        """From here on the order was being undone, or had to be."""
        if not self._was_reset:
            self._past.is_off = True
            self._past.refused |= refused
            self._past.reason = reason or self._past.reason

    def _place(self, placement: Placement, event: HistoryEvent) -> None:
        if self._past.placement is None or self._past.placement.order != placement.order:
            self._past.placed_us = event.event_time.ToMicroseconds()
        self._past.placement = placement

    def _end(self, event: HistoryEvent) -> None:
        """A piece of work has come to its end without success."""
        failed, late = event.activity_task_failed_event_attributes, event.activity_task_timed_out_event_attributes
        work = self._work.get(failed.scheduled_event_id or late.scheduled_event_id)
        if work is None:
            return
        refused = failed.failure.application_failure_info.type == OrderIdTakenError.__name__
        if refused or work in _CRITICAL:
            self._call_off(refused=refused)

    async def _decoded(self, payloads: Payloads, model: type[Told]) -> Told:
        values: list[Any] = await self._client.data_converter.decode(payloads.payloads, [model])
        return model.model_validate(values[0])
