"""The choreographed style: a durable broker. It hands events to their subscribers and knows nothing of any of them."""

import asyncio
from collections import deque
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from events.bus import BUS, ROUTE, BusStart
    from events.catalogue import OrderFailed
    from events.envelope import Event
    from events.log import DeliveryRecord, DeliveryState, EventLog, LogEntry
    from events.subscriptions import Reaction, Recipient, RoutedEvent
    from runtime.attempts import AttemptPolicy
    from runtime.search import PARKED
    from workflows.failures import is_superseded, reason_of

_ROUTING = AttemptPolicy(window_s=3600)


@dataclass(frozen=True)
class Delivery:
    """One event for one subscriber."""

    event: Event
    recipient: Recipient
    record: DeliveryRecord
    """How it stands; the same object as in the log."""

    @property
    def id(self) -> str:
        """Names the delivery in the dead-letter queue."""
        return f"{self.event.id}>{self.recipient.handler}"


@workflow.defn(name=BUS)
class EventBus:
    """Keeps the log of one correlation key and delivers each of its events.

    Each subscriber is handed one event at a time, in the sequence of the log; all subscribers are served at once. What
    a handler answers enters the log in the same history event that acknowledges the delivery: no follow-up is lost.
    """

    @workflow.init
    def __init__(self, start: BusStart) -> None:
        self._log = start.log
        self._known = {entry.id for entry in start.log.entries}
        self._lanes: dict[str, deque[Delivery]] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._parked: dict[str, Delivery] = {}
        for routed in start.pending:
            self._resume(routed)

    @workflow.run
    async def run(self, start: BusStart) -> EventLog:  # noqa: ARG002 - taken by __init__
        """Deliver until nothing is under way or parked, and return the log."""
        while not self._at_rest():
            await workflow.wait_condition(
                lambda: bool(self._waiting_lanes() or self._served_lanes()) or self._at_rest()
            )
            for subscriber in self._served_lanes():
                self._busy.pop(subscriber).result()  # a defect of ours must fail the workflow task, not be lost
            for subscriber in self._waiting_lanes():
                self._busy[subscriber] = asyncio.create_task(self._serve(subscriber))
        if self._lanes or self._parked:
            workflow.continue_as_new(BusStart(log=self._log, pending=self._pending()))
        return self._log

    @workflow.signal
    def publish(self, routed: RoutedEvent) -> None:
        """Put an event into the log; one whose id the log holds changes nothing."""
        self._append(routed)

    @workflow.signal
    def redrive(self, delivery_id: str) -> None:
        """Hand a parked delivery to its subscriber once more."""
        delivery = self._parked.pop(delivery_id, None)
        if delivery is not None:
            delivery.record.state = DeliveryState.PENDING
            self._lanes.setdefault(delivery.recipient.subscriber, deque()).append(delivery)
            self._list_parked()

    @workflow.query
    def log(self) -> EventLog:
        """The log as it stands."""
        return self._log

    def _at_rest(self) -> bool:
        """Nothing under way, and either nothing left to do or a history so long that a new run should go on."""
        if self._busy:
            return False
        done = not self._lanes and not self._parked and bool(self._log.entries)
        return done or workflow.info().is_continue_as_new_suggested()

    def _waiting_lanes(self) -> list[str]:
        """Subscribers with work whom nobody serves yet; none while the run drains for its successor."""
        if workflow.info().is_continue_as_new_suggested():
            return []
        return [subscriber for subscriber in self._lanes if subscriber not in self._busy]

    def _served_lanes(self) -> list[str]:
        return [subscriber for subscriber, task in self._busy.items() if task.done()]

    async def _serve(self, subscriber: str) -> None:
        lane = self._lanes[subscriber]
        while lane and not workflow.info().is_continue_as_new_suggested():
            await self._deliver(lane[0])
            lane.popleft()
        if not lane:
            del self._lanes[subscriber]

    async def _deliver(self, delivery: Delivery) -> None:
        recipient = delivery.recipient
        try:
            reaction = await workflow.execute_activity(
                recipient.handler,
                delivery.event,
                task_queue=recipient.task_queue,
                result_type=Reaction,
                **recipient.attempts.options(),
            )
        except ActivityError as error:
            await self._give_up(delivery, error)
            return
        delivery.record.state = DeliveryState.HANDLED
        for routed in reaction.events:
            self._append(routed)

    async def _give_up(self, delivery: Delivery, error: ActivityError) -> None:
        record, recipient = delivery.record, delivery.recipient
        record.reason = reason_of(error)
        if is_superseded(error):
            record.state = DeliveryState.SUPERSEDED
        elif recipient.failure_event is None:
            record.state = DeliveryState.PARKED
            self._parked[delivery.id] = delivery
            self._list_parked()
        else:
            record.state = DeliveryState.FAILED
            failure = delivery.event.follow_up(
                recipient.failure_event,
                source=f"orderlab/{recipient.subscriber}",
                time=workflow.now(),
                # not validated, as the bus takes events of any key, not only of orders
                data=OrderFailed.model_construct(
                    order_id=delivery.event.correlation_key, service=recipient.subscriber, reason=record.reason
                ),
            )
            self._append(
                await workflow.execute_local_activity(ROUTE, failure, result_type=RoutedEvent, **_ROUTING.options())
            )

    def _append(self, routed: RoutedEvent) -> None:
        if routed.event.id in self._known:
            return
        self._known.add(routed.event.id)
        entry = LogEntry.of(routed.event, routed.recipients)
        self._log.entries.append(entry)
        for recipient, record in zip(routed.recipients, entry.deliveries, strict=True):
            delivery = Delivery(event=routed.event, recipient=recipient, record=record)
            self._lanes.setdefault(recipient.subscriber, deque()).append(delivery)

    def _pending(self) -> list[RoutedEvent]:
        """What the next run takes over: the parked and the waiting deliveries."""
        waiting = [delivery for lane in self._lanes.values() for delivery in lane]
        return [RoutedEvent(event=d.event, recipients=(d.recipient,)) for d in (*self._parked.values(), *waiting)]

    def _resume(self, routed: RoutedEvent) -> None:
        """Take over a delivery of the run before."""
        (recipient,) = routed.recipients
        entry = next(entry for entry in self._log.entries if entry.id == routed.event.id)
        record = next(r for r in entry.deliveries if r.handler == recipient.handler)
        delivery = Delivery(event=routed.event, recipient=recipient, record=record)
        if record.state is DeliveryState.PARKED:
            self._parked[delivery.id] = delivery
        else:
            self._lanes.setdefault(recipient.subscriber, deque()).append(delivery)

    def _list_parked(self) -> None:
        workflow.upsert_search_attributes([PARKED.value_set(list(self._parked))])
