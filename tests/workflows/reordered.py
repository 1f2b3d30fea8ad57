"""Workflows with a step out of its place, as a careless change would make them: their replay must fail."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from events.bus import BUS, BusStart
    from events.log import EventLog
    from orders.model import Placement
    from services.analytics import RECORD_SALE, REVERSE_SALE
    from services.invoicing import ISSUE_CREDIT_NOTE, ISSUE_INVOICE
    from services.marketing import TELL_CUSTOMER, THANK_CUSTOMER
    from services.shipping import BEGIN_FULFILMENT, CANCEL_SHIPMENT
    from workflows.event_bus import EventBus
    from workflows.outcome import SagaOutcome
    from workflows.saga import Saga


@workflow.defn(name="OrderSaga")
class ReorderedSaga:
    """Invoices before it ships."""

    @workflow.run
    async def run(self, placement: Placement) -> SagaOutcome:
        saga = Saga(placement.order_id, lab=placement.lab, dice=placement.dice)
        await saga.in_parallel(
            [
                saga.step(ISSUE_INVOICE, placement, undo=ISSUE_CREDIT_NOTE),
                saga.step(BEGIN_FULFILMENT, placement, undo=CANCEL_SHIPMENT),
                saga.step(RECORD_SALE, placement, undo=REVERSE_SALE),
                saga.step(THANK_CUSTOMER, placement, undo=TELL_CUSTOMER),
            ]
        )
        return saga.outcome()


@workflow.defn(name=BUS)
class ReorderedBus(EventBus):
    """Serves subscribers in the reverse sequence."""

    @workflow.init
    def __init__(self, start: BusStart) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: BusStart) -> EventLog:
        return await super().run(start)

    def _waiting_lanes(self) -> list[str]:
        return super()._waiting_lanes()[::-1]
