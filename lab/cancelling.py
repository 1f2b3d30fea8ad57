"""Cancels orders as a customer does, at whatever moment: asks the saga, or publishes `order.cancel_requested`."""

import asyncio
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from events.bus import WORKFLOW_TASK_TIMEOUT
from events.catalogue import CANCELLING
from events.edge import cancel_requested
from events.log import LogEntry, OrderState, counting
from events.reading import facts_of
from events.succession import BROKEN_OFF
from events.transport import EventPublisher
from faults.dice import Dice
from lab.patience import persistently
from lab.runs import DIGEST, is_at_work, latest_run, workflow_id
from orders.cancelling import BY_THE_CUSTOMER, CancelDecision, CancelRequest
from orders.model import Style
from runtime.errors import OrderlabError
from runtime.search import attributes_of
from services.order_placed import registry
from services.service import task_queue
from workflows.conversation import WISH
from workflows.order_cancellation import OrderCancellation
from workflows.order_saga import OrderSaga
from workflows.saga import REFUSED

_LOOK_EVERY_S = 0.05
_TAKEN_IN_AFTER_S = 0.01


class Canceller:
    """Cancels orders in a lab."""

    def __init__(self, client: Client, lab: str, dice: Dice | None = None) -> None:
        """Take the client, the lab's task queue suffix, and what goes wrong while orders are undone."""
        self._client = client
        self._lab = lab
        self._dice = dice
        self._publisher = EventPublisher(client, registry(lab), lab=lab, task_queue=task_queue("bus", lab))

    async def cancel(
        self, order_id: str, style: Style, *, when_kept: Callable[[], None] = lambda: None
    ) -> CancelDecision:
        """Ask for an order to be cancelled and wait for the answer, which shipping gives.

        The order may be on its way, have ended, or not have been placed yet. Asking again changes nothing.

        Args:
            order_id: of the order.
            style: in which it is cancelled.
            when_kept: is called when the server has written the wish down: from then on it is acted upon, whoever dies,
                and whether anybody waits for the answer or not.

        Raises:
            InputError: the order is another lab's.
            OrderlabError: nobody could decide; the order is unchanged.
        """
        if style == "saga":
            return await self._ask_saga(order_id, when_kept)
        await latest_run(self._client, self._lab, style, order_id)
        await self._publisher.publish(cancel_requested(order_id, dice=self._dice), summary=f"order {order_id}")
        when_kept()
        return await self._answer_on_the_bus(order_id)

    async def _ask_saga(self, order_id: str, when_kept: Callable[[], None]) -> CancelDecision:
        while True:
            before = await latest_run(self._client, self._lab, "saga", order_id)
            answer = None if before is None else await self._answer_of_closed(before)
            if answer is not None and answer.accepted:  # nothing is left to be done
                return answer
            request = await self._send_wish(order_id, before)
            when_kept()
            answer = await self._answer_of_saga(request)
            if answer is not None:
                return answer

    async def _send_wish(self, order_id: str, before: WorkflowExecutionDescription | None) -> CancelRequest:
        """One call for every moment: an open saga is told, and where none is open, a cancellation is started.

        It is a signal, as the server has an update in its memory only, until a worker takes it.
        """
        digest = None if before is None else await before.memo_value(DIGEST, default=None)
        request = CancelRequest(
            style="saga",
            order_id=order_id,
            lab=self._lab,
            dice=self._dice,
            broken=before is not None and before.status in BROKEN_OFF,
        )
        await self._client.start_workflow(
            OrderCancellation.run,
            request,
            id=workflow_id("saga", order_id),
            task_queue=task_queue("saga", self._lab),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            memo={"lab": self._lab} if digest is None else {"lab": self._lab, DIGEST: digest},
            static_summary=f"cancels order {order_id}",
            search_attributes=attributes_of(order_id, "saga"),
            start_signal=WISH,
            start_signal_args=[request],
        )
        return request

    async def _answer_of_saga(self, request: CancelRequest) -> CancelDecision | None:
        """What is decided about a wish that is kept; None where the workflow that was to decide was broken off.

        Raises:
            OrderlabError: nobody can decide.
        """
        name, update_id = workflow_id("saga", request.order_id), str(uuid4())

        async def ask() -> CancelDecision | None:
            run = self._client.get_workflow_handle(name)
            try:
                return await run.execute_update(OrderSaga.cancel, request, id=update_id)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            return await self._answer_of_closed(await run.describe())  # it has closed since

        try:
            return await persistently(ask)
        except WorkflowUpdateFailedError as failure:
            if isinstance(failure.cause, ApplicationError) and failure.cause.type == REFUSED:
                return CancelDecision(accepted=False, reason=failure.cause.message)
            remedy = f"`orderlab repair {request.order_id}` tells how it stands"
            raise OrderlabError(
                f"nobody could decide about order {request.order_id}: {failure.cause}; {remedy}"
            ) from failure

    async def _answer_of_closed(self, run: WorkflowExecutionDescription) -> CancelDecision | None:
        """What a workflow that has ended says about a customer's wish; None where it is open, or says nothing.

        One that was refused, as the id is another order's, says nothing: the wish is about that other one.
        """
        ended = self._client.get_workflow_handle_for(OrderSaga.run, run.id, run_id=run.run_id)
        if run.status is WorkflowExecutionStatus.COMPLETED:
            outcome = await ended.result()
        elif run.status in {WorkflowExecutionStatus.CANCELED, WorkflowExecutionStatus.FAILED}:  # it has no result
            outcome = await ended.query(OrderSaga.progress)
        else:
            return None
        if outcome.refused:
            return None
        if run.status is WorkflowExecutionStatus.CANCELED:
            return CancelDecision(accepted=True, reason="the workflow was cancelled")
        if outcome.state is OrderState.CANCELLED:
            return CancelDecision(accepted=True, reason=outcome.reason or BY_THE_CUSTOMER)
        return None if outcome.reason is None else CancelDecision(accepted=False, reason=outcome.reason)

    async def _answer_on_the_bus(self, order_id: str) -> CancelDecision:
        while True:
            run = await persistently(lambda: latest_run(self._client, self._lab, "choreography", order_id))
            answer = _answer_in(await persistently(lambda: facts_of(self._client, order_id)))
            if answer is not None:
                await self._taken_in(order_id)
                return answer
            if run is None or not is_at_work(run):  # nor was it at work before we looked for the answer
                raise OrderlabError(
                    f"nobody could decide about order {order_id}: `orderlab repair {order_id}` asks once more"
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _taken_in(self, order_id: str) -> None:
        """Wait until the log has what the history tells: an `order.placed` that comes sooner would be logged first.

        Services would then do what they undo a moment later. A bus without a worker is not waited for.
        """
        give_up_at = time.monotonic() + 2 * WORKFLOW_TASK_TIMEOUT.total_seconds()
        while time.monotonic() < give_up_at:
            run = await persistently(lambda: latest_run(self._client, self._lab, "choreography", order_id))
            if run is None or not run.raw_description.HasField("pending_workflow_task"):
                return
            await asyncio.sleep(_TAKEN_IN_AFTER_S)


def _answer_in(log: Sequence[LogEntry]) -> CancelDecision | None:
    """What the log answers; an order that is cancelled for another reason, after a refusal, is cancelled.

    What cancels an order that was refused, because its id is another's, says nothing of that other one.
    """
    heard = counting(log)
    orders = {entry.name for entry in heard if entry.type == "order.placed"}
    of_order = [e for e in heard if e.type in CANCELLING and e.causationid in orders and not e.from_outside]
    was_refused = any(entry.type == "order.cancelled" for entry in of_order)
    told = [entry for entry in heard if entry not in of_order] if was_refused else heard
    answers = [entry for entry in told if entry.type in {"order.cancelled", "cancellation.refused"}]
    if not answers:
        return None
    off = next((entry for entry in told if entry.type in CANCELLING), None)
    return CancelDecision(accepted=off is not None, reason=(off or answers[0]).reason or "")
