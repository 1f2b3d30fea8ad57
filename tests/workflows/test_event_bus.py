"""The choreographed style and the durable bus under it, on a real server, real databases and a real mail server."""

import asyncio
from datetime import UTC, datetime

import pytest
from temporalio.client import Client

from events.bus import REDRIVE
from events.edge import order_placed
from events.envelope import Event
from events.log import DeliveryState, EventLog, OrderState
from events.readable import MAX_EVENT_BYTES
from events.reading import log_of
from lab.status import end_of
from orders.model import STYLES, Order
from runtime.errors import InputError
from tests.buses import bus_with
from tests.labs import Lab, Labs, failing, until

FORWARD = ["campaign.left", "confirmation.sent", "invoice.issued", "sale.recorded", "shipment.created"]


async def test_each_service_reacts_once_to_an_order_and_tells_of_it(lab: Lab, order: Order) -> None:
    status = await lab.run(order, "choreography")
    log = await log_of(lab.client, order.order_id)

    assert status.state is OrderState.COMPLETED
    assert sorted(lab.effects(order, "choreography")) == FORWARD
    assert log is not None
    assert log.entries[0].type == "order.placed"
    assert sorted(entry.type for entry in log.entries[1:]) == FORWARD
    assert {entry.causationid for entry in log.entries[1:]} == {log.entries[0].id}


async def test_a_guest_s_order_is_not_even_delivered_to_marketing(lab: Lab, order: Order) -> None:
    guest = order.model_copy(update={"customer_id": None})

    await lab.run(guest, "choreography")
    log = await log_of(lab.client, guest.order_id)

    assert log is not None
    assert sorted(d.subscriber for d in log.entries[0].deliveries) == ["analytics", "invoicing", "shipping"]


@pytest.mark.parametrize(
    ("broken", "undone"),
    [
        ("shipping.on_order_placed", ["campaign.rejoined", "cancellation.sent", "credit_note.issued", "sale.reversed"]),
        (
            "invoicing.on_order_placed",
            ["campaign.rejoined", "cancellation.sent", "sale.reversed", "shipment.cancelled"],
        ),
    ],
)
async def test_when_a_critical_service_gives_up_each_other_service_undoes_its_own_work(
    labs: Labs, order: Order, broken: str, undone: list[str]
) -> None:
    async with labs(fakes=[failing(broken)]) as lab:
        status = await lab.run(order, "choreography")

    assert status.state is OrderState.CANCELLED
    assert sorted(effect for effect in lab.effects(order, "choreography") if effect not in FORWARD) == undone


@pytest.mark.parametrize("broken", ["marketing.on_order_placed", "analytics.on_order_placed"])
async def test_a_delivery_that_is_not_critical_is_parked_and_handled_on_redrive(
    labs: Labs, order: Order, broken: str
) -> None:
    async with labs(fakes=[failing(broken, times=1)]) as lab:
        parked = await lab.run(order, "choreography")
        run = lab.client.get_workflow_handle(parked.workflow_id, result_type=EventLog)
        await run.signal(REDRIVE, f"{order.order_id}/order.placed>{broken}")
        log = await run.result()

    assert parked.state is OrderState.PARKED
    assert "broken for the test" in (parked.detail or "")
    assert not log.deliveries(DeliveryState.PARKED)
    assert sorted(lab.effects(order, "choreography")) == FORWARD


async def test_a_compensation_that_gives_up_asks_for_attention_and_keeps_no_other_from_its_work(
    labs: Labs, order: Order
) -> None:
    async with labs(fakes=[failing("shipping.on_order_placed"), failing("analytics.on_order_cancelled")]) as lab:
        status = await lab.run(order, "choreography")

    assert status.state is OrderState.ATTENTION
    undone = {"cancellation.sent", "campaign.rejoined", "credit_note.issued"}
    assert undone <= set(lab.effects(order, "choreography"))


async def test_an_event_published_ten_times_at_once_and_again_after_the_end_is_handled_once(
    lab: Lab, order: Order
) -> None:
    event = order_placed(order)

    await asyncio.gather(*(lab.placer.publish(event) for _ in range(10)))
    state, _ = await end_of(lab.client, await lab.placer.place(order, "choreography"))
    _, known = await lab.placer.publish(event)
    log = await log_of(lab.client, order.order_id)

    assert known
    assert state is OrderState.COMPLETED
    assert sorted(lab.effects(order, "choreography")) == FORWARD
    assert log is not None
    assert len([entry for entry in log.entries if entry.id == event.id]) == 1


async def test_an_order_cancelled_while_something_is_parked_has_ended_and_is_not_waited_for(
    labs: Labs, order: Order
) -> None:
    async with labs(fakes=[failing("shipping.on_order_placed"), failing("marketing.on_order_placed")]) as lab:
        placed = await lab.placer.place(order, "choreography")
        state, _ = await asyncio.wait_for(end_of(lab.client, placed, look_every_s=0.2), 20)

    assert state is OrderState.CANCELLED


async def test_an_order_placed_again_after_a_later_event_is_still_the_same_order(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    scan = Event(id="scan-1", source="test", type="parcel.scanned", subject=order.order_id, time=datetime.now(UTC))
    await lab.placer.publish(scan)

    (again,) = await lab.placer.place_once(order, ("choreography",))
    with pytest.raises(InputError, match="other content"):
        await lab.placer.place_once(order.model_copy(update={"country": "Norway"}), ("choreography",))

    assert again.known


async def test_an_order_of_which_was_heard_before_it_was_placed_can_be_placed(lab: Lab, order: Order) -> None:
    scan = Event(id="scan-1", source="test", type="parcel.scanned", subject=order.order_id, time=datetime.now(UTC))
    await lab.placer.publish(scan)

    (placed,) = await lab.placer.place_once(order, ("choreography",))
    state, _ = await end_of(lab.client, placed)

    assert not placed.known
    assert state is OrderState.COMPLETED


async def test_a_bus_replayed_from_the_start_at_each_task_ends_the_same(labs: Labs, order: Order) -> None:
    async with labs(cached=0) as lab:
        status = await lab.run(order, "choreography")

    assert status.state is OrderState.COMPLETED
    assert sorted(lab.effects(order, "choreography")) == FORWARD


async def test_an_order_as_large_as_is_let_in_ends_in_both_styles(lab: Lab, order: Order) -> None:
    # given: four services are handed the order in one message to the server, which takes 4 MiB
    line = order.lines[0].model_copy(update={"description": "x" * 200})
    size = len(line.model_dump_json()) + 1
    lines = (MAX_EVENT_BYTES - 2_000) // size
    large = order.model_copy(
        update={"lines": tuple(line.model_copy(update={"stock_code": f"P{i}"}) for i in range(lines))}
    )

    for style in STYLES:
        status = await lab.run(large, style)

        assert status.state is OrderState.COMPLETED


# What follows is about the bus alone: subscribers that note what they are handed, and events of no order.


async def test_each_subscriber_is_handed_events_one_by_one_in_the_sequence_of_the_log(client: Client) -> None:
    async with bus_with(client, "in-order", "first", "second") as bus:
        for number in range(20):
            await bus.publisher.publish(bus.event(number))
        log = await bus.run.result()

        assert bus.notes.of("first") == [entry.id for entry in log.entries]
        assert bus.notes.of("second") == [entry.id for entry in log.entries]


async def test_a_slow_and_an_absent_subscriber_delay_no_other(client: Client) -> None:
    async with bus_with(client, "no-delay", "slow", "absent", "quick") as bus:
        for number in range(5):
            await bus.publisher.publish(bus.event(number))

        await until(lambda: len(bus.notes.of("quick")) == 5)

        assert bus.notes.of("slow") == []


async def test_later_events_pass_a_parked_one_by_and_it_is_handled_on_redrive(client: Client) -> None:
    async with bus_with(client, "pass-by", "odd") as bus:
        for number in range(4):
            await bus.publisher.publish(bus.event(number))
        await bus.until_parked(2)
        bus.notes.hold.set()
        await bus.run.signal(REDRIVE, "pass-by-3>odd.note")
        await bus.run.signal(REDRIVE, "pass-by-1>odd.note")
        await bus.run.signal(REDRIVE, "never-parked")
        log = await bus.run.result()

        assert bus.notes.of("odd") == ["pass-by-0", "pass-by-2", "pass-by-3", "pass-by-1"]
        assert not log.deliveries(DeliveryState.PARKED)


async def test_more_parked_deliveries_than_a_search_attribute_can_name_are_kept(client: Client) -> None:
    key = "many-" + "x" * 180
    async with bus_with(client, key, "odd") as bus:
        for number in range(40):
            await bus.publisher.publish(bus.event(number))
        await bus.until_parked(20)
        bus.notes.hold.set()
        for number in range(1, 40, 2):
            await bus.run.signal(REDRIVE, f"{key}-{number}>odd.note")
        log = await bus.run.result()

    assert len(bus.notes.of("odd")) == len(log.entries) == 40


async def test_an_answer_that_is_no_reaction_parks_the_delivery_and_stops_no_other(client: Client) -> None:
    async with bus_with(client, "nonsense", "rambling", "first") as bus:
        for number in range(3):
            await bus.publisher.publish(bus.event(number))
        log = await bus.until_parked(3)
        await until(lambda: len(bus.notes.of("first")) == 3)

    assert "no reaction" in (log.deliveries(DeliveryState.PARKED)[0].reason or "")


async def test_a_bus_that_is_cancelled_in_the_ui_goes_on(client: Client) -> None:
    async with bus_with(client, "not-cancelled", "slow") as bus:
        await bus.publisher.publish(bus.event(0))
        await bus.run.cancel()
        await bus.publisher.publish(bus.event(1))
        bus.notes.hold.set()
        log = await bus.run.result()

    assert bus.notes.of("slow") == [entry.id for entry in log.entries] == ["not-cancelled-0", "not-cancelled-1"]


async def test_a_delivery_that_no_worker_takes_within_the_window_is_parked_with_that_reason(client: Client) -> None:
    async with bus_with(client, "nobody", "absent", window_s=0.5) as bus:
        await bus.publisher.publish(bus.event(0))
        log = await bus.until_parked(1)

        assert log.deliveries(DeliveryState.PARKED)[0].reason == "retry window over: no worker took it"


async def test_an_event_nobody_subscribed_to_is_logged_and_the_run_ends(client: Client) -> None:
    async with bus_with(client, "unheard") as bus:
        publication = await bus.publisher.publish(bus.event(0))
        log = await bus.run.result()

    assert publication.recipients == ()
    assert [entry.id for entry in log.entries] == ["unheard-0"]


async def test_an_event_after_the_run_has_closed_goes_on_with_the_same_log(client: Client) -> None:
    async with bus_with(client, "later", "first") as bus:
        await bus.publisher.publish(bus.event(0))
        await bus.run.result()
        publication = await bus.publisher.publish(bus.event(1))
        log = await bus.run.result()
        again = await bus.publisher.publish(bus.event(0))

        assert not publication.known
        assert again.known
        assert [entry.id for entry in log.entries] == ["later-0", "later-1"]
        assert bus.notes.of("first") == ["later-0", "later-1"]


async def test_after_a_run_was_terminated_in_the_ui_the_next_event_goes_on_with_what_it_had_accepted(
    client: Client,
) -> None:
    async with bus_with(client, "terminated", "slow") as bus:
        await bus.publisher.publish(bus.event(0))
        await bus.run.terminate()
        bus.notes.hold.set()
        await bus.publisher.publish(bus.event(1))
        log = await bus.run.result()

    assert [entry.id for entry in log.entries] == ["terminated-0", "terminated-1"]
    assert bus.notes.of("slow")[-2:] == ["terminated-0", "terminated-1"]


async def test_a_subscriber_that_is_away_holds_up_no_new_run(impatient_client: Client) -> None:
    async with bus_with(impatient_client, "away", "absent", "first", window_s=600) as bus:
        for number in range(60):
            await bus.publisher.publish(bus.event(number))
        await until(lambda: len(bus.notes.of("first")) == 60)
        runs = [run async for run in impatient_client.list_workflows("WorkflowId = 'bus/away'")]

    assert bus.notes.of("first") == [f"away-{number}" for number in range(60)]
    assert len(runs) > 1


async def test_a_log_too_long_for_one_history_continues_as_new_and_loses_doubles_and_reorders_nothing(
    impatient_client: Client,
) -> None:
    async with bus_with(impatient_client, "long", "first", "odd") as bus:
        # when many events come, some of which one subscriber refuses
        for number in range(60):
            await bus.publisher.publish(bus.event(number))
        await until(lambda: len(bus.notes.of("first")) == 60)
        await bus.until_parked(30)
        bus.notes.hold.set()
        for number in range(1, 60, 2):
            await bus.run.signal(REDRIVE, f"long-{number}>odd.note")
        log = await bus.run.result()
        runs = [run async for run in impatient_client.list_workflows("WorkflowId = 'bus/long'")]

        # then every event was handled once by each, in sequence, and what was parked went along
        ids = [f"long-{number}" for number in range(60)]
        assert [entry.id for entry in log.entries] == ids
        assert bus.notes.of("first") == ids
        assert bus.notes.of("odd")[:30] == ids[::2]
        assert sorted(bus.notes.of("odd")) == sorted(ids)
        assert len(runs) > 1
