"""A later event makes work pointless that is not done yet: the bus calls it off, and hands nothing over out of turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.succession import collect, take_over_log
from events.bus import LOG, bus_id
from events.envelope import Event
from events.log import DeliveryState, EventLog
from events.patterns import Pattern
from events.subscriptions import Reaction, Recipient, Subscription, SubscriptionRegistry
from events.transport import EventPublisher
from hosting.composition import WORKFLOWS_OF
from lab.audit.history import read_run
from lab.audit.sequence import sequence_violations
from lab.replay import replay
from lab.runs import runs_of
from runtime.attempts import AttemptPolicy
from tests.labs import until

OPEN, CLOSE = "clerk.open", "clerk.close"
HANDLED, SUPERSEDED = DeliveryState.HANDLED, DeliveryState.SUPERSEDED
PATIENT = AttemptPolicy(window_s=7 * 24 * 3600, attempt_s=3600)


@dataclass
class Office:
    """A clerk who opens cases and closes them; one case after the other, and closing makes opening pointless."""

    client: Client
    publisher: EventPublisher
    key: str
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, event_id: str, event_type: str) -> None:
        event = Event(id=event_id, source="test", type=f"case.{event_type}", subject=self.key, time=datetime.now(UTC))
        await self.publisher.publish(event)

    async def states(self) -> dict[str, DeliveryState]:
        """How each delivery ended, once the run has closed; and nothing is wrong with any history."""
        log: EventLog = await asyncio.wait_for(
            self.client.get_workflow_handle(bus_id(self.key), result_type=EventLog).result(), 30
        )
        histories = [
            await self.client.get_workflow_handle(bus_id(self.key), run_id=run).fetch_history()
            for run in await runs_of(self.client, bus_id(self.key))
        ]
        assert [one.failure for one in await replay(histories) if one.failure] == []
        assert sequence_violations([read_run(list(history.events)) for history in histories]) == []
        return {entry.id: entry.deliveries[0].state for entry in log.entries if entry.deliveries}


@asynccontextmanager
async def office(client: Client, key: str) -> AsyncIterator[Office]:
    """Handlers do as an event's id says: `late-…` fails, and is due in an hour; `slow-…` waits; `…-bad` gives up."""

    async def work(event: Event) -> Reaction:
        there.begun.append(event.id)
        if event.id.startswith("late"):
            raise ApplicationError("nobody knows", next_retry_delay=timedelta(hours=1))
        if event.id.startswith("slow"):
            await there.release.wait()
        if event.id.endswith("bad"):
            raise ApplicationError("no", non_retryable=True)
        there.ended.append(event.id)
        return Reaction()

    @activity.defn(name=OPEN)
    async def open_case(event: Event) -> Reaction:
        return await work(event)

    @activity.defn(name=CLOSE)
    async def close_case(event: Event) -> Reaction:
        return await work(event)

    def hears(event_type: str, handler: str, supersedes: str | None = None) -> Subscription:
        recipient = Recipient(
            subscriber="clerk", handler=handler, task_queue=f"{key}-clerk", attempts=PATIENT, supersedes=supersedes
        )
        return Subscription(pattern=Pattern.parse({"type": [event_type]}), recipient=recipient)

    registry = SubscriptionRegistry([hears("case.opened", OPEN), hears("case.closed", CLOSE, supersedes=OPEN)])
    there = Office(client, EventPublisher(client, registry, lab="", task_queue=key), key)
    bus = Worker(client, task_queue=key, workflows=WORKFLOWS_OF["bus"], activities=[take_over_log, collect])
    async with bus, Worker(client, task_queue=f"{key}-clerk", activities=[open_case, close_case]):
        yield there
        there.release.set()


async def until_it_waits_for_another_attempt(there: Office) -> None:
    async with asyncio.timeout(30):
        while True:
            run = await there.client.get_workflow_handle(bus_id(there.key)).describe()
            if any(work.HasField("last_failure") for work in run.raw_description.pending_activities):
                return
            await asyncio.sleep(0.02)


async def test_what_waits_for_its_next_attempt_is_called_off_at_once(client: Client) -> None:
    async with office(client, "superseded-late") as there:
        await there.tell("late-1", "opened")
        await until_it_waits_for_another_attempt(there)
        await there.tell("end", "closed")

        assert await there.states() == {"late-1": SUPERSEDED, "end": HANDLED}
    assert there.begun == ["late-1", "end"]


async def test_what_is_under_way_is_awaited_and_may_succeed(client: Client) -> None:
    async with office(client, "superseded-slow") as there:
        await there.tell("slow-1", "opened")
        await until(lambda: there.begun == ["slow-1"])
        await there.tell("end", "closed")
        await there.tell("end-2", "closed")
        early = list(there.begun)
        there.release.set()

        assert await there.states() == {"slow-1": HANDLED, "end": HANDLED, "end-2": HANDLED}
    assert early == ["slow-1"]
    assert there.ended == ["slow-1", "end", "end-2"]


async def test_what_gives_up_when_it_was_called_off_is_parked_as_ever(client: Client) -> None:
    async with office(client, "superseded-bad") as there:
        await there.tell("slow-bad", "opened")
        await until(lambda: there.begun == ["slow-bad"])
        await there.tell("end", "closed")
        there.release.set()
        await until(lambda: there.ended == ["end"])
        log: EventLog = await client.get_workflow_handle(bus_id(there.key)).query(LOG, result_type=EventLog)

    assert [delivery.reason for delivery in log.deliveries(DeliveryState.PARKED)] == ["no"]


async def test_what_has_not_begun_never_begins_and_what_is_no_opening_goes_on(client: Client) -> None:
    async with office(client, "superseded-waiting") as there:
        await there.tell("slow-end", "closed")
        await there.tell("1", "opened")
        await there.tell("2", "opened")
        await there.tell("end", "closed")
        await there.tell("3", "opened")
        there.release.set()

        assert await there.states() == {
            "slow-end": HANDLED, "1": SUPERSEDED, "2": SUPERSEDED, "end": HANDLED, "3": HANDLED
        }  # fmt: skip
    assert there.ended == ["slow-end", "end", "3"]


async def test_in_a_new_run_it_is_pointless_still(impatient_client: Client) -> None:
    async with office(impatient_client, "superseded-later") as there:
        await there.tell("slow-end", "closed")
        await until(lambda: there.begun == ["slow-end"])
        for number in range(70):
            await there.tell(f"{number}", "noted")  # which nobody hears of
        await there.tell("first", "opened")
        await there.tell("late-1", "opened")
        await there.tell("end", "closed")
        there.release.set()
        states = await there.states()
        runs = await runs_of(impatient_client, bus_id(there.key))

    assert len(runs) > 1
    assert states == {"slow-end": HANDLED, "first": SUPERSEDED, "late-1": SUPERSEDED, "end": HANDLED}
    assert there.ended == ["slow-end", "end"]
