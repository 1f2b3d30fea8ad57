"""Looks into an order in the saga, and finishes what its workflow left half done."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypedDict

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from events.bus import WORKFLOW_TASK_TIMEOUT
from events.edge import order_placed
from events.succession import BROKEN_OFF
from lab.dead_letters import parked_in
from lab.repair.finding import BY_A_REPAIR, Case, Repair, Todo, how_it_closed
from lab.repair.redriving import redriving
from lab.repair.saga_past import SagaPast, saga_past
from lab.repair.standing import Look, Standing
from lab.runs import DIGEST, is_at_work, latest_run, workflow_id
from lab.status import status_of
from orders.cancelling import CancelRequest
from orders.repairing import RepairRequest
from runtime.search import attributes_of
from services.service import task_queue
from workflows.conversation import WISH
from workflows.order_cancellation import OrderCancellation
from workflows.order_repair import OrderRepair
from workflows.order_saga import OrderSaga


class _Options(TypedDict):
    """How the workflows under the id of an order's saga are started."""

    id: str
    task_queue: str
    task_timeout: timedelta
    memo: dict[str, str]
    static_summary: str
    search_attributes: TypedSearchAttributes
    id_reuse_policy: WorkflowIDReusePolicy


class SagaRepairer:
    """Repairs orders in the orchestrated style."""

    def __init__(self, client: Client, lab: str) -> None:
        """Take the client, and the lab's task queue suffix."""
        self._client = client
        self._lab = lab

    async def examine(self, order_id: str, look: Look) -> Repair | None:
        """Find out how an order stands and what is to be done; None where nobody has heard of it.

        Args:
            order_id: of the order.
            look: reads what the services' databases say. It is asked when the workflow has been looked at: what that
                tells as done has been committed by then.

        Raises:
            InputError: it is another lab's.
        """
        run = await latest_run(self._client, self._lab, "saga", order_id)
        standing = await look()
        if run is None:
            return self._forgotten(order_id, standing) if standing.is_known else None
        past = await saga_past(self._client, order_id)
        status = await status_of(self._client, "saga", order_id)
        if status is None or status.run_id != run.run_id:  # somebody else has begun something since
            return await self.examine(order_id, look)
        case = Case(order_id, "saga", status, standing.of(past.content))
        if run.status is WorkflowExecutionStatus.RUNNING:
            return await self._open(case, run)
        undo = self._undo(case, run, past, standing)
        if run.status in BROKEN_OFF:
            return self._broken_off(case, run, past, undo)
        return self._ended(case, run, past, undo)

    def _forgotten(self, order_id: str, standing: Standing) -> Repair:
        """Temporal has deleted its workflow, so nobody knows how it was meant to end, but for what was undone."""
        for content in standing.orders():
            case = Case(order_id, "saga", None, standing.of(content))
            if case.standing.is_off and case.standing.stands:
                why = "Temporal has forgotten it, and it is half undone: what stands is undone"
                return case.found(Todo.UNDO, why, self._undo(case, None, SagaPast(), standing, content))
        case = Case(order_id, "saga", None, standing)
        return case.found(Todo.NOTHING, "Temporal has forgotten it, and nothing of it is half done", is_whole=True)

    async def _open(self, case: Case, run: WorkflowExecutionDescription) -> Repair:
        letters = await parked_in(run)
        if is_at_work(run) or not letters:
            return case.found(Todo.WAIT, "it is under way, so nothing is half done", is_whole=True)
        named = ", ".join(letter.delivery.work for letter in letters)
        return case.found(
            Todo.REDRIVE,
            f"{named} was given up: it is tried once more",
            redriving(self._client, letters),
            is_whole=True,
        )

    def _broken_off(
        self, case: Case, run: WorkflowExecutionDescription, past: SagaPast, undo: Callable[[], Awaitable[None]]
    ) -> Repair:
        how = f"its workflow was broken off ({how_it_closed(run)})"
        if past.is_off or case.standing.is_off:
            return case.found(Todo.UNDO, f"{how} while the order was to be undone: what stands is undone", undo)
        if past.placement is not None:
            why = f"{how} before the order had ended: it is run again, and what was done is not done twice"
            return case.found(Todo.FINISH, why, self._run_again(case, run, past))
        if past.wish is not None:
            why = f"{how} before shipping had answered the customer: it is asked again"
            return case.found(Todo.FINISH, why, self._ask_again(case, run, past.wish))
        return case.found(Todo.NOTHING, f"{how}, and nobody knows what it was to do")

    def _ended(
        self, case: Case, run: WorkflowExecutionDescription, past: SagaPast, undo: Callable[[], Awaitable[None]]
    ) -> Repair:
        if why := case.is_half_undone:
            return case.found(Todo.UNDO, why, undo)
        placed = past.placement
        if placed and not placed.rehearsal and (missing := case.services_to_do(is_guest=placed.order.is_guest)):
            why = f"it reads completed, but {missing} did nothing: it is run again for what is missing"
            return case.found(Todo.FINISH, why, self._run_again(case, run, past))
        return case.found(Todo.NOTHING, "nothing of it is half done, so nothing is changed", is_whole=True)

    def _undo(
        self,
        case: Case,
        run: WorkflowExecutionDescription | None,
        past: SagaPast,
        standing: Standing,
        content: str | None = None,
    ) -> Callable[[], Awaitable[None]]:
        content = past.content or content
        is_taken = content is not None and any(known != content for known in standing.contents.values())

        async def start() -> None:
            refused = past.refused or is_taken
            request = RepairRequest(
                order_id=case.order_id,
                reason=past.reason or BY_A_REPAIR,
                lab=self._lab,
                content=content,
                refused=refused,
                since_us=past.placed_us if refused else None,
            )
            with contextlib.suppress(WorkflowAlreadyStartedError):  # by whoever does the same, or cancels the order
                await self._client.start_workflow(OrderRepair.run, request, **await self._options(case, run, past))

        return start

    def _run_again(
        self, case: Case, run: WorkflowExecutionDescription, past: SagaPast
    ) -> Callable[[], Awaitable[None]]:
        placement = past.placement
        assert placement is not None  # noqa: S101 - it is asked for before
        undecided = past.wish if case.standing.decision is None else None

        async def start() -> None:
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    OrderSaga.run,
                    placement.redriven(),
                    start_signal=None if undecided is None else WISH,
                    start_signal_args=[] if undecided is None else [undecided],
                    **await self._options(case, run, past),
                )

        return start

    def _ask_again(
        self, case: Case, run: WorkflowExecutionDescription, wish: CancelRequest
    ) -> Callable[[], Awaitable[None]]:
        async def start() -> None:
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    OrderCancellation.run,
                    wish.model_copy(update={"dice": None}),
                    **await self._options(case, run, SagaPast()),
                )

        return start

    async def _options(self, case: Case, run: WorkflowExecutionDescription | None, past: SagaPast) -> _Options:
        """What the workflow that goes on is known by, as the one before."""
        digest = None if run is None else await run.memo_value(DIGEST, default=None)
        if digest is None and past.placement is not None:
            digest = order_placed(past.placement.order).digest
        summary = None if run is None else await run.static_summary()
        return {
            "id": workflow_id("saga", case.order_id),
            "task_queue": task_queue("saga", self._lab),
            "task_timeout": WORKFLOW_TASK_TIMEOUT,
            "memo": {"lab": self._lab} if digest is None else {"lab": self._lab, DIGEST: digest},
            "static_summary": summary or f"repairs order {case.order_id}",
            "search_attributes": attributes_of(case.order_id, "saga"),
            "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        }
