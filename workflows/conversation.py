"""What can be said to every workflow that runs a saga."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.cancelling import CancelDecision, CancelRequest
    from workflows.outcome import SagaOutcome
    from workflows.saga import Saga


class SagaConversation:
    """Answers whoever asks about the saga or wants something of it."""

    _saga: Saga

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
