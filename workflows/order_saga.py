"""The orchestrated style: one workflow that knows every step of the order, and how to undo it."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.model import Placement
    from services.analytics import RECORD_SALE, REVERSE_SALE
    from services.invoicing import ISSUE_CREDIT_NOTE, ISSUE_INVOICE
    from services.marketing import TELL_CUSTOMER, THANK_CUSTOMER
    from services.shipping import BEGIN_FULFILMENT, CANCEL_SHIPMENT
    from workflows.saga import Saga, SagaOutcome, StepFailedError


@workflow.defn
class OrderSaga:
    """Ships, invoices, counts and confirms an order; if shipping or invoicing fails for good, undoes all of it."""

    @workflow.init
    def __init__(self, placement: Placement) -> None:
        self._saga = Saga(placement)

    @workflow.run
    async def run(self, placement: Placement) -> SagaOutcome:
        """Run the order to one of its end states."""
        saga = self._saga
        steps = [
            saga.step(BEGIN_FULFILMENT, undo=CANCEL_SHIPMENT),
            saga.step(ISSUE_INVOICE, undo=ISSUE_CREDIT_NOTE),
            saga.step(RECORD_SALE, undo=REVERSE_SALE),
        ]
        if not placement.order.is_guest:
            steps.append(saga.step(THANK_CUSTOMER, undo=TELL_CUSTOMER))
        try:
            await saga.in_parallel(steps)
            await saga.parked_steps_redriven()
        except StepFailedError as failure:
            await saga.compensate(str(failure))
        except asyncio.CancelledError:
            await saga.compensate("the workflow was cancelled")
            raise  # closes as Cancelled
        return saga.outcome()

    @workflow.signal
    def redrive(self, service: str) -> None:
        """Try the parked step of this service once more."""
        self._saga.redrive(service)

    @workflow.query
    def progress(self) -> SagaOutcome:
        """How the order stands now."""
        return self._saga.outcome()
