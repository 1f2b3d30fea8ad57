"""Duplicates, disorder and poison: events as a network and careless publishers really deliver them."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from events.bus import bus_id
from events.catalogue import OrderFailed
from events.edge import order_placed
from events.envelope import Event
from events.log import DeliveryState, EventLog, OrderState
from events.transport import EventPublisher
from lab.effects import all_effects
from lab.parity import compare_styles
from lab.placing import Placed
from lab.status import end_of
from orders.model import STYLES, Order
from services.order_placed import registry
from services.service import task_queue
from tests.labs import Lab


def given_up(placed: Event) -> Event:
    """A person tells, in shipping's place, that it gave the order up."""
    failed = OrderFailed(order_id=placed.correlation_key, service="shipping", reason="test")
    told = placed.follow_up(
        f"{placed.id}/shipment.failed", "shipment.failed", source="test", time=datetime.now(UTC), data=failed
    )
    return told.model_copy(update={"byhand": "ann"})


def publisher(lab: Lab) -> EventPublisher:
    """Publishes without the edge, as a careless system would."""
    return EventPublisher(lab.client, registry(lab.name), lab=lab.name, task_queue=task_queue("bus", lab.name))


async def log_at_the_end(lab: Lab, order: Order) -> EventLog:
    run = lab.client.get_workflow_handle(bus_id(order.order_id), result_type=EventLog)
    log: EventLog = await asyncio.wait_for(run.result(), 30)
    return log


@pytest.mark.parametrize("sequence", list(itertools.permutations(range(2))), ids=["in order", "reversed"])
async def test_an_order_and_its_failure_in_any_sequence_ten_times_over_leave_nothing_of_it(
    lab: Lab, order: Order, sequence: Sequence[int]
) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{''.join(map(str, sequence))}"})
    placed = order_placed(mine)
    events = (placed, given_up(placed))

    for number in sequence:
        await asyncio.gather(*(publisher(lab).publish(events[number]) for _ in range(10)))
    state, _ = await end_of(lab.client, Placed("choreography", mine.order_id, known=False))
    await log_at_the_end(lab, mine)

    done = lab.effects(mine, "choreography")
    assert state is OrderState.CANCELLED
    assert len(done) == len(set(done))
    # nothing against an order that never was: whatever was done has been undone
    assert compare_styles([mine.order_id], all_effects(lab.settings, mine.order_id)).differences == []


async def test_an_order_published_ten_times_before_and_after_its_end_is_one_order(lab: Lab, order: Order) -> None:
    event = order_placed(order)

    await asyncio.gather(*(publisher(lab).publish(event) for _ in range(10)))
    await log_at_the_end(lab, order)
    await asyncio.gather(*(publisher(lab).publish(event) for _ in range(10)))
    log = await log_at_the_end(lab, order)

    assert len(lab.effects(order, "choreography")) == len(set(lab.effects(order, "choreography"))) == 5
    assert len([entry for entry in log.entries if entry.id == event.id]) == 1


async def test_a_poison_event_ends_in_the_dead_letter_queue_while_all_other_orders_complete(
    lab: Lab, fresh_orders: Callable[[int], list[Order]]
) -> None:
    # given an event that no handler can read, which has come past the edge
    first, *others = fresh_orders(101)
    healthy = order_placed(first)
    poison = healthy.model_copy(update={"data": {"order_id": first.order_id, "customer_id": "17850"}})

    # when it comes in the middle of other orders
    async def run(order: Order) -> list[OrderState | None]:
        placed = [await lab.placer.place(order, style) for style in STYLES]
        return [(await end_of(lab.client, one, look_every_s=0.2))[0] for one in placed]

    flowing = asyncio.gather(*(run(order) for order in others))
    await publisher(lab).publish(poison)
    states = await flowing
    state, reason = await end_of(lab.client, Placed("choreography", first.order_id, known=False), look_every_s=0.2)
    log: EventLog = await lab.client.get_workflow_handle(bus_id(first.order_id)).query("log", result_type=EventLog)

    # then all others are completed, and the poison is kept with its reason and was not tried for days
    assert states == [[OrderState.COMPLETED] * 2] * 100
    assert state is OrderState.CANCELLED
    assert "ValidationError" in (reason or "")
    assert {d.subscriber for d in log.deliveries(DeliveryState.PARKED)} == {"marketing", "analytics"}
    assert lab.effects(first, "choreography") == []
