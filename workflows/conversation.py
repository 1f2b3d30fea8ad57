"""What can be said to every workflow that runs a saga."""

from typing import ClassVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.cancelling import CancelDecision, CancelRequest, LateOrder
    from services.analytics import REVERSE_SALE
    from services.invoicing import ISSUE_CREDIT_NOTE
    from services.marketing import TELL_CUSTOMER
    from services.service import Step
    from services.shipping import CANCEL_SHIPMENT
    from workflows.outcome import SagaOutcome
    from workflows.saga import Saga

WISH = "cancellation_wished"
"""Signal by which a customer wants the order cancelled: kept from the moment that it was sent."""


class SagaConversation:
    """Answers whoever asks about the saga or wants something of it."""

    _saga: Saga

    @workflow.signal(name=WISH)
    async def keep_wish(self, request: CancelRequest) -> None:
        """Do as `cancel` does, though nobody may wait for the answer any more."""
        await self._saga.take_wish(request)

    @workflow.update
    async def cancel(self, request: CancelRequest) -> CancelDecision:
        """Cancel the order, if it is not too late; answered as soon as that is decided, before all is undone."""
        return await self._saga.cancel(request)

    @cancel.validator
    def turn_away(self, request: CancelRequest) -> None:
        """Refuse what needs no thought; nothing of it gets into the history."""
        self._saga.turn_away(request)

    @workflow.signal
    def redrive(self, service: str) -> None:
        """Try the parked step, or the parked compensation, of this service once more."""
        self._saga.redrive(service)

    @workflow.query
    def progress(self) -> SagaOutcome:
        """How the order stands now."""
        return self._saga.outcome()


class AfterTheSaga(SagaConversation):
    """What can be said to a workflow that undoes an order on which no saga is at work."""

    UNDOING: ClassVar[tuple[Step, ...]] = (CANCEL_SHIPMENT, ISSUE_CREDIT_NOTE, REVERSE_SALE, TELL_CUSTOMER)
    """The compensations of all that may have been done, in the sequence of the saga's steps."""

    @workflow.signal
    def placed(self, late: LateOrder) -> None:
        """The order was placed after its cancellation: it is taken in, and stays cancelled."""
        workflow.upsert_memo({"digest": late.digest})
