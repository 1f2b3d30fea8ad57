"""Looks into an order in the saga, and finishes what its workflow left half done."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypedDict, TypeVar

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from events.bus import WORKFLOW_TASK_TIMEOUT
from events.edge import order_placed
from events.succession import BROKEN_OFF
from lab.repair.examining import Seen, StyleRepairer
from lab.repair.finding import BY_A_REPAIR, Case, Repair, Todo, how_it_closed
from lab.repair.saga_past import SagaPast, saga_past
from lab.repair.standing import Standing
from lab.runs import DIGEST, latest_run, workflow_id
from orders.cancelling import CancelRequest
from orders.model import Placement
from orders.repairing import RepairRequest
from runtime.search import attributes_of
from services.service import task_queue
from workflows.conversation import WISH
from workflows.order_cancellation import OrderCancellation
from workflows.order_repair import OrderRepair
from workflows.order_saga import OrderSaga
from workflows.outcome import SagaOutcome

Asked = TypeVar("Asked", Placement, CancelRequest, RepairRequest)
"""What the workflows under the id of an order's saga are started with."""


class _Options(TypedDict):
    """How the workflows under the id of an order's saga are started."""

    id: str
    task_queue: str
    task_timeout: timedelta
    memo: dict[str, str]
    static_summary: str
    search_attributes: TypedSearchAttributes


class SagaRepairer(StyleRepairer[SagaPast]):
    """Repairs orders in the orchestrated style.

    What it starts is still right where somebody else has done something since it looked: what can be told by how the
    latest run has closed, the server refuses to start (`_reuse_after`); and what was undone meanwhile, the services
    refuse to do again, which cancels a saga. Whoever repairs looks again when it has ended.
    """

    def __init__(self, client: Client, lab: str) -> None:
        """Take the client, and the lab's task queue suffix."""
        super().__init__(client, lab, "saga")

    async def _past(self, order_id: str) -> SagaPast:
        return await saga_past(self._client, order_id)

    async def _broken_off(self, seen: Seen[SagaPast]) -> Repair:
        case, past = seen.case, seen.past
        how = f"its workflow was broken off ({how_it_closed(seen.run)})"
        if past.is_off or case.standing.is_off:
            return case.found(
                Todo.UNDO, f"{how} while the order was to be undone: what stands is undone", self._undo(seen)
            )
        if past.placement is not None:
            why = f"{how} before the order had ended: it is run again, and what was done is not done twice"
            return case.found(Todo.FINISH, why, self._run_again(seen, past.placement))
        if past.wish is not None:
            why = f"{how} before shipping had answered the customer: it is asked again"
            return case.found(Todo.FINISH, why, self._ask_again(seen, past.wish))
        return case.found(Todo.NOTHING, f"{how}, and nobody knows what it was to do")

    async def _ended(self, seen: Seen[SagaPast]) -> Repair:
        case = seen.case
        if why := case.is_half_undone:
            return case.found(Todo.UNDO, why, self._undo(seen))
        placed = seen.past.placement
        if placed and not placed.rehearsal and (missing := case.services_to_do(is_guest=placed.order.is_guest)):
            why = f"it reads completed, but {missing} did nothing: it is run again for what is missing"
            return case.found(Todo.FINISH, why, self._run_again(seen, placed))
        return case.found(Todo.NOTHING, "nothing of it is half done, so nothing is changed", is_whole=True)

    def _undo_forgotten(self, case: Case, content: str | None, standing: Standing) -> Callable[[], Awaitable[None]]:
        return self._starting(None, OrderRepair.run, self._request(case, SagaPast(), content, standing), SagaPast())

    def _undo(self, seen: Seen[SagaPast]) -> Callable[[], Awaitable[None]]:
        request = self._request(seen.case, seen.past, seen.past.content, seen.standing)
        return self._starting(seen.run, OrderRepair.run, request, seen.past)

    def _request(self, case: Case, past: SagaPast, content: str | None, standing: Standing) -> RepairRequest:
        """What is undone; once more the same, where that was asked for before and broken off."""
        if past.repair is not None:
            return past.repair
        is_taken = content is not None and any(known != content for known in standing.contents.values())
        refused = past.refused or is_taken
        return RepairRequest(
            order_id=case.order_id,
            reason=past.reason or BY_A_REPAIR,
            lab=self._lab,
            content=content,
            refused=refused,
            since_us=past.placed_us if refused else None,
        )

    def _run_again(self, seen: Seen[SagaPast], placement: Placement) -> Callable[[], Awaitable[None]]:
        undecided = seen.past.wish if seen.case.standing.decision is None else None
        return self._starting(seen.run, OrderSaga.run, placement.redriven(), seen.past, wish=undecided)

    def _ask_again(self, seen: Seen[SagaPast], wish: CancelRequest) -> Callable[[], Awaitable[None]]:
        return self._starting(seen.run, OrderCancellation.run, wish.model_copy(update={"dice": None}), seen.past)

    def _starting(
        self,
        run: WorkflowExecutionDescription | None,
        workflow: Callable[[Any, Asked], Awaitable[SagaOutcome]],
        asked: Asked,
        past: SagaPast,
        *,
        wish: CancelRequest | None = None,
    ) -> Callable[[], Awaitable[None]]:
        """What starts a workflow in place of the run that was looked at; nothing, where another one has followed."""

        async def start() -> None:
            latest = await latest_run(self._client, self._lab, "saga", asked.order_id)
            if (latest and latest.run_id) != (run and run.run_id):
                return
            with contextlib.suppress(WorkflowAlreadyStartedError):  # by whoever does the same, or cancels the order
                await self._client.start_workflow(
                    workflow,
                    asked,
                    start_signal=None if wish is None else WISH,
                    start_signal_args=[] if wish is None else [wish],
                    id_reuse_policy=_reuse_after(run),
                    **await self._options(asked.order_id, run, past),
                )

        return start

    async def _options(self, order_id: str, run: WorkflowExecutionDescription | None, past: SagaPast) -> _Options:
        """What the workflow that goes on is known by, as the one before."""
        digest = None if run is None else await run.memo_value(DIGEST, default=None)
        if digest is None and past.placement is not None:
            digest = order_placed(past.placement.order).digest
        summary = None if run is None else await run.static_summary()
        return {
            "id": workflow_id("saga", order_id),
            "task_queue": task_queue("saga", self._lab),
            "task_timeout": WORKFLOW_TASK_TIMEOUT,
            "memo": {"lab": self._lab} if digest is None else {"lab": self._lab, DIGEST: digest},
            "static_summary": summary or f"repairs order {order_id}",
            "search_attributes": attributes_of(order_id, "saga"),
        }


def _reuse_after(run: WorkflowExecutionDescription | None) -> WorkflowIDReusePolicy:
    """After which runs the server starts another one; it decides that as it starts it, so nobody comes in between.

    After one that was broken off, only while none has come to its end since: that would have seen to the order.
    """
    if run is None:
        return WorkflowIDReusePolicy.REJECT_DUPLICATE
    if run.status in BROKEN_OFF:
        return WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
    return WorkflowIDReusePolicy.ALLOW_DUPLICATE
