"""Why something failed can be read where a person looks for it, whatever the server's limits are."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.succession import take_over_log
from events.bus import REDRIVE, ROUTE
from events.envelope import Event
from events.log import EventLog, OrderState
from events.subscriptions import RoutedEvent
from hosting.composition import WORKFLOWS_OF
from hosting.failures import MOST_BYTES
from lab.dead_letters import parked
from lab.runs import workflow_id
from lab.status import status_of
from orders.cancelling import CancelRequest
from orders.model import Order, Placement
from services.service import task_queue
from services.shipping import BEGIN_FULFILMENT
from tests.labs import Activity, Labs, failing, in_place_of, until_listed
from workflows.order_cancellation import OrderCancellation

HIDDEN = "Failure exceeds size limit"


@dataclass
class complaining:  # noqa: N801 - reads as what a service is
    """A service whose activity of this type fails with whatever it is given."""

    activity_type: str
    error: Callable[[], BaseException]

    def instead_of(self, real: Activity) -> Activity:
        """The activity to host."""

        def complain(work: Any) -> Any:  # noqa: ANN401, ARG001 - whatever the real one takes and gives
            raise self.error()

        return in_place_of(real, complain)


def exactly(size: int) -> type[DefaultFailureConverter]:
    """Writes failures of so many bytes."""

    class Exactly(DefaultFailureConverter):
        def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
            del exception, payload_converter
            failure.message = "why: "
            failure.application_failure_info.type = "Measured"
            failure.message += "y" * (size - failure.ByteSize() - 1)  # whose length takes a second byte
            assert failure.ByteSize() == size

    return Exactly


@pytest.mark.parametrize(("size", "is_hidden"), [(MOST_BYTES, False), (MOST_BYTES + 1, True)])
async def test_the_server_keeps_a_failure_of_as_many_bytes_as_we_bound_it_to_and_not_one_more(
    labs: Labs, fresh_orders: Callable[[int], list[Order]], *, size: int, is_hidden: bool
) -> None:
    (order,) = fresh_orders(1)

    @activity.defn(name=BEGIN_FULFILMENT.activity)
    async def begin(_placement: Placement) -> None:
        raise RuntimeError

    async with labs(absent=["shipping"]) as lab, contextlib.AsyncExitStack() as stack:
        config = lab.client.config()
        config["plugins"] = []
        config["data_converter"] = replace(lab.client.data_converter, failure_converter_class=exactly(size))
        queue = task_queue("shipping", lab.name)
        await stack.enter_async_context(Worker(Client(**config), task_queue=queue, activities=[begin]))
        await lab.placer.place(order, "saga")

        run = lab.client.get_workflow_handle(workflow_id("saga", order.order_id))
        async with asyncio.timeout(30):
            while True:
                waiting = (await run.describe()).raw_description.pending_activities
                told = [one.last_failure.message for one in waiting if one.HasField("last_failure")]
                if told:
                    break
                await asyncio.sleep(0.02)
        await run.terminate("the test is over")

    assert told[0].startswith(HIDDEN if is_hidden else "why: yyy")


@pytest.mark.parametrize("handler", ["marketing.thank_customer", "analytics.record_sale"])
async def test_what_is_parked_says_why_however_long_the_reason_is(labs: Labs, order: Order, handler: str) -> None:
    def reason() -> BaseException:
        return ApplicationError("the printer is out of 紙 " + "and 紙 " * 1_500, non_retryable=True)

    async with labs(fakes=[complaining(handler, reason)]) as lab:
        status = await lab.run(order, "saga")
        await until_listed(lab.client, status.workflow_id)
        (letter,) = await parked(lab.client, lab.name)
        await lab.client.get_workflow_handle(status.workflow_id).terminate("the test is over")

    assert "the printer is out of 紙 and 紙" in letter.delivery.reason
    assert letter.delivery.attempts == 1
    assert "the printer is out of 紙" in (status.detail or "")


async def test_a_delivery_whose_failure_nobody_can_route_is_parked_and_its_redrive_goes_on(
    labs: Labs, order: Order
) -> None:
    @activity.defn(name=ROUTE)
    async def lost(_event: Event) -> RoutedEvent:
        raise ApplicationError("the registry is gone", non_retryable=True)

    async with labs(absent=["bus"], fakes=[failing("shipping.on_order_placed", times=1)]) as lab:
        queue = task_queue("bus", lab.name)
        bus = Worker(lab.client, task_queue=queue, workflows=WORKFLOWS_OF["bus"], activities=[lost, take_over_log])
        async with bus:
            status = await lab.run(order, "choreography")
            run = lab.client.get_workflow_handle(status.workflow_id, result_type=EventLog)
            await run.signal(REDRIVE, f"{order.order_id}/order.placed>shipping.on_order_placed")
            await run.result()
            after = await status_of(lab.client, "choreography", order.order_id)

    assert status.state is OrderState.PARKED
    assert "broken for the test" in (status.detail or "")
    assert "nobody could tell who hears of shipment.failed: the registry is gone" in (status.detail or "")
    assert after is not None
    assert after.state is OrderState.COMPLETED


async def test_a_cancellation_with_a_reason_that_no_database_keeps_is_decided_and_tells_as_much_as_one_does(
    labs: Labs, order: Order
) -> None:
    request = CancelRequest(style="saga", order_id=order.order_id, reason="a\0b" + "x" * 600)
    async with labs() as lab:
        outcome = await lab.client.execute_workflow(
            OrderCancellation.run,
            request.model_copy(update={"lab": lab.name}),
            id=workflow_id("saga", order.order_id),
            task_queue=task_queue("saga", lab.name),
        )

    assert outcome.state is OrderState.CANCELLED
    assert outcome.reason == "a\ufffdb" + "x" * 497
