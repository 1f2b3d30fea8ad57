"""What every saga needs and no business step should have to say: compensation, parking, redrive."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

from pydantic import BaseModel
from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from events.log import OrderState
    from events.parked import ParkedDelivery, excerpt, memo_of
    from orders.model import Placement
    from runtime.search import PARKED
    from services.service import Cancellation, Step
    from workflows.failures import attempts_of, is_superseded, reason_of, was_cancelled


class StepFailedError(Exception):
    """A critical step gave up, so the order can't be kept."""


class GivenUp(BaseModel):
    """A step or a compensation that was given up, and why."""

    service: str
    activity: str
    reason: str


class SagaOutcome(BaseModel):
    """How an order stands, and at the end how it ended."""

    order_id: str
    state: OrderState
    done: list[str]
    """Activity types that succeeded, in the sequence in which they ended."""
    compensated: list[str]
    """Activity types of the compensations that succeeded, in sequence."""
    given_up: list[GivenUp]
    """The parked steps, or the parked compensations."""
    reason: str | None
    """Why the order was cancelled."""
    redriven: list[str]
    """Services whose parked step was tried once more, each when the outcome of that was known."""


@dataclass(frozen=True)
class _ParkedStep:
    step: Step
    work: Placement | Cancellation
    entry: ParkedDelivery


class Saga:
    """Runs the steps of one order, remembers how to undo each, and undoes them when asked to."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._compensations: list[Step] = []
        self._parked: dict[str, _ParkedStep] = {}
        self._listed: list[ParkedDelivery] = []
        self._redrives: list[str] = []
        self._redriven: list[str] = []
        self._done: list[str] = []
        self._compensated: list[str] = []
        self._cancelled_because: str | None = None
        self._state = OrderState.RUNNING

    async def step(self, step: Step, *, undo: Step) -> None:
        """Run one step; its compensation is registered first, as it may take effect even if we never hear of it.

        Raises:
            StepFailedError: the step gave up and its service is critical. Otherwise it is parked.
        """
        self._compensations.append(undo)
        await self._attempt(step, self._placement)

    async def in_parallel(self, steps: Sequence[Coroutine[None, None, None]]) -> None:
        """Run steps side by side and wait for all of them, also when one fails or the workflow is cancelled.

        Raises:
            StepFailedError: that of the first step, in the sequence given, that failed.
            CancelledError: the workflow was cancelled meanwhile, whatever became of the steps.
        """
        for result in await asyncio.gather(*steps, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def parked_steps_redriven(self) -> None:
        """Wait until no step is parked any more; an order with parked steps stays open for the redrive.

        Raises:
            CancelledError: the workflow was cancelled meanwhile.
        """
        await self._all_redriven(meanwhile=OrderState.PARKED)
        self._state = OrderState.COMPLETED

    async def compensate(self, reason: str) -> None:
        """Undo what was done, last registered first, one by one; one that gives up keeps no other from its work.

        It is parked, and the order is in need of attention until a redrive succeeds. A cancellation of the workflow,
        however often it comes, keeps nothing from being undone.

        Args:
            reason: why the order is cancelled.
        """
        undoing = asyncio.ensure_future(self._undo_all(reason))
        while not undoing.done():
            try:
                await asyncio.shield(undoing)  # a cancelled wait ends at once; only the work itself is shielded
            except asyncio.CancelledError:
                if undoing.cancelled():  # not the order's, but the worker's: it forgets the workflow
                    raise

    async def _undo_all(self, reason: str) -> None:
        self._cancelled_because = reason
        cancellation = Cancellation(
            style=self._placement.style,
            order_id=self._placement.order.order_id,
            reason=reason,
            dice=self._placement.dice,
        )
        self._parked.clear()
        for undo in reversed(self._compensations):
            await self._attempt(undo, cancellation)
        self._list_parked()
        await self._all_redriven(meanwhile=OrderState.ATTENTION)
        self._state = OrderState.CANCELLED

    def redrive(self, service: str) -> None:
        """Ask for the parked step of a service to be tried again."""
        self._redrives.append(service)

    def outcome(self) -> SagaOutcome:
        """How the order stands."""
        parked = [
            GivenUp(service=service, activity=parked.step.activity, reason=parked.entry.reason)
            for service, parked in self._parked.items()
        ]
        return SagaOutcome(
            order_id=self._placement.order.order_id,
            state=self._state,
            done=self._done,
            compensated=self._compensated,
            given_up=parked,
            reason=self._cancelled_because,
            redriven=self._redriven,
        )

    async def _attempt(self, step: Step, work: Placement | Cancellation) -> None:
        """Run a step or a compensation; one that gives up is parked, but a critical step fails the order instead."""
        forward = isinstance(work, Placement)
        try:
            await self._run(step, work)
            (self._done if forward else self._compensated).append(step.activity)
        except ActivityError as error:
            if was_cancelled(error):
                raise asyncio.CancelledError from error
            if is_superseded(error):
                return
            if forward and step.service.critical:
                raise StepFailedError(f"{step.service.name} gave up: {reason_of(error)}") from error
            self._park(step, work, error)

    def _park(self, step: Step, work: Placement | Cancellation, error: ActivityError) -> None:
        service = step.service.name
        entry = ParkedDelivery(
            id=service,
            service=service,
            work=step.activity,
            reason=reason_of(error),
            attempts=attempts_of(error),
            payload=excerpt(work),
        )
        self._parked[service] = _ParkedStep(step, work, entry)
        self._list_parked()

    async def _all_redriven(self, *, meanwhile: OrderState) -> None:
        """Wait until nothing is parked any more, and try again what a redrive asks for."""
        while self._parked:
            self._state = meanwhile
            await workflow.wait_condition(lambda: bool(self._redrives))
            service = self._redrives.pop(0)
            parked = self._parked.pop(service, None)
            if parked is not None:
                self._state = OrderState.RUNNING
                await self.in_parallel([self._attempt(parked.step, parked.work.redriven())])
                self._redriven.append(service)
                self._redrives = [other for other in self._redrives if other != service]  # asked for while it was tried
                self._list_parked()

    async def _run(self, step: Step, work: Placement | Cancellation) -> None:
        await workflow.execute_activity(
            step.activity,
            work,
            task_queue=step.service.task_queue(self._placement.lab),
            # What is under way is awaited: undone first, it could still happen afterwards.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **step.service.attempts.options(),
        )

    def _list_parked(self) -> None:
        entries = [parked.entry for parked in self._parked.values()]
        if entries == self._listed:  # each upsert is an Action
            return
        services = [entry.service for entry in entries]
        if services != [entry.service for entry in self._listed]:
            workflow.upsert_search_attributes([PARKED.value_set(services)])
        workflow.upsert_memo(memo_of(entries))
        self._listed = entries
