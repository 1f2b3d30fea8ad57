"""The auditor finds a log that has lost something: planted by runs that start with a log that is not the latest."""

from datetime import UTC, datetime

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy

from events.bus import BUS, PUBLISH, BusStart, bus_id
from events.envelope import Event
from events.log import EventLog
from events.reading import log_of
from events.subscriptions import RoutedEvent
from hosting.workers import hosting
from lab.audit import Violation, audit
from orders.model import Order
from services.service import task_queue
from tests.labs import Lab, Labs


def event(event_id: str, key: str, event_type: str = "ticket.created", source: str = "/support-desk") -> Event:
    data = {"order_id": key, "reason": "planted"} if event_type == "order.cancelled" else None
    return Event(id=event_id, source=source, type=event_type, subject=key, time=datetime.now(UTC), data=data)


async def open_run(lab: Lab, start: BusStart, *events: Event) -> None:
    """Open a run that starts with whatever it is told, and wait until it has closed."""
    key = events[0].correlation_key
    run = await lab.client.start_workflow(
        BUS,
        start,
        id=bus_id(key),
        task_queue=task_queue("bus", lab.name),
        start_signal=PUBLISH,
        start_signal_args=[RoutedEvent(event=events[0], recipients=())],
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        memo={"lab": lab.name},
    )
    for one in events[1:]:
        await run.signal(PUBLISH, RoutedEvent(event=one, recipients=()))
    await run.result()


async def publish(lab: Lab, published: Event) -> EventLog:
    """Publish an event and wait until its run has closed; answers the log."""
    await lab.placer.publish(published)
    return await closed_log(lab.client, published.correlation_key)


async def closed_log(client: Client, key: str) -> EventLog:
    await client.get_workflow_handle(bus_id(key)).result()
    log = await log_of(client, key)
    assert log is not None
    return log


async def violations(lab: Lab, key: str) -> list[Violation]:
    report = await audit(lab.client, lab.settings, lab.name, parity=False)
    return [one for one in report.violations if one.order_id == key]


def told(found: list[Violation], guarantee: int) -> str:
    return "; ".join(one.what for one in found if one.guarantee == guarantee)


async def test_an_event_that_a_later_run_has_overwritten_is_found_also_where_there_is_no_order(lab: Lab) -> None:
    stale = await publish(lab, event("first", "overwritten"))
    await publish(lab, event("A", "overwritten"))
    assert not await violations(lab, "overwritten")

    await open_run(lab, BusStart(log=stale, known_by_source=True), event("B", "overwritten"))

    assert told(await violations(lab, "overwritten"), 5) == "A of /support-desk was accepted, but is lost from the log"


async def test_an_order_whose_log_has_lost_that_it_was_cancelled_is_found(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    stale = await closed_log(lab.client, order.order_id)
    await publish(lab, event("c", order.order_id, "order.cancelled"))
    assert not await violations(lab, order.order_id)

    await open_run(lab, BusStart(log=stale, known_by_source=True), event("B", order.order_id))
    found = await violations(lab, order.order_id)

    assert "c of /support-desk was accepted" in told(found, 5)
    assert "its workflow says completed, the databases say cancelled" in told(found, 2)


async def test_an_effect_of_which_the_log_does_not_tell_is_found(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    log = await closed_log(lab.client, order.order_id)
    silent = EventLog(entries=[entry for entry in log.entries if entry.type != "shipment.created"])

    await open_run(lab, BusStart(log=silent, known_by_source=True), event("B", order.order_id))

    found = await violations(lab, order.order_id)
    assert "shipment.created was done, but its log does not tell of it" in told(found, 2)


async def test_an_event_that_was_taken_for_another_source_s_is_found(lab: Lab) -> None:
    other = event("1", "mistaken", source="/erp")

    await open_run(lab, BusStart(known_by_source=False), event("1", "mistaken"), other)

    assert told(await violations(lab, "mistaken"), 5) == "1 of /erp was accepted, but is lost from the log"


async def test_a_bus_that_was_broken_off_is_told_until_the_next_event_has_gone_on_from_it(labs: Labs) -> None:
    async with labs(absent=["bus"]) as lab:
        await lab.placer.publish(event("first", "broken-off-bus"))
        await lab.client.get_workflow_handle(bus_id("broken-off-bus")).terminate()
        broken_off = await violations(lab, "broken-off-bus")
        async with hosting(lab.client, ["bus"], lab.settings, lab.name):
            log = await publish(lab, event("second", "broken-off-bus"))
        healed = await violations(lab, "broken-off-bus")

    assert told(broken_off, 5) == "its bus was terminated"
    assert [entry.id for entry in log.entries] == ["first", "second"]
    assert not healed


async def test_a_run_that_has_yet_to_take_the_log_over_has_lost_nothing(labs: Labs) -> None:
    async with labs() as lab:
        await publish(lab, event("first", "reopened"))
    await lab.placer.publish(event("second", "reopened"))

    assert not await violations(lab, "reopened")


async def test_a_log_that_says_of_a_stranger_s_word_that_it_was_a_service_s_is_found(lab: Lab, order: Order) -> None:
    # given a cancelled order, by what its log says; by its history nobody but a stranger has told so
    forged = event("f", order.order_id, "shipment.failed", "/erp")
    await lab.run(order, "choreography")
    log = await publish(lab, forged)
    assert not await violations(lab, order.order_id)
    entries = [
        entry.model_copy(update={"told_by": "shipping" if entry.id == "f" else entry.told_by}) for entry in log.entries
    ]

    await open_run(lab, BusStart(log=EventLog(entries=entries), known_by_source=True), event("B", order.order_id))

    found = await violations(lab, order.order_id)
    assert told(found, 5) == "its log says that f of /erp came from shipping, but it came from outside"
    assert "its workflow says cancelled, the databases say completed" in told(found, 2)
