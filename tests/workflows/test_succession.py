"""A run of the bus goes on where the one before ended, whatever was done to that or held the publisher up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, ResetWorkflowExecutionRequest
from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import RPCError

from events.bus import REDRIVE, bus_id
from events.edge import cancel_requested
from events.envelope import Event
from events.log import PAGE, DeliveryState, EventLog, OrderState
from events.reading import log_of, whole_log_of
from events.succession import take_over
from events.transport import EventPublisher
from hosting.workers import hosting
from lab.audit import audit
from lab.dead_letters import Outcome, chosen, parked, redrive
from lab.placing import Placer
from lab.runs import runs_of
from lab.status import end_of, recent, status_of
from orders.model import Order
from runtime.errors import InputError, OrderlabError
from runtime.search import ORDER_ID, PARKED
from tests.buses import Bus, bus_with
from tests.labs import Lab, Labs, failing, until, until_listed


@dataclass
class Gate:
    """Holds up whoever opens a run that follows a closed one."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class HeldUp(Interceptor):
    """A network that is slow just there."""

    gate: Gate

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        return _HeldUp(next, self.gate)


class _HeldUp(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, gate: Gate) -> None:
        super().__init__(following)
        self._gate = gate

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[object, object]:  # noqa: A002 - likewise
        if input.id_reuse_policy is WorkflowIDReusePolicy.ALLOW_DUPLICATE:
            self._gate.reached.set()
            await self._gate.open.wait()
        return await super().start_workflow(input)


def held_up(client: Client, gate: Gate) -> Client:
    """The same client, for a publisher that is held up."""
    config = client.config()
    config["interceptors"] = [*config["interceptors"], HeldUp(gate)]
    return Client(**config)


@asynccontextmanager
async def publishing_late(bus: Bus, event: Event) -> AsyncIterator[None]:
    """Publish an event, held up meanwhile between the look at the closed run and the call that opens the next."""
    gate = Gate()
    late = EventPublisher(held_up(bus.client, gate), bus.registry, lab="", task_queue=bus.key)
    publishing = asyncio.create_task(late.publish(event))
    await gate.reached.wait()
    yield
    gate.open.set()
    await publishing


def ticket(order: Order, number: int) -> Event:
    """An event about an order, that no service of ours hears of."""
    return Event(
        id=f"ticket-{number}",
        source="/support-desk",
        type="ticket.created",
        subject=order.order_id,
        time=datetime.now(UTC),
    )


async def closed_log(client: Client, key: str) -> EventLog:
    """The log of a key, once its latest run has closed."""
    await asyncio.wait_for(client.get_workflow_handle(bus_id(key)).result(), 30)
    log = await whole_log_of(client, key)
    assert log is not None
    return log


async def delete(client: Client, workflow_id: str, run_id: str) -> None:
    """Delete a closed run, and wait until the server has done so."""
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        )
    )
    with contextlib.suppress(RPCError):  # which is then: not found
        while True:
            await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
            await asyncio.sleep(0.05)


async def closed(bus: Bus) -> EventLog:
    """Wait until the latest run of the bus has closed; answers its log."""
    return await asyncio.wait_for(bus.run.result(), 30)


async def ids(bus: Bus) -> list[str]:
    await closed(bus)
    log = await whole_log_of(bus.client, bus.key)
    assert log is not None
    return [entry.id for entry in log.entries]


@pytest.mark.parametrize("between", [1, 3])
async def test_a_publisher_that_was_held_up_while_other_runs_opened_and_closed_overwrites_none_of_them(
    client: Client, between: int
) -> None:
    async with bus_with(client, f"held-up-{between}", "first") as bus:
        await bus.publisher.publish(bus.event(0))
        await closed(bus)
        async with publishing_late(bus, bus.event(99)):
            for number in range(1, between + 1):
                await bus.publisher.publish(bus.event(number))
                await closed(bus)

        expected = [bus.event(number).id for number in (*range(between + 1), 99)]
        assert await ids(bus) == expected
        assert bus.notes.of("first") == expected


async def test_two_publishers_that_were_held_up_at_once_overwrite_each_other_neither(client: Client) -> None:
    async with bus_with(client, "both-held-up", "first") as bus:
        await bus.publisher.publish(bus.event(0))
        await closed(bus)
        async with publishing_late(bus, bus.event(2)):
            async with publishing_late(bus, bus.event(1)):
                pass
            await closed(bus)

        assert await ids(bus) == [bus.event(number).id for number in range(3)]


async def test_a_publisher_that_was_held_up_while_a_run_continued_as_new_overwrites_nothing(
    impatient_client: Client,
) -> None:
    async with bus_with(impatient_client, "held-up-long", "first") as bus:
        await bus.publisher.publish(bus.event(0))
        await closed(bus)
        async with publishing_late(bus, bus.event(99)):
            for number in range(1, 60):
                await bus.publisher.publish(bus.event(number))
            await closed(bus)

        assert await ids(bus) == [bus.event(number).id for number in (*range(60), 99)]


async def test_a_log_outlives_the_reset_of_the_run_that_kept_it(client: Client) -> None:
    async with bus_with(client, "reset", "first") as bus:
        for number in range(3):
            await bus.publisher.publish(bus.event(number))
            await closed(bus)
        run = await bus.run.describe()
        # when a person resets the latest run to its beginning in the UI
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
                workflow_task_finish_event_id=4,  # started, signal, and the workflow task's two events
                reason="a person's wish",
                request_id="reset-1",
            )
        )
        await closed(bus)
        await bus.publisher.publish(bus.event(3))

        assert await ids(bus) == [bus.event(number).id for number in range(4)]


@pytest.mark.parametrize("late", [True, False])
async def test_after_a_run_was_terminated_the_next_one_goes_on_with_all_that_it_had_accepted(
    client: Client, *, late: bool
) -> None:
    async with bus_with(client, f"broken-off-{late}", "first", "slow", "odd") as bus:
        # given a log, and a run that follows with a delivery under way, another one waiting, and one parked
        bus.notes.hold.set()
        await bus.publisher.publish(bus.event(0))
        await closed(bus)
        bus.notes.hold.clear()
        following = publishing_late(bus, bus.event(6)) if late else contextlib.nullcontext()
        async with following:
            for number in (1, 2, 4):
                await bus.publisher.publish(bus.event(number))
            await until(lambda: len(bus.notes.of("odd")) == 3)
            await bus.run.terminate()
            bus.notes.hold.set()
        if not late:
            await bus.publisher.publish(bus.event(6))

        # then nothing of it is lost, what was handled is not handled again, and the rest is delivered in sequence
        expected = [bus.event(number).id for number in (0, 1, 2, 4, 6)]
        assert await ids(bus) == expected
        assert bus.notes.of("first") == expected
        assert list(dict.fromkeys(bus.notes.of("slow"))) == expected
        assert sorted(set(bus.notes.of("odd"))) == expected
        known = [(await bus.publisher.publish(bus.event(number))).known for number in (0, 1, 2, 4, 6)]
        assert all(known)


async def test_an_order_that_was_cancelled_stays_so_when_a_run_is_terminated_that_had_not_even_begun(
    labs: Labs, order: Order
) -> None:
    async with labs() as lab:
        await lab.run(order, "choreography")
        await lab.placer.canceller.cancel(order.order_id, "choreography")
        await lab.client.get_workflow_handle(bus_id(order.order_id)).result()
    # given the bus's worker is away, a ticket opens a run, and a person terminates it
    await lab.placer.publish(ticket(order, 1))
    await lab.client.get_workflow_handle(bus_id(order.order_id)).terminate()
    with pytest.raises(InputError, match="other content"):
        await lab.placer.place_once(order.model_copy(update={"country": "Norway"}), ("choreography",))
    async with hosting(lab.client, ["bus"], lab.settings, lab.name):
        await lab.placer.publish(ticket(order, 2))
        log = await closed_log(lab.client, order.order_id)
        status = await status_of(lab.client, "choreography", order.order_id)

    assert status is not None
    assert status.state is OrderState.CANCELLED
    assert [entry.id for entry in log.entries][-2:] == ["ticket-1", "ticket-2"]


async def test_a_log_outlives_the_deletion_of_the_run_that_returned_it_while_the_bus_is_away(
    labs: Labs, order: Order
) -> None:
    async with labs() as lab:
        await lab.run(order, "choreography")
        await lab.placer.canceller.cancel(order.order_id, "choreography")
        closed_run = lab.client.get_workflow_handle(bus_id(order.order_id))
        await closed_run.result()
        run_id = (await closed_run.describe()).run_id
    # given the bus's worker is away for longer than the server keeps closed runs
    await lab.placer.publish(ticket(order, 1))
    await delete(lab.client, bus_id(order.order_id), run_id)
    async with hosting(lab.client, ["bus"], lab.settings, lab.name):
        log = await closed_log(lab.client, order.order_id)
        status = await status_of(lab.client, "choreography", order.order_id)

    assert status is not None
    assert status.state is OrderState.CANCELLED
    assert log.entries[-1].id == "ticket-1"


async def test_a_run_that_is_cancelled_while_it_takes_the_log_over_goes_on(labs: Labs, order: Order) -> None:
    async with labs() as lab:
        await lab.run(order, "choreography")
    await lab.placer.publish(ticket(order, 1))
    await lab.client.get_workflow_handle(bus_id(order.order_id)).cancel()
    async with hosting(lab.client, ["bus"], lab.settings, lab.name):
        log = await closed_log(lab.client, order.order_id)

    assert log.entries[-1].id == "ticket-1"
    assert log.entries[0].type == "order.placed"


async def test_a_log_is_taken_over_past_more_runs_than_one_attempt_has_time_for(client: Client) -> None:
    async with bus_with(client, "far") as bus:
        await bus.publisher.publish(bus.event(0))
        await closed(bus)
        async with publishing_late(bus, bus.event(99)):
            for number in range(1, 13):
                await bus.publisher.publish(bus.event(number))
                await closed(bus)

        assert await ids(bus) == [bus.event(number).id for number in (*range(13), 99)]


async def test_while_a_new_run_takes_the_log_over_it_is_known_to_whom_an_order_id_belongs(
    labs: Labs, order: Order
) -> None:
    async with labs() as lab:
        await lab.run(order, "choreography")
    # given the bus's worker is away, and an event has opened a run that has not taken over the log yet
    scan = Event(id="scan-1", source="test", type="parcel.scanned", subject=order.order_id, time=datetime.now(UTC))
    await lab.placer.publish(scan)

    (again,) = await lab.placer.place_once(order, ("choreography",))
    with pytest.raises(InputError, match="other content"):
        await lab.placer.place_once(order.model_copy(update={"country": "Norway"}), ("choreography",))

    assert again.known


async def test_an_order_cancelled_in_the_middle_of_ten_tickets_is_cancelled_in_its_log_and_once(
    lab: Lab, order: Order
) -> None:
    await lab.run(order, "choreography")

    async def publish(number: int) -> None:
        await asyncio.sleep(number * 0.02)
        await lab.placer.publish(ticket(order, number))

    async def cancel() -> bool:
        await asyncio.sleep(0.09)
        return (await Placer(lab.client, lab.name).canceller.cancel(order.order_id, "choreography")).accepted

    accepted, *_ = await asyncio.gather(cancel(), *(publish(number) for number in range(10)))
    await end_of(lab.client, await lab.placer.place(order, "choreography"))
    status = await status_of(lab.client, "choreography", order.order_id)
    log = await whole_log_of(lab.client, order.order_id)
    before = lab.effects(order, "choreography")
    await lab.placer.canceller.cancel(order.order_id, "choreography")
    report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])

    assert accepted
    assert status is not None
    assert status.state is OrderState.CANCELLED
    assert log is not None
    types = [entry.type for entry in log.entries]
    assert types.count("order.cancelled") == 1
    assert types.count("ticket.created") == 10
    assert lab.effects(order, "choreography") == before
    assert not report.violations


async def test_a_run_that_follows_another_is_found_by_the_order_and_named_like_it(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    before = await lab.client.get_workflow_handle(bus_id(order.order_id)).describe()
    scan = Event(id="scan-1", source="test", type="parcel.scanned", subject=order.order_id, time=datetime.now(UTC))
    await lab.placer.publish(scan)
    after = await lab.client.get_workflow_handle(bus_id(order.order_id)).describe()

    assert after.run_id != before.run_id
    assert after.typed_search_attributes.get(ORDER_ID) == order.order_id
    assert await after.static_summary() == await before.static_summary()


async def test_one_more_event_costs_the_same_however_many_there_were(client: Client) -> None:
    count = 3 * PAGE
    async with bus_with(client, "paged", "first") as bus:
        sizes = []
        for number in range(count):
            await bus.publisher.publish(bus.event(number))
            await closed(bus)
            sizes.append((await bus.run.describe()).raw_info.history_size_bytes)
        log = await log_of(client, bus.key)
        again = [(await bus.publisher.publish(bus.event(number))).known for number in range(count)]

        # the log is handed on a page at a time, and what left it is still known, and can still be read
        assert log is not None
        assert len(log.entries) <= 2 * PAGE + 1
        assert log.earlier.events + len(log.entries) == count
        assert all(again)
        assert await ids(bus) == [bus.event(number).id for number in range(count)]
        assert max(sizes[PAGE:]) < 3 * max(sizes[:PAGE])


async def test_an_order_stays_cancelled_however_many_events_about_it_follow(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    await lab.placer.canceller.cancel(order.order_id, "choreography")
    for number in range(2 * PAGE + 3):
        await lab.placer.publish(ticket(order, number))
        await lab.client.get_workflow_handle(bus_id(order.order_id)).result()
    status = await status_of(lab.client, "choreography", order.order_id)
    answer = await lab.placer.canceller.cancel(order.order_id, "choreography")
    (again,) = await lab.placer.place_once(order, ("choreography",))
    report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])

    assert status is not None
    assert status.state is OrderState.CANCELLED
    assert answer.accepted
    assert again.known
    assert not report.violations


async def test_what_is_parked_stays_in_the_dead_letter_queue_when_its_run_continues_as_new(
    impatient_client: Client,
) -> None:
    async with bus_with(impatient_client, "parked-long", "first", "odd") as bus:
        # given a delivery that is parked, and so many events after it that a new run goes on
        for number in (1, *range(2, 80, 2)):
            await bus.publisher.publish(bus.event(number))
        await until(lambda: len(bus.notes.of("odd")) == 39)
        assert len(await runs_of(impatient_client, bus_id(bus.key))) > 1
        await until_listed(impatient_client, bus_id(bus.key))
        run = await bus.run.describe()
        letters = [letter for letter in await parked(impatient_client, "") if letter.workflow_id == bus_id(bus.key)]

        # then it is listed as before, with all that the run had set up for itself
        assert [letter.delivery.reason for letter in letters] == ["odd"]
        assert run.typed_search_attributes.get(PARKED) == ["odd"]
        assert "events about parked-long" in str(await bus.run.query("__temporal_workflow_metadata"))

        # and can be redriven
        bus.notes.hold.set()
        redriven = await redrive(impatient_client, chosen(letters, letters[0].id)[0], 20)
        assert redriven.outcome is Outcome.DELIVERED
        assert bus.event(1).id in bus.notes.of("odd")


async def test_events_of_different_sources_with_one_id_are_two_events(client: Client) -> None:
    async with bus_with(client, "one-id", "first", "odd") as bus:
        event = bus.event(1)
        other = event.model_copy(update={"source": "/erp"})
        for one in (event, other, event, other):
            await bus.publisher.publish(one)
        parked_log = await bus.until_parked(2)
        letters = {entry.name for entry in parked_log.entries}
        bus.notes.hold.set()
        for name in letters:
            await bus.run.signal(REDRIVE, f"{name}>odd.note")
        log = await closed(bus)
        known = [(await bus.publisher.publish(one)).known for one in (event, other)]
        third = await bus.publisher.publish(event.model_copy(update={"source": "/other-erp"}))

        assert len(letters) == 2
        assert [entry.source for entry in log.entries] == ["test", "/erp"]
        assert not log.deliveries(DeliveryState.PARKED)
        assert bus.notes.of("first") == [event.id, event.id]
        assert known == [True, True]
        assert not third.known


async def test_an_order_is_cancelled_by_an_event_whose_id_another_source_has_used(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    now = datetime.now(UTC)
    ticket = Event(id="1", source="/support-desk", type="ticket.created", subject=order.order_id, time=now)
    data = {"order_id": order.order_id, "reason": "stock count was wrong"}
    cancelled = Event(id="1", source="/erp", type="order.cancelled", subject=order.order_id, time=now, data=data)
    await lab.placer.publish(ticket)
    _, known = await lab.placer.publish(cancelled)
    await lab.client.get_workflow_handle(bus_id(order.order_id)).result()
    status = await status_of(lab.client, "choreography", order.order_id)

    log = await log_of(lab.client, order.order_id)

    assert not known
    assert status is not None
    assert status.state is OrderState.CANCELLED
    assert log is not None
    assert {entry.causationid for entry in log.entries if entry.type == "shipment.cancelled"} == {"/erp#1"}
    assert "shipment.cancelled" in lab.effects(order, "choreography")


async def test_two_parked_deliveries_of_events_with_one_id_are_redriven_each(labs: Labs, order: Order) -> None:
    async with labs(fakes=[failing("analytics.on_order_placed", times=1)]) as lab:
        await lab.run(order, "choreography")
        (letter,) = await parked(lab.client, lab.name)
        twin = cancel_requested(order.order_id).model_copy(
            update={"id": f"{order.order_id}/order.placed", "source": "/erp", "type": "ticket.created"}
        )
        await lab.placer.publish(twin)
        redriven = await redrive(lab.client, letter, 20)

    assert letter.delivery.id == f"{order.order_id}/order.placed>analytics.on_order_placed"
    assert redriven.outcome is Outcome.DELIVERED


@pytest.mark.parametrize("absent", [(), ("analytics",)])
async def test_whoever_publishes_an_event_again_is_told_that_nothing_was_changed_also_while_the_run_is_open(
    labs: Labs, order: Order, absent: tuple[str, ...]
) -> None:
    async with labs(absent=absent) as lab:
        await lab.placer.place(order, "choreography")
        scan = Event(id="scan-1", source="test", type="parcel.scanned", subject=order.order_id, time=datetime.now(UTC))
        (_, first), (_, again) = [await lab.placer.publish(scan) for _ in range(2)]
        with pytest.raises(InputError, match="another event under the id 'scan-1'"):
            await lab.placer.publish(scan.model_copy(update={"data": {"weight": 3}}))

    assert not first
    assert again


async def test_events_with_one_id_are_told_apart_also_when_their_run_has_continued_as_new(
    impatient_client: Client,
) -> None:
    async with bus_with(impatient_client, "one-id-long", "first", "odd") as bus:
        # given two events of one id, both parked at one subscriber, and so many others that a new run goes on
        twins = [bus.event(1).model_copy(update={"source": source}) for source in ("/erp", "/crm")]
        for event in (*twins, *(bus.event(number) for number in range(2, 80, 2))):
            await bus.publisher.publish(event)
        await until(lambda: len(bus.notes.of("odd")) == 39)
        assert len(await runs_of(impatient_client, bus_id(bus.key))) > 1

        # when they are published again, and each is redriven
        for event in twins:
            await bus.publisher.publish(event)
        bus.notes.hold.set()
        for event in twins:
            await bus.run.signal(REDRIVE, f"{event.name}>odd.note")
        log = await closed(bus)

        # then each was handled once by each subscriber
        assert [entry.source for entry in log.entries if entry.id == bus.event(1).id] == ["/erp", "/crm"]
        assert bus.notes.of("first").count(bus.event(1).id) == 2
        assert bus.notes.of("odd").count(bus.event(1).id) == 2


async def test_a_redrive_asked_for_twice_tries_no_other_source_s_event(client: Client) -> None:
    async with bus_with(client, "twice-redriven", "odd") as bus:
        own = bus.event(1).model_copy(update={"source": "orderlab/test"})
        for event in (own, own.model_copy(update={"source": "/erp"})):
            await bus.publisher.publish(event)
        await bus.until_parked(2)
        bus.notes.hold.set()
        for _ in range(2):
            await bus.run.signal(REDRIVE, f"{own.id}>odd.note")
        await until(lambda: bool(bus.notes.of("odd")))
        log = await bus.until_parked(1)

    parked_events = [entry.source for entry in log.entries if entry.deliveries[0].state is DeliveryState.PARKED]
    assert parked_events == ["/erp"]
    assert bus.notes.of("odd") == [own.id]


async def test_a_run_after_one_that_continued_as_new_is_named_like_the_first(impatient_client: Client) -> None:
    async with bus_with(impatient_client, "named", "first") as bus:
        for number in range(60):
            await bus.publisher.publish(bus.event(number), summary="what it is all about")
        await closed(bus)
        assert len(await runs_of(impatient_client, bus_id(bus.key))) > 1
        await bus.publisher.publish(bus.event(60))
        run = await bus.run.describe()

    assert await run.static_summary() == "what it is all about"


async def test_an_order_placed_on_a_run_that_a_ticket_had_opened_is_found_like_any_other(
    labs: Labs, order: Order
) -> None:
    async with labs(absent=["bus"]) as lab:
        await lab.placer.publish(ticket(order, 1))
        await lab.placer.place(order, "choreography")
        async with hosting(lab.client, ["bus"], lab.settings, lab.name):
            await closed_log(lab.client, order.order_id)
            await until_listed(lab.client, bus_id(order.order_id))
        found = await recent(lab.client, lab.name, 5)

    assert [(status.order_id, status.state) for status in found] == [(order.order_id, OrderState.COMPLETED)]


async def test_another_event_under_a_known_id_is_refused_also_when_the_first_has_left_the_latest_page(
    lab: Lab, order: Order
) -> None:
    for number in range(2 * PAGE + 3):
        await lab.placer.publish(ticket(order, number))
        await closed_log(lab.client, order.order_id)
    log = await log_of(lab.client, order.order_id)

    with pytest.raises(InputError, match="another event under the id 'ticket-0'"):
        await lab.placer.publish(ticket(order, 0).model_copy(update={"data": "other"}))
    _, known = await lab.placer.publish(ticket(order, 0))

    assert log is not None
    assert log.entry_of(ticket(order, 0)) is None
    assert known


async def test_nobody_takes_a_log_over_while_another_run_is_open(client: Client) -> None:
    async with bus_with(client, "still-open", "slow") as bus:
        await bus.publisher.publish(bus.event(0))
        run = await bus.run.describe()
        with pytest.raises(OrderlabError, match="is open"):
            await take_over(client, bus.key, run.run_id, by_run="another", task_queue=bus.key, at=lambda _run_id: None)


async def test_an_event_published_again_gets_a_run_that_was_terminated_to_go_on(client: Client) -> None:
    async with bus_with(client, "woken", "slow") as bus:
        await bus.publisher.publish(bus.event(0))
        await bus.run.terminate()
        bus.notes.hold.set()
        again = await bus.publisher.publish(bus.event(0))

        assert again.known
        assert await ids(bus) == [bus.event(0).id]
        assert bus.notes.of("slow")[-1] == bus.event(0).id
