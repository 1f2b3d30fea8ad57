"""Undoes what is left of an order whose undoing was broken off."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.repairing import RepairRequest
    from workflows.conversation import AfterTheSaga
    from workflows.outcome import SagaOutcome
    from workflows.saga import Saga


@workflow.defn
class OrderRepair(AfterTheSaga):
    """Undoes whatever was done, and asks nobody whether it is too late: the shop itself can't keep the order.

    It has the workflow id of the order's saga, so there is never one at work beside the other. What was undone before
    is answered as it was then; what gives up is parked and waits for its redrive, as in the saga.
    """

    @workflow.init
    def __init__(self, request: RepairRequest) -> None:
        self._saga = Saga(request.order_id, lab=request.lab, dice=None)
        self._saga.was_left_half_undone(request, undo=self.UNDOING)

    @workflow.run
    async def run(self, request: RepairRequest) -> SagaOutcome:
        """Undo, and tell how the order stands."""
        await self._saga.compensate(request.reason)
        return self._saga.outcome()
