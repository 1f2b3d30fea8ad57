"""The orchestrated style: one workflow that knows every step of the order, and how to undo it."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.model import Placement
    from services.analytics import RECORD_SALE, REVERSE_SALE
    from services.invoicing import ISSUE_CREDIT_NOTE, ISSUE_INVOICE
    from services.marketing import TELL_CUSTOMER, THANK_CUSTOMER
    from services.shipping import BEGIN_FULFILMENT, CANCEL_SHIPMENT
    from workflows.conversation import SagaConversation
    from workflows.outcome import SagaOutcome
    from workflows.saga import CalledOffError, Saga, StepFailedError


@workflow.defn
class OrderSaga(SagaConversation):
    """Ships, invoices, counts and confirms an order.

    If shipping or invoicing fails for good, or the customer cancels in time, all of it is undone.
    """

    @workflow.init
    def __init__(self, placement: Placement) -> None:
        self._saga = Saga(placement.order_id, lab=placement.lab, dice=placement.dice)

    @workflow.run
    async def run(self, placement: Placement) -> SagaOutcome:
        """Run the order to one of its end states."""
        saga = self._saga
        steps = [
            saga.step(BEGIN_FULFILMENT, placement, undo=CANCEL_SHIPMENT),
            saga.step(ISSUE_INVOICE, placement, undo=ISSUE_CREDIT_NOTE),
            saga.step(RECORD_SALE, placement, undo=REVERSE_SALE),
        ]
        if not placement.order.is_guest:
            steps.append(saga.step(THANK_CUSTOMER, placement, undo=TELL_CUSTOMER))
        try:
            await saga.in_parallel(steps)
            await saga.settled()
        except (StepFailedError, CalledOffError) as why:
            await saga.compensate(str(why))
        except asyncio.CancelledError:
            await saga.compensate("the workflow was cancelled")
            raise  # closes as Cancelled
        return saga.outcome()
