"""What the two styles are held against: the least that a workflow can do with the same activities.

None of them compensates, parks, redrives or cancels, so they are no way to run orders; they tell what the styles cost
beyond that. They run beside the lab, on task queues and databases of their own.
"""

import asyncio

from pydantic import BaseModel, ConfigDict
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from events.envelope import Event
    from events.subscriptions import Recipient, RoutedEvent
    from orders.model import Placement
    from services.analytics import RECORD_SALE
    from services.invoicing import ISSUE_INVOICE
    from services.marketing import THANK_CUSTOMER
    from services.service import Step
    from services.shipping import BEGIN_FULFILMENT


class OneStep(BaseModel):
    """An order, and the one activity to run for it."""

    model_config = ConfigDict(frozen=True)

    placement: Placement
    activity: str


_STEPS = {step.activity: step for step in (BEGIN_FULFILMENT, ISSUE_INVOICE, RECORD_SALE, THANK_CUSTOMER)}


@workflow.defn
class BareWorkflow:
    """The saga's activities, side by side, and nothing else."""

    @workflow.run
    async def run(self, placement: Placement) -> None:
        """Run those activities that `OrderSaga` runs for this order."""
        steps = [step for step in _STEPS.values() if step is not THANK_CUSTOMER or not placement.order.is_guest]
        await asyncio.gather(*(_run(step, placement) for step in steps))


@workflow.defn
class OneActivity:
    """One activity of one service."""

    @workflow.run
    async def run(self, work: OneStep) -> None:
        """Run it."""
        await _run(_STEPS[work.activity], work.placement)


@workflow.defn
class NaiveSubscriber:
    """One workflow per order and subscriber: takes an event, hands it to the subscriber's handler, and ends."""

    def __init__(self) -> None:
        self._event: Event | None = None

    @workflow.run
    async def run(self, recipient: Recipient) -> None:
        """Hand the event over."""
        await workflow.wait_condition(lambda: self._event is not None)
        await workflow.execute_activity(
            recipient.handler, self._event, task_queue=recipient.task_queue, **recipient.attempts.options()
        )

    @workflow.signal
    def publish(self, routed: RoutedEvent) -> None:
        """Take the event."""
        self._event = routed.event


async def _run(step: Step, placement: Placement) -> None:
    await workflow.execute_activity(
        step.activity,
        placement,
        task_queue=step.service.task_queue(placement.lab),
        **step.service.attempts.options(),
    )
