"""How an order stands is answered at once, whatever becomes of its workflow between two looks."""

import asyncio

import pytest
from temporalio.client import Client

from events.bus import bus_id
from events.log import OrderState
from events.reading import log_of
from lab.cancelling import Canceller
from lab.runs import runs_of
from lab.status import OrderStatus, status_of
from orders.model import STYLES, Order, Style
from tests.buses import bus_with
from tests.labs import Labs, ended, holding, until
from tests.meanwhile import meanwhile

BOTH = pytest.mark.parametrize("style", STYLES)

WITHIN_S = 3
"""More than it takes, and less than an attempt may that is waiting meanwhile."""

DECIDING = {"saga": "shipping.decide_cancellation", "choreography": "shipping.on_cancel_requested"}


@BOTH
async def test_an_order_that_had_ended_and_is_being_cancelled_since_is_told_at_once(
    labs: Labs, order: Order, style: Style
) -> None:
    deciding = holding(DECIDING[style])
    async with labs(fakes=[deciding]) as lab:
        # given an order that has ended, and a customer who wants to cancel just when somebody has looked at its run
        await lab.run(order, style)
        asked: list[asyncio.Task[object]] = []

        async def cancel() -> None:
            asked.append(asyncio.create_task(Canceller(lab.client, lab.name).cancel(order.order_id, style)))
            await until(deciding.begun.is_set)

        # when they look how it stands
        looking = meanwhile(lab.client, after_looking=cancel)
        told = asyncio.create_task(status_of(looking, style, order.order_id))
        done, _ = await asyncio.wait({told}, timeout=WITHIN_S)
        # then it is told while shipping still thinks about it
        deciding.released.set()
        await asyncio.gather(told, *asked)
        await ended(lab, order, style)

    assert done == {told}
    assert state_of(told.result()) is OrderState.COMPLETED


async def test_a_bus_that_continued_as_new_just_now_is_told_at_once_and_so_is_its_log(impatient_client: Client) -> None:
    async with bus_with(impatient_client, "news", "first", "odd") as bus:
        # given an open bus that has continued as new
        for number in range(60):
            await bus.publisher.publish(bus.event(number))
        log = await bus.until_parked(30)
        earlier, *_ = await runs_of(bus.client, bus_id(bus.key))
        # when somebody looks who has seen but the run before
        looking = meanwhile(bus.client, first_look_at=earlier)
        reading = meanwhile(bus.client, first_look_at=earlier)
        async with asyncio.timeout(WITHIN_S):
            status = await status_of(looking, "choreography", bus.key)
            read = await log_of(reading, bus.key)

    assert state_of(status) is OrderState.RUNNING
    assert read == log


def state_of(status: OrderStatus | None) -> OrderState | None:
    assert status is not None
    return status.state
