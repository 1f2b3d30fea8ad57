"""A bus run with more waiting than a payload can have goes on in a new run, and loses and reorders nothing."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.succession import collect, take_over_log
from events import transport
from events.bus import BUS, COLLECT, REDRIVE, bus_id
from events.envelope import Event
from events.log import DeliveryState
from events.patterns import Pattern
from events.reading import whole_log_of
from events.subscriptions import Reaction, Recipient, Subscription, SubscriptionRegistry
from events.transport import EventPublisher
from hosting.composition import WORKFLOWS_OF
from lab.audit.history import read_run
from lab.audit.logs import lost_events
from lab.audit.sequence import sequence_violations
from lab.replay import replay
from lab.runs import runs_of
from runtime.attempts import AttemptPolicy
from runtime.errors import InputError
from tests.buses import Bus, bus_with
from tests.labs import until

LARGE = {"text": "\U0001f600" * 20_000}
"""80 kB."""


def large(bus: Bus, number: int) -> Event:
    return bus.event(number).model_copy(update={"data": LARGE})


async def runs(bus: Bus) -> int:
    return len(await runs_of(bus.client, bus_id(bus.key)))


async def wrongs(bus: Bus) -> list[str]:
    """What is wrong with the histories of all its runs: they don't replay, believe anybody, or break the sequence."""
    histories = [
        await bus.client.get_workflow_handle(bus_id(bus.key), run_id=run).fetch_history()
        for run in await runs_of(bus.client, bus_id(bus.key))
    ]
    audited = [read_run(list(history.events)) for history in histories]
    unlike = [str(one.failure) for one in await replay(histories) if one.failure]
    starts = [history.events[0].workflow_execution_started_event_attributes.input for history in histories]
    believing = [f"{start}" for start in starts if not json.loads(start.payloads[0].data)["keeps_who_told"]]
    return [*unlike, *believing, *lost_events(audited), *sequence_violations(audited)]


async def test_more_than_a_payload_that_is_parked_goes_along_in_new_runs_and_is_redriven_each_once(
    impatient_client: Client,
) -> None:
    async with bus_with(impatient_client, "heavy-parked", "first", "odd") as bus:
        # given 2.4 MB parked at one subscriber, and so many events that new runs go on
        for number in range(60):
            await bus.publisher.publish(large(bus, number))
        await until(lambda: len(bus.notes.of("first")) == 60)
        log = await bus.until_parked(30)
        assert await runs(bus) > 1
        # when each is redriven
        bus.notes.hold.set()
        for number in range(1, 60, 2):
            await bus.run.signal(REDRIVE, f"{bus.event(number).id}>odd.note")
        await asyncio.wait_for(bus.run.result(), 60)
        whole = await whole_log_of(bus.client, bus.key)

        ids = [bus.event(number).id for number in range(60)]
        assert len(log.deliveries(DeliveryState.PARKED)) == 30
        assert whole is not None
        assert [entry.id for entry in whole.entries] == ids
        assert bus.notes.of("first") == ids
        assert sorted(bus.notes.of("odd")) == sorted(ids)
        assert await wrongs(bus) == []


async def test_what_waits_for_a_subscriber_that_is_away_is_handed_to_it_in_sequence_when_it_is_back(
    impatient_client: Client,
) -> None:
    async with bus_with(impatient_client, "heavy-away", "slow", "first") as bus:
        for number in range(40):
            await bus.publisher.publish(large(bus, number))
        await until(lambda: len(bus.notes.of("first")) == 40)
        open_now = await wrongs(bus)
        bus.notes.hold.set()
        await asyncio.wait_for(bus.run.result(), 60)

        ids = [bus.event(number).id for number in range(40)]
        assert list(dict.fromkeys(bus.notes.of("slow"))) == ids
        assert bus.notes.of("first") == ids
        assert await runs(bus) > 1
        assert open_now == []
        assert await wrongs(bus) == []


async def test_a_batch_of_many_large_events_that_one_workflow_task_meets_at_once_is_delivered_in_sequence(
    client: Client,
) -> None:
    key = "heavy-batch"
    async with bus_with(client, key, "first") as bus:
        # given 8 MB of events published while the bus's worker is away
        registry = SubscriptionRegistry(
            [
                Subscription(
                    pattern=Pattern.parse({"type": ["ticket.changed"]}),
                    recipient=Recipient(
                        subscriber="first",
                        handler="first.note",
                        task_queue=f"{key}-first",
                        attempts=AttemptPolicy(window_s=60),
                    ),
                )
            ]
        )
        away = EventPublisher(client, registry, lab="", task_queue=f"{key}-away")
        for number in range(100):
            await away.publish(large(bus, number))
        assert (await bus.run.describe()).raw_info.history_size_bytes > 8_000_000
        # when it comes back
        async with Worker(
            client, task_queue=f"{key}-away", workflows=WORKFLOWS_OF["bus"], activities=[take_over_log, collect]
        ):
            await asyncio.wait_for(bus.run.result(), 120)

        assert bus.notes.of("first") == [bus.event(number).id for number in range(100)]
        assert await runs(bus) > 1
        assert await wrongs(bus) == []


@pytest.mark.parametrize("times", [1, 2])
async def test_after_a_run_was_terminated_that_had_more_waiting_than_a_payload_nothing_of_it_is_lost(
    client: Client, times: int
) -> None:
    async with bus_with(client, f"heavy-terminated-{times}", "first", "slow") as bus:
        for number in range(40):
            await bus.publisher.publish(large(bus, number))
        await until(lambda: len(bus.notes.of("first")) == 40)
        for number in range(times):  # the second one has not collected all yet, or just has
            await bus.run.terminate()
            await bus.publisher.publish(large(bus, 40 + number))
        bus.notes.hold.set()
        await asyncio.wait_for(bus.run.result(), 90)
        log = await whole_log_of(bus.client, bus.key)

        ids = [bus.event(number).id for number in range(40 + times)]
        assert log is not None
        assert [entry.id for entry in log.entries] == ids
        assert list(dict.fromkeys(bus.notes.of("slow"))) == ids
        assert bus.notes.of("first") == ids
        assert all([(await bus.publisher.publish(large(bus, number))).known for number in (0, 39, 40)])
        assert await wrongs(bus) == []


async def test_what_is_asked_for_while_a_run_collects_its_events_is_done_when_it_has_them(
    impatient_client: Client,
) -> None:
    async with bus_with(impatient_client, "heavy-asked", "odd") as bus:
        # given a run that goes on with 1.6 MB parked, and its worker away before that
        for number in range(1, 41, 2):
            await bus.publisher.publish(large(bus, number))
        await bus.until_parked(20)
        bus.notes.hold.set()
        before = await runs(bus)
        # when it is asked to redrive and to take another event, again and again, as it goes from run to run
        for number in range(1, 41, 2):
            await bus.run.signal(REDRIVE, f"{bus.event(number).id}>odd.note")
            await bus.publisher.publish(bus.event(100 + number + 1))
        await asyncio.wait_for(bus.run.result(), 60)

        assert before >= 1
        assert len(bus.notes.of("odd")) == 40
        assert set(bus.notes.of("odd")) == {bus.event(n).id for n in range(1, 41, 2)} | {
            bus.event(100 + n + 1).id for n in range(1, 41, 2)
        }


@pytest.mark.parametrize("limit", ["MOST_WAITING_BYTES", "MOST_WAITING_EVENTS"])
async def test_an_event_is_refused_with_what_to_do_where_too_much_is_waiting_already_and_taken_again_afterwards(
    client: Client, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    async with bus_with(client, f"full-{limit}", "slow") as bus:
        await bus.publisher.publish(bus.event(0))
        await bus.publisher.publish(bus.event(1))
        run = await bus.run.describe()
        exactly = run.raw_info.history_size_bytes if limit == "MOST_WAITING_BYTES" else run.history_length
        # when one event less would do
        monkeypatch.setattr(transport, limit, exactly - 1)
        with pytest.raises(InputError, match="redrive what is parked, or start what is away"):
            await bus.publisher.publish(bus.event(2))
        monkeypatch.setattr(transport, limit, exactly)
        bus.notes.hold.set()
        log = await bus.run.result()
        monkeypatch.setattr(transport, limit, 1)
        await bus.publisher.publish(bus.event(3))  # on a closed run nothing waits

        assert [entry.id for entry in log.entries] == [bus.event(0).id, bus.event(1).id]


async def test_an_ordinary_run_that_continues_as_new_collects_nothing(impatient_client: Client) -> None:
    async with bus_with(impatient_client, "light", "first", "odd") as bus:
        for number in range(60):
            await bus.publisher.publish(bus.event(number))
        await until(lambda: len(bus.notes.of("first")) == 60)
        await bus.until_parked(30)
        history = await bus.run.fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes

    assert started.workflow_type.name == BUS
    assert started.continued_execution_run_id
    assert COLLECT not in {e.activity_task_scheduled_event_attributes.activity_type.name for e in history.events}


async def test_what_handlers_tell_up_to_the_limit_of_an_answer_waits_for_whoever_is_away_and_is_lost_by_nobody(
    client: Client,
) -> None:
    key, told = "heavy-told", 17  # of 118 kB each: just below the 2 MiB of an answer
    recipients = {
        name: Recipient(
            subscriber=name, handler=f"{name}.note", task_queue=f"{key}-{name}", attempts=AttemptPolicy(window_s=600)
        )
        for name in ("telling", "away")
    }
    registry = SubscriptionRegistry(
        [
            Subscription(pattern=Pattern.parse({"type": ["ticket.changed"]}), recipient=recipients["telling"]),
            Subscription(pattern=Pattern.parse({"type": ["page.turned"]}), recipient=recipients["away"]),
        ]
    )
    noted: list[str] = []

    @activity.defn(name="telling.note")
    async def tell(event: Event) -> Reaction:
        pages = (
            event.model_copy(
                update={"id": f"{event.id}-{page}", "type": "page.turned", "data": {"text": "\U0001f600" * 29_500}}
            )
            for page in range(told)
        )
        return Reaction(events=tuple(registry.route(page) for page in pages))

    @activity.defn(name="away.note")
    async def note(event: Event) -> None:
        noted.append(event.id)

    publisher = EventPublisher(client, registry, lab="", task_queue=key)
    run = client.get_workflow_handle(bus_id(key))
    async with (
        Worker(client, task_queue=key, workflows=WORKFLOWS_OF["bus"], activities=[take_over_log, collect]),
        Worker(client, task_queue=f"{key}-telling", activities=[tell]),
    ):
        # given 6 MB that one subscriber has told, for another one that is away
        for number in range(3):
            await publisher.publish(
                Event(
                    id=f"e{number}",
                    source="test",
                    type="ticket.changed",
                    subject=key,
                    time=datetime.now(UTC),
                    data=None,
                )
            )
        async with asyncio.timeout(60):
            while len(await runs_of(client, bus_id(key))) < 2:  # noqa: ASYNC110 - a server sends none
                await asyncio.sleep(0.05)
        # when that is back
        async with Worker(client, task_queue=f"{key}-away", activities=[note]):
            await asyncio.wait_for(run.result(), 120)

    assert list(dict.fromkeys(noted)) == [f"e{number}-{page}" for number in range(3) for page in range(told)]
