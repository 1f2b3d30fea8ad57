"""Who speaks for a service, on real buses: what does not count is logged and handed to nobody."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from temporalio.client import Client

from events.bus import BUS, PUBLISH, BusStart, bus_id
from events.catalogue import CATALOGUE, OWNERS
from events.edge import order_placed
from events.envelope import Event
from events.log import PAGE, EventLog, LogEntry, OrderState
from events.reading import log_of, whole_log_of
from events.speaking import OUTSIDE
from events.transport import EventPublisher
from hosting.workers import hosting
from lab.audit import Act, audit
from lab.placing import Placed
from lab.status import end_of
from orders.model import Order
from services.order_placed import registry
from services.service import task_queue
from tests.labs import Lab, Labs, failing, open_lab, until
from tests.workflows.test_succession import ticket

FORWARD = {"campaign.left", "confirmation.sent", "invoice.issued", "sale.recorded", "shipment.created"}


def failed(order: Order, *, source: str = "/erp", event_id: str = "f1", by_hand: str | None = None) -> Event:
    """That shipping gave an order up, as somebody else tells it."""
    data = {"order_id": order.order_id, "service": "shipping", "reason": "made up"}
    return Event(
        id=event_id,
        source=source,
        type="shipment.failed",
        subject=order.order_id,
        time=datetime.now(UTC),
        data=data,
        byhand=by_hand,
    )


def squatting(order: Order, event_type: str = "parcel.scanned") -> Event:
    """An event under the source and id of what shipping itself will tell."""
    return failed(order, source="orderlab/shipping", event_id=f"{order.order_id}/shipment.created").model_copy(
        update={"type": event_type}
    )


async def publish(lab: Lab, *events: Event) -> None:
    """Past the edge, as whoever has access to the bus can."""
    publisher = EventPublisher(lab.client, registry(lab.name), lab=lab.name, task_queue=task_queue("bus", lab.name))
    for event in events:
        await publisher.publish(event)


async def state(lab: Lab, order: Order) -> OrderState | None:
    """How the order stands, once nothing is on its way."""
    return (await end_of(lab.client, Placed("choreography", order.order_id, known=False), look_every_s=0.1))[0]


async def whole_log(lab: Lab, order: Order) -> EventLog:
    log = await whole_log_of(lab.client, order.order_id)
    assert log is not None
    return log


def of_type(log: EventLog, event_type: str) -> list[LogEntry]:
    return [entry for entry in log.entries if entry.type == event_type]


async def clean(lab: Lab, order: Order) -> list[Act]:
    """What was told by hand, where the auditor has nothing to say against the order."""
    report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])
    assert not report.violations
    return report.acts


@pytest.mark.parametrize("source", ["/erp", "orderlab/shipping", "orderlab/shop"])
async def test_a_stranger_s_word_that_shipping_gave_up_changes_nothing(lab: Lab, order: Order, source: str) -> None:
    await lab.run(order, "choreography")

    await publish(lab, failed(order, source=source))

    assert await state(lab, order) is OrderState.COMPLETED
    (entry,) = of_type(await whole_log(lab, order), "shipment.failed")
    assert (entry.counts, entry.told_by, entry.deliveries) == (False, OUTSIDE, [])
    assert set(lab.effects(order, "choreography")) == FORWARD
    assert await clean(lab, order) == []


async def test_nothing_from_outside_counts_of_all_that_services_tell(lab: Lab, order: Order) -> None:
    forged = [failed(order, event_id=name).model_copy(update={"type": name}) for name in CATALOGUE if name in OWNERS]

    await publish(lab, *forged, order_placed(order), *(one.model_copy(update={"source": "/crm"}) for one in forged))
    await state(lab, order)
    log = await whole_log(lab, order)

    assert {entry.type for entry in log.entries if not entry.counts} == set(OWNERS)
    assert {entry.told_by for entry in log.entries if entry.counts and entry.type in OWNERS} == {
        "shipping",
        "invoicing",
        "marketing",
        "analytics",
    }
    assert set(lab.effects(order, "choreography")) == FORWARD
    assert await clean(lab, order) == []


@pytest.mark.parametrize("event_type", ["parcel.scanned", "shipment.created", "order.cancelled"])
async def test_a_stranger_who_takes_the_id_of_a_service_s_own_event_keeps_that_out_of_no_log(
    lab: Lab, order: Order, event_type: str
) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{event_type}"})
    await publish(lab, squatting(mine, event_type), order_placed(mine))

    assert await state(lab, mine) is OrderState.COMPLETED
    told = [(e.type, e.told_by, e.counts) for e in (await whole_log(lab, mine)).entries if e.id == squatting(mine).id]
    assert told == [(event_type, OUTSIDE, False), ("shipment.created", "shipping", True)]
    assert await clean(lab, mine) == []


async def test_a_stranger_who_takes_the_id_of_a_failure_keeps_no_order_from_being_undone(
    labs: Labs, order: Order
) -> None:
    own = failed(order, source="orderlab/shipping", event_id=f"{order.order_id}/order.placed/shipment.failed")
    async with labs(fakes=[failing("shipping.on_order_placed")]) as lab:
        await publish(lab, own.model_copy(update={"type": "parcel.scanned"}), order_placed(order))
        ended = await state(lab, order)
        (entry,) = of_type(await whole_log(lab, order), "shipment.failed")
        acts = await clean(lab, order)

    assert ended is OrderState.CANCELLED
    assert (entry.told_by, entry.counts) == ("shipping", True)
    assert acts == []


# What a person tells in a service's place


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_person_s_act_cancels_the_order_once_and_is_told(lab: Lab, order: Order, when: str) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{when}"})
    act = failed(mine, by_hand="ann")
    # when a person tells that shipping gave up, twice, before the order is placed or after its end
    if when == "after":
        await lab.run(mine, "choreography")
    told = [await lab.placer.publish(act), await lab.placer.publish(act)]
    if when == "before":
        await state(lab, mine)
        await lab.run(mine, "choreography")
    ended = await state(lab, mine)
    again = await lab.placer.publish(act)

    # then it counts as shipping's own would, and is known again; the auditor names who it was
    done = lab.effects(mine, "choreography")
    (entry,) = of_type(await whole_log(lab, mine), "shipment.failed")
    assert ended is OrderState.CANCELLED
    assert len(done) == len(set(done)) == (10 if when == "after" else 0)
    assert (entry.by_hand, entry.told_by, len(entry.deliveries)) == ("ann", OUTSIDE, 4)
    assert told[0][0] == ("shipping", "invoicing", "marketing", "analytics")
    assert again[1]
    assert await clean(lab, mine) == [Act(order_id=mine.order_id, what="shipment.failed (f1 of /erp)", by="ann")]


async def test_a_person_is_heard_after_a_stranger_who_told_the_same_under_the_same_id(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    await publish(lab, failed(order))
    assert await state(lab, order) is OrderState.COMPLETED

    _, known = await lab.placer.publish(failed(order, by_hand="ann"))

    assert not known
    assert await state(lab, order) is OrderState.CANCELLED
    assert [act.by for act in await clean(lab, order)] == ["ann"]


async def test_a_claim_by_hand_of_what_was_never_done_is_no_effect_and_told_as_an_act(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    data = {"order_id": order.order_id, "credit_note_number": "CN", "invoice_number": "X", "total_pence": 1}
    claim = failed(order, by_hand="ann").model_copy(update={"type": "credit_note.issued", "data": data})

    await lab.placer.publish(claim)

    assert await state(lab, order) is OrderState.COMPLETED
    assert [act.what for act in await clean(lab, order)] == ["credit_note.issued (f1 of /erp)"]


# Powers of a refusal


@pytest.mark.parametrize("placed_us", ["soon", -1, 10**18, None, True])
async def test_a_stranger_who_dresses_a_cancellation_up_as_a_refusal_cancels_the_order_like_anybody_else(
    lab: Lab, order: Order, placed_us: object
) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{placed_us}"})
    await lab.run(mine, "choreography")
    data = {"order_id": mine.order_id, "reason": "fraud", "refused": True, "placed_us": placed_us}
    dressed_up = failed(mine).model_copy(
        update={"type": "order.cancelled", "data": data, "causationid": f"{mine.order_id}/order.placed"}
    )

    await lab.placer.publish(dressed_up)
    ended = await state(lab, mine)
    answer = await lab.placer.canceller.cancel(mine.order_id, "choreography")

    assert ended is OrderState.CANCELLED
    assert len(lab.effects(mine, "choreography")) == 10
    assert (answer.accepted, answer.reason) == (True, "fraud")
    assert await clean(lab, mine) == []


async def test_a_stranger_answers_no_customer(lab: Lab, order: Order) -> None:
    refusing = failed(order).model_copy(
        update={
            "type": "cancellation.refused",
            "data": {"order_id": order.order_id, "reason": "made up"},
            "causationid": f"{order.order_id}/order.cancel_requested",
        }
    )
    await publish(lab, refusing)
    await lab.run(order, "choreography")
    await publish(lab, refusing.model_copy(update={"id": "f2"}))

    answer = await lab.placer.canceller.cancel(order.order_id, "choreography")

    assert answer.accepted
    assert await state(lab, order) is OrderState.CANCELLED
    assert await clean(lab, order) == []


# However a log is handed on


async def test_how_each_event_came_is_known_after_a_run_was_broken_off(labs: Labs, order: Order) -> None:
    # given a run with a stranger's word and a person's act, terminated while marketing is away
    async with labs(absent=["marketing"]) as lab:
        await publish(lab, order_placed(order), failed(order), squatting(order))
        await until(lambda: len(lab.effects(order, "choreography")) == 3)
        await publish(lab, failed(order, event_id="f2", by_hand="ann"))
        await until(lambda: len(lab.effects(order, "choreography")) == 6)
        before = await log_of(lab.client, order.order_id)
        await lab.client.get_workflow_handle(bus_id(order.order_id)).terminate()
        # when the next event makes a new run go on from what the history tells
        await publish(lab, ticket(order, 1))
        async with hosting(lab.client, ["marketing"], lab.settings, lab.name):
            ended = await state(lab, order)
            after = await whole_log(lab, order)
            acts = await clean(lab, order)

    # then it knows as much as the one before, and nobody was handed what does not count
    def ways(log: EventLog | None) -> list[tuple[str, str | None, str | None, bool]]:
        return [(entry.id, entry.told_by, entry.by_hand, entry.counts) for entry in (log.entries if log else ())]

    assert ended is OrderState.CANCELLED
    assert ways(after)[: len(ways(before))] == ways(before)
    assert [entry.id for entry in after.entries if not entry.counts] == ["f1", squatting(order).id]
    assert not any(entry.deliveries for entry in after.entries if not entry.counts)
    assert {told_by for _, told_by, _, _ in ways(after)} == {OUTSIDE, "shipping", "invoicing", "analytics"}
    assert not {"confirmation.sent", "cancellation.sent"} & {entry.type for entry in after.entries}  # it was away
    assert [act.by for act in acts] == ["ann"]


async def test_how_each_event_came_is_known_on_every_page_of_a_log(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    await publish(lab, failed(order), squatting(order))
    await state(lab, order)
    for number in range(2 * PAGE + 2):
        await publish(lab, ticket(order, number))
    await state(lab, order)
    await publish(lab, ticket(order, -1))
    await state(lab, order)
    latest, whole = await log_of(lab.client, order.order_id), await whole_log(lab, order)
    await publish(lab, failed(order))
    (_, known) = await lab.placer.publish(failed(order, by_hand="ann"))
    ended = await state(lab, order)

    assert latest is not None
    assert all(entry.counts for entry in latest.entries)
    assert [entry.id for entry in whole.entries if not entry.counts] == ["f1", squatting(order).id]
    assert not known
    assert ended is OrderState.CANCELLED
    assert [act.by for act in await clean(lab, order)] == ["ann"]


async def test_how_each_event_came_is_known_to_the_run_that_a_long_one_continues_as(
    impatient_client: Client, tmp_path_factory: pytest.TempPathFactory, fresh_orders: Callable[[int], list[Order]]
) -> None:
    order = next(one for one in fresh_orders(20) if one.customer_id is not None and one.country == "United Kingdom")
    async with open_lab(impatient_client, tmp_path_factory.mktemp("impatient"), absent=["marketing"]) as lab:
        await publish(lab, order_placed(order), failed(order), squatting(order))
        await asyncio.gather(*(publish(lab, ticket(order, number)) for number in range(60)))
        await until(lambda: len(lab.effects(order, "choreography")) == 3)
        await publish(lab, failed(order), failed(order, event_id="f2", by_hand="ann"))
        async with hosting(lab.client, ["marketing"], lab.settings, lab.name):
            ended = await state(lab, order)
            log = await whole_log(lab, order)
            acts = await clean(lab, order)
        runs = [run async for run in lab.client.list_workflows(f"WorkflowId = '{bus_id(order.order_id)}'")]

    assert len(runs) > 1
    assert ended is OrderState.CANCELLED
    assert [entry.id for entry in log.entries if not entry.counts] == ["f1", squatting(order).id]
    assert [act.by for act in acts] == ["ann"]


async def open_run_that_believes_everybody(lab: Lab, order: Order) -> None:
    """Place an order as a version did that kept nothing of who told an event."""
    await lab.client.start_workflow(
        BUS,
        BusStart(known_by_source=True),
        id=bus_id(order.order_id),
        task_queue=task_queue("bus", lab.name),
        start_signal=PUBLISH,
        start_signal_args=[registry(lab.name).route(order_placed(order))],
        memo={"lab": lab.name},
    )


async def test_in_a_run_that_began_when_everybody_was_believed_the_services_look_for_themselves(
    labs: Labs, order: Order
) -> None:
    async with labs(absent=["marketing"]) as lab:
        await open_run_that_believes_everybody(lab, order)
        await publish(lab, failed(order))
        async with hosting(lab.client, ["marketing"], lab.settings, lab.name):
            ended = await state(lab, order)
            log = await whole_log(lab, order)
            acts = await clean(lab, order)

    # then they were handed it, did nothing, and said so
    (entry,) = of_type(log, "shipment.failed")
    assert ended is OrderState.COMPLETED
    assert {of.reason for of in entry.deliveries} == {
        "shipment.failed is for shipping to tell, and this one is from /erp: nothing was done"
    }
    assert set(lab.effects(order, "choreography")) == FORWARD
    assert acts == []


async def test_the_run_after_one_that_believed_everybody_believes_nobody(labs: Labs, order: Order) -> None:
    async with labs() as lab:
        await open_run_that_believes_everybody(lab, order)
        await until(lambda: len(lab.effects(order, "choreography")) == 5)
        await lab.client.get_workflow_handle(bus_id(order.order_id)).result()
        await publish(lab, failed(order))
        first_word = await state(lab, order)
        log = await whole_log(lab, order)

    # then its log says nothing of it, and the next run, which goes on with that, believes nobody
    assert {entry.told_by for entry in log.entries} == {None, OUTSIDE}
    assert first_word is OrderState.COMPLETED
