"""What every saga needs and no business step should have to say: compensation, cancelling, parking, redrive."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from events.log import OrderState
    from events.parked import ParkedDelivery, excerpt, memo_of
    from faults.dice import Dice
    from orders.cancelling import CancelDecision, CancelRequest
    from orders.model import Placement
    from orders.repairing import RepairRequest
    from runtime.search import PARKED
    from services.service import Cancellation, Step
    from services.shipping import DECIDE_CANCELLATION
    from workflows.failures import attempts_of, is_superseded, reason_of, refusal_of, was_cancelled
    from workflows.outcome import GivenUp, SagaOutcome
    from workflows.uninterrupted import uninterrupted

REFUSED = "CancellationRefused"
"""Error type of an update that is turned away because shipping has refused before."""

_OFF_BY_ANY = "work-undone-before-cancels-the-order"
"""Name of a change: of work that is not critical, too."""


class StepFailedError(Exception):
    """A critical step gave up, or the order id belongs to another order, so the order can't be kept."""


class CalledOffError(Exception):
    """The customer has cancelled the order."""


@dataclass(frozen=True)
class _ParkedStep:
    step: Step
    work: Placement | Cancellation
    entry: ParkedDelivery


class Saga:
    """Runs the steps of one order, remembers how to undo each, and undoes them when asked to."""

    def __init__(self, order_id: str, *, lab: str, dice: Dice | None) -> None:
        """Take the order to run.

        Args:
            order_id: of the order.
            lab: suffix of the task queues.
            dice: what goes wrong while it is undone.
        """
        self._order_id = order_id
        self._lab = lab
        self._dice = dice
        self._placed: Placement | None = None
        self._repaired: RepairRequest | None = None
        self._compensations: list[Step] = []
        self._under_way: list[workflow.ActivityHandle[Any]] = []
        self._one_question_at_a_time = asyncio.Lock()
        self._called_off: str | None = None
        self._refused: str | None = None
        self._id_is_taken = False
        self._customer_wants_it_off = False
        self._parked: dict[str, _ParkedStep] = {}
        self._listed: list[ParkedDelivery] = []
        self._redrives: list[str] = []
        self._redriven: list[str] = []
        self._done: list[str] = []
        self._compensated: list[str] = []
        self._cancelled_because: str | None = None
        self._state = OrderState.RUNNING

    async def step(self, step: Step, placement: Placement, *, undo: Step) -> None:
        """Run one step; its compensation is registered first, as it may take effect even if we never hear of it.

        Raises:
            StepFailedError: the step gave up and its service is critical, or the order id belongs to another order.
                Otherwise it is parked.
            CalledOffError: the customer has cancelled the order.
        """
        self._go_on()
        self._placed = placement
        self._compensations.append(undo)
        await self._attempt(step, placement)

    def may_have_been_done(self, *, undo: Sequence[Step]) -> None:
        """Register the compensations of steps that an earlier workflow may have run, in the sequence of its steps."""
        self._compensations += undo

    def was_left_half_undone(self, request: RepairRequest, *, undo: Sequence[Step]) -> None:
        """Take up the undoing that an earlier workflow left: from now on the order is off, whatever anybody wants."""
        self.may_have_been_done(undo=undo)
        self._repaired, self._id_is_taken, self._cancelled_because = request, request.refused, request.reason

    async def in_parallel(self, steps: Sequence[Coroutine[None, None, None]]) -> None:
        """Run steps side by side and wait for all of them, also when one fails or the workflow is cancelled.

        Raises:
            StepFailedError, CalledOffError: that of the first step, in the sequence given, that raised one.
            CancelledError: the workflow was cancelled meanwhile, whatever became of the steps.
        """
        for result in await asyncio.gather(*steps, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def settled(self) -> None:
        """Wait until no step is parked any more, and no customer waits for an answer.

        An order with parked steps stays open for the redrive.

        Raises:
            StepFailedError: a redriven step was refused, as the order id belongs to another order.
            CalledOffError: the customer has cancelled the order.
            CancelledError: the workflow was cancelled meanwhile.
        """
        while self._parked or not workflow.all_handlers_finished():
            await self._all_redriven(meanwhile=OrderState.PARKED)
            await workflow.wait_condition(workflow.all_handlers_finished)
        self._go_on()
        self._state = OrderState.COMPLETED

    async def cancel(self, request: CancelRequest) -> CancelDecision:
        """Answer a customer who wants the order cancelled; shipping decides whether they still can.

        From the moment that it is accepted no further step starts, and those under way are awaited; then the workflow
        has to compensate. Who asks while the order is being undone is answered at once, and so is who asks again.
        """
        request = request.as_kept()
        if not self._is_off():
            async with self._one_question_at_a_time:
                if not self._is_off() and self._refused is None:
                    decision = await self._ask_shipping(request)
                    if not decision.accepted:
                        self._refused = decision.reason
                    elif not self._is_off():  # as it may be by now, for another reason
                        self._call_off(request)
        if self._is_off():
            return CancelDecision(accepted=True, reason=self._cancelled_because or self._called_off or "")
        return CancelDecision(accepted=False, reason=self._refused or "")

    async def take_wish(self, request: CancelRequest) -> None:
        """The same for a wish that nobody waits to be answered; one that is turned away changes nothing."""
        with contextlib.suppress(ApplicationError):
            self.turn_away(request)
            await self.cancel(request)

    def turn_away(self, request: CancelRequest) -> None:
        """Refuse a request that is about another order, or that shipping has refused already.

        While an order is undone because its id is another's, nobody can tell what becomes of that one.

        Raises:
            ApplicationError: it is one of these.
        """
        if request.order_id != self._order_id:
            raise ApplicationError(f"this is order {self._order_id}, not {request.order_id}")
        if self._id_is_taken:
            raise ApplicationError("another one under this id is being undone first: ask again when it has ended")
        if self._refused is not None and not self._is_off():
            raise ApplicationError(self._refused, type=REFUSED)

    async def compensate(self, reason: str) -> None:
        """Undo what was done, last registered first, one by one; one that gives up keeps no other from its work.

        It is parked, and the order is in need of attention until a redrive succeeds. A cancellation of the workflow,
        however often it comes, keeps nothing from being undone.

        Args:
            reason: why the order is cancelled.
        """
        self._cancelled_because, self._called_off = reason, None
        self._state = OrderState.RUNNING
        await uninterrupted(self._undo_all(reason))

    async def _undo_all(self, reason: str) -> None:
        cancellation = Cancellation(
            style="saga",
            order_id=self._order_id,
            reason=reason,
            content=self._content(),
            refused=self._id_is_taken,
            since_us=self._placed_us() if self._id_is_taken else None,
            dice=self._dice,
        )
        self._parked.clear()
        for undo in reversed(self._compensations):
            await self._attempt(undo, cancellation)
        if self._id_is_taken and self._customer_wants_it_off:  # then the order is meant that the services keep
            of_the_other = cancellation.model_copy(update={"content": None, "refused": False, "since_us": None})
            for undo in reversed(self._compensations):
                if undo.service.name not in self._parked:
                    await self._attempt(undo, of_the_other)
        self._list_parked()
        await self._all_redriven(meanwhile=OrderState.ATTENTION)
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._state = OrderState.CANCELLED

    def _content(self) -> str | None:
        """An order that was placed undoes what is its own; a customer's wish is about whatever order stands."""
        if self._repaired is not None:
            return self._repaired.content
        return None if self._placed is None else self._placed.order.fingerprint

    def _placed_us(self) -> int | None:
        """When the order was placed, in microseconds since 1970."""
        if self._repaired is not None:
            return self._repaired.since_us
        return int(workflow.info().start_time.timestamp() * 1e6)

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
            order_id=self._order_id,
            state=self._state,
            done=self._done,
            compensated=self._compensated,
            given_up=parked,
            reason=self._cancelled_because or self._refused,
            refused=self._id_is_taken,
            redriven=self._redriven,
        )

    def _is_off(self) -> bool:
        """Whether the order is being cancelled, or has been."""
        return self._called_off is not None or self._cancelled_because is not None

    def _go_on(self) -> None:
        if self._called_off is not None:
            raise CalledOffError(self._called_off)

    def _call_off(self, request: CancelRequest) -> None:
        """Try nothing any more; an attempt that has begun is awaited, as it may succeed."""
        self._called_off, self._dice = request.reason, request.dice
        self._customer_wants_it_off = True
        for handle in self._under_way:
            handle.cancel()

    async def _ask_shipping(self, request: CancelRequest) -> CancelDecision:
        decision: CancelDecision = await workflow.execute_activity(
            DECIDE_CANCELLATION.activity,
            request,
            result_type=CancelDecision,
            task_queue=DECIDE_CANCELLATION.service.task_queue(self._lab),
            **DECIDE_CANCELLATION.service.attempts.options(),
        )
        return decision

    async def _attempt(self, step: Step, work: Placement | Cancellation) -> None:
        """Run a step or a compensation; one that gives up is parked, but a critical step fails the order instead."""
        forward = isinstance(work, Placement)
        try:
            await self._run(step, work)
            (self._done if forward else self._compensated).append(step.activity)
        except ActivityError as error:
            if was_cancelled(error):
                self._go_on()
                raise asyncio.CancelledError from error
            if is_superseded(error):
                await self._accept_that_it_is_too_late(step, forward=forward)
                return
            if (refusal := refusal_of(error)) is not None:
                self._id_is_taken = True
                raise StepFailedError(refusal) from error
            if forward and step.service.critical:
                raise StepFailedError(f"{step.service.name} gave up: {reason_of(error)}") from error
            self._park(step, work, error)

    async def _accept_that_it_is_too_late(self, step: Step, *, forward: bool) -> None:
        """A service has refused work because it was undone before: then the order was being undone, and is still.

        It is shipping's acceptance of a cancellation, of which the workflow may be told only a moment later; or the
        workflow was reset, or broken off and run again. Sagas that began before this was so only lack that work where
        it is not critical.
        """
        if forward and (step.service.critical or workflow.patched(_OFF_BY_ANY)):
            await workflow.wait_condition(workflow.all_handlers_finished)
            self._go_on()
            raise StepFailedError(f"{step.service.name} refuses an order that was cancelled before")

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
            await workflow.wait_condition(lambda: bool(self._redrives) or self._called_off is not None)
            self._go_on()
            service = self._redrives.pop(0)
            parked = self._parked.pop(service, None)
            if parked is not None:
                self._state = OrderState.RUNNING
                await self.in_parallel([self._attempt(parked.step, parked.work.redriven())])
                self._redriven.append(service)
                self._redrives = [other for other in self._redrives if other != service]  # asked for while it was tried
                self._list_parked()

    async def _run(self, step: Step, work: Placement | Cancellation) -> None:
        handle = workflow.start_activity(
            step.activity,
            work,
            task_queue=step.service.task_queue(self._lab),
            # What is under way is awaited: undone first, it could still happen afterwards.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **step.service.attempts.options(),
        )
        self._under_way.append(handle)
        try:
            await handle
        finally:
            self._under_way.remove(handle)

    def _list_parked(self) -> None:
        entries = [parked.entry for parked in self._parked.values()]
        if entries == self._listed:  # each upsert is an Action
            return
        services = [entry.service for entry in entries]
        if services != [entry.service for entry in self._listed]:
            workflow.upsert_search_attributes([PARKED.value_set(services)])
        workflow.upsert_memo(memo_of(entries))
        self._listed = entries
