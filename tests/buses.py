"""A bus alone: subscribers that note what they are handed, and events of no order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
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
from runtime.attempts import AttemptPolicy


@dataclass
class Notes:
    """What subscribers were handed."""

    handed: dict[str, list[str]] = field(default_factory=dict)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, subscriber: str) -> list[str]:
        return self.handed.setdefault(subscriber, [])


@dataclass
class Bus:
    client: Client
    registry: SubscriptionRegistry
    publisher: EventPublisher
    notes: Notes
    key: str

    def event(self, number: int) -> Event:
        return Event(
            id=f"{self.key}-{number}", source="test", type="ticket.changed", subject=self.key, time=datetime.now(UTC)
        )

    @property
    def run(self) -> WorkflowHandle[object, EventLog]:
        return self.client.get_workflow_handle(bus_id(self.key), result_type=EventLog)

    async def until_parked(self, count: int) -> EventLog:
        """Wait until so many deliveries are parked."""
        async with asyncio.timeout(30):
            while True:
                log: EventLog = await self.run.query(LOG, result_type=EventLog)
                if len(log.deliveries(DeliveryState.PARKED)) == count:
                    return log


@asynccontextmanager
async def bus_with(client: Client, key: str, *subscribers: str, window_s: float = 30) -> AsyncIterator[Bus]:
    """A bus whose subscribers note events; `slow` waits for `notes.hold`, `odd` refuses odd ones, `absent` is away."""
    notes = Notes()

    def handler(subscriber: str) -> Callable[[Event], object]:
        @activity.defn(name=f"{subscriber}.note")
        async def note(event: Event) -> Reaction | list[str]:
            if subscriber == "slow":
                await notes.hold.wait()
            if subscriber == "odd" and int(event.id.rsplit("-", 1)[1]) % 2 and not notes.hold.is_set():
                raise ApplicationError("odd", non_retryable=True)
            notes.of(subscriber).append(event.id)
            return Reaction() if subscriber != "rambling" else ["what", "is", "this"]

        return note

    registry = SubscriptionRegistry(
        Subscription(
            pattern=Pattern.parse({"type": ["ticket.changed"]}),
            recipient=Recipient(
                subscriber=subscriber,
                handler=f"{subscriber}.note",
                task_queue=f"{key}-{subscriber}",
                attempts=AttemptPolicy(window_s=window_s),
            ),
        )
        for subscriber in subscribers
    )
    workers = [Worker(client, task_queue=key, workflows=WORKFLOWS_OF["bus"], activities=[take_over_log, collect])]
    workers += [
        Worker(client, task_queue=f"{key}-{subscriber}", activities=[handler(subscriber)])
        for subscriber in subscribers
        if subscriber != "absent"
    ]
    for worker in workers:
        await worker.__aenter__()
    try:
        yield Bus(client, registry, EventPublisher(client, registry, lab="", task_queue=key), notes, key)
    finally:
        notes.hold.set()
        for worker in workers:
            await worker.__aexit__(None, None, None)
