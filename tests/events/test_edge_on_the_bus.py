"""On a real server: what the edge lets in is delivered, and an answer that can't be read is parked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.succession import take_over_log
from events.bus import BUS, BusStart, bus_id
from events.edge import parse_event
from events.envelope import Event
from events.log import DeliveryState, EventLog, LogEntry
from events.patterns import Pattern
from events.readable import UnreadableEventError
from events.reading import log_of
from events.subscriptions import Reaction, Recipient, RoutedEvent, Subscription, SubscriptionRegistry
from events.transport import EventPublisher
from hosting.composition import WORKFLOWS_OF
from lab.runs import runs_of
from runtime.attempts import AttemptPolicy
from runtime.errors import InputError
from tests.labs import Lab, until

DEEPEST = 196
"""As tests/events/test_edge_readable.py finds it."""


def nested(levels: int) -> str:
    return "[" * levels + "1" + "]" * levels


def event(key: str, name: str, data: str) -> Event:
    text = json.dumps({"specversion": "1.0", "id": name, "source": "/test", "type": "tree.changed", "subject": key})
    return parse_event(text.replace("}", f', "data": {data}}}').encode(), where="my.json")


@dataclass
class Bus:
    """A bus with one subscriber that answers as it is told to, and one that only takes note."""

    client: Client
    publisher: EventPublisher
    registry: SubscriptionRegistry
    queue: str
    noted: list[Event] = field(default_factory=list)

    async def log(self, key: str) -> EventLog:
        log = await log_of(self.client, key)
        assert log is not None
        return log


@contextlib.asynccontextmanager
async def bus(client: Client, queue: str, answer: Callable[[Event], Any] = lambda _: Reaction()) -> AsyncIterator[Bus]:
    def recipient(name: str) -> Recipient:
        return Recipient(
            subscriber=name, handler=f"{name}.note", task_queue=queue, attempts=AttemptPolicy(window_s=3_600)
        )

    wanted = Pattern.parse({"type": ["tree.changed"]})
    registry = SubscriptionRegistry(
        Subscription(pattern=wanted, recipient=recipient(name)) for name in ("answering", "noting")
    )
    opened = Bus(client, EventPublisher(client, registry, lab="", task_queue=queue), registry, queue)

    @activity.defn(name="answering.note")
    async def answering(event: Event) -> Any:  # noqa: ANN401 - whatever a subscriber's author thinks is an answer
        return answer(event)

    @activity.defn(name="noting.note")
    async def noting(event: Event) -> None:
        opened.noted.append(event)

    activities: list[Callable[..., Any]] = [answering, noting, take_over_log]
    async with Worker(client, task_queue=queue, workflows=WORKFLOWS_OF["bus"], activities=activities):
        yield opened


async def test_the_deepest_event_is_delivered_and_its_run_ends_also_where_it_starts_with_a_log(client: Client) -> None:
    async with bus(client, "deepest") as opened:
        # when one is published, and another after the run has closed
        run = client.get_workflow_handle(bus_id("deepest"), result_type=EventLog)
        await opened.publisher.publish(event("deepest", "first", nested(DEEPEST)))
        await run.result()
        await opened.publisher.publish(event("deepest", "second", nested(DEEPEST)))
        log = await run.result()

    # then each was handed over whole
    assert [entry.id for entry in log.entries] == ["first", "second"]
    assert len(log.deliveries(DeliveryState.HANDLED)) == 4
    assert [one.data for one in opened.noted] == [json.loads(nested(DEEPEST))] * 2


async def test_the_deepest_event_is_delivered_by_a_run_that_took_it_over_from_another(client: Client) -> None:
    async with bus(client, "taken-over") as opened:
        waiting = opened.registry.route(event("taken-over", "waiting", nested(DEEPEST)))
        log = EventLog(entries=[LogEntry.of(waiting.event, waiting.recipients)])
        start = BusStart(log=log, pending=[waiting], known_by_source=True)
        run = await client.start_workflow(
            BUS, start, id=bus_id("taken-over"), task_queue=opened.queue, result_type=EventLog
        )
        ended = await run.result()

    assert len(ended.deliveries(DeliveryState.HANDLED)) == 2
    assert [one.id for one in opened.noted] == ["waiting"]


async def test_an_event_of_one_level_more_is_refused_before_anything_is_stored(client: Client) -> None:
    async with bus(client, "too-deep") as opened:
        with pytest.raises(InputError, match="nested too deeply"):
            event("too-deep", "e1", nested(DEEPEST + 1))
        unchecked = event("too-deep", "e1", "1").model_copy(update={"data": json.loads(nested(DEEPEST + 1))})
        with pytest.raises(UnreadableEventError, match="nested too deeply"):
            await opened.publisher.publish(unchecked)

    with pytest.raises(RPCError, match="not found"):
        await client.get_workflow_handle(bus_id("too-deep")).describe()


def unreadable(data: Any) -> Callable[[Event], Any]:  # noqa: ANN401 - as above
    """A handler that tells of a further event, past every check that its model has."""

    def answer(cause: Event) -> Any:  # noqa: ANN401
        told = Event.model_construct(id="f1", source="s", type="leaf.fallen", time=datetime.now(UTC), data=data)
        routed = RoutedEvent.model_construct(event=told.model_copy(update={"subject": cause.subject}), recipients=())
        return Reaction.model_construct(events=(routed,))

    return answer


ANSWERS: list[tuple[str, Callable[[Event], Any], str]] = [
    ("deep-by-one", unreadable(json.loads(nested(DEEPEST + 1))), "nested too deeply"),
    ("too-deep-to-write", unreadable(json.loads(nested(260))), "PydanticSerializationError"),
    ("too-large", unreadable("x" * 200_000), "an event can have 131,072"),
    ("larger-than-a-payload", unreadable("x" * 3_000_000), "exceeds size limit"),
    ("surrogate", unreadable("\ud800"), "PydanticSerializationError"),
    ("no-json", unreadable(object()), "PydanticSerializationError"),
    ("not-a-number", lambda cause: Reaction(events=(_routed(cause, float("nan")),)), "holds what JSON can't"),
    ("bytes", lambda _: b"\xff\xfe", "no reaction"),
    ("a-number", lambda _: 7, "no reaction"),
    (
        "for-another",
        lambda cause: _telling(cause, type="shipment.failed"),
        "is for shipping to tell, not for answering",
    ),
    (
        "as-another",
        lambda cause: _telling(cause, source="orderlab/noting"),
        "orderlab/noting, which is not answering's",
    ),
    ("as-a-person", lambda cause: _telling(cause, byhand="ann"), "marked as a person's act, and answering is none"),
]


def _telling(cause: Event, **attributes: str) -> Reaction:
    """An answer of which the first event is the handler's to tell, and the second is not."""
    told = _routed(cause, 1).event.model_copy(update={"source": "orderlab/answering", **attributes})
    return Reaction(events=(_routed(cause, 1), RoutedEvent(event=told, recipients=())))


def _routed(cause: Event, data: Any) -> RoutedEvent:  # noqa: ANN401
    return RoutedEvent(
        event=Event(id="f1", source="s", type="t", subject=cause.subject, time=cause.time, data=data), recipients=()
    )


@pytest.mark.parametrize(("key", "answer", "told"), ANSWERS, ids=[case[0] for case in ANSWERS])
async def test_an_answer_that_can_t_be_read_parks_its_delivery_at_once_and_holds_up_nobody(
    client: Client, key: str, answer: Callable[[Event], Any], told: str
) -> None:
    async with bus(client, key, answer) as opened:
        # when two events come to a subscriber who answers what nobody can read
        await opened.publisher.publish(event(key, "first", "1"))
        await opened.publisher.publish(event(key, "second", "2"))
        await until(lambda: len(opened.noted) == 2)
        log = await _settled(opened, key)

    # then both deliveries are parked, with the reason, without a second attempt and without what was told
    parked = log.deliveries(DeliveryState.PARKED)
    assert [entry.id for entry in log.entries] == ["first", "second"]
    assert [delivery.subscriber for delivery in parked] == ["answering", "answering"]
    assert all(told in (delivery.reason or "") for delivery in parked)
    assert len(log.deliveries(DeliveryState.HANDLED)) == 2


async def _settled(opened: Bus, key: str) -> EventLog:
    """The log once nothing is pending."""
    async with asyncio.timeout(30):
        while (found := await opened.log(key)).deliveries(DeliveryState.PENDING):  # noqa: ASYNC110 - a server sends none
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize(
    "subject",
    [
        "o'brien's \"tree\"",
        "back\\slash\\",
        "家\u3000族 \U0001f468\u200d\U0001f469\u200d\U0001f467",
        "50%_x",
        "\U0001f333" * 249,
    ],
    ids=lambda subject: ascii(subject)[:20],
)
async def test_a_key_of_any_text_that_can_be_seen_has_its_run_and_is_found(lab: Lab, subject: str) -> None:
    _, known = await lab.placer.publish(event(subject, "e1", "1"))
    log = await lab.client.get_workflow_handle(bus_id(subject), result_type=EventLog).result()

    assert not known
    assert [entry.id for entry in log.entries] == ["e1"]
    assert len(await runs_of(lab.client, bus_id(subject))) == 1
    assert (await lab.placer.publish(event(subject, "e1", "1")))[1]
