"""Cancels an order that no saga is at work on: one that has ended, or that was never placed."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orders.cancelling import CancelRequest
    from workflows.conversation import AfterTheSaga
    from workflows.outcome import SagaOutcome
    from workflows.saga import Saga
    from workflows.uninterrupted import uninterrupted


@workflow.defn
class OrderCancellation(AfterTheSaga):
    """Asks shipping whether it is too late, and if it is not, undoes whatever was done.

    It has the workflow id of the order's saga, so there is never one at work beside the other. Where nothing was done
    yet, undoing closes the idempotency keys: by that the services remember the cancellation.
    """

    @workflow.init
    def __init__(self, request: CancelRequest) -> None:
        self._saga = Saga(request.order_id, lab=request.lab, dice=request.dice)

    @workflow.run
    async def run(self, request: CancelRequest) -> SagaOutcome:
        """Decide, undo, and tell how the order stands.

        Raises:
            ApplicationError: it stands in no legal state, as its saga was broken off, and shipping has refused.
        """
        saga = self._saga
        saga.may_have_been_done(undo=self.UNDOING)
        # Cancelling this workflow would mean to keep the order, which nobody can ask for.
        decision = await uninterrupted(saga.cancel(request))
        if decision.accepted:
            await saga.compensate(decision.reason)
            return saga.outcome()
        await uninterrupted(saga.settled())
        if request.broken:
            raise ApplicationError("the order is still as its broken saga left it", non_retryable=True)
        return saga.outcome()
