"""The choreographed style: a durable broker. It hands events to their subscribers and knows nothing of any of them."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate, islice
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from events.bus import (
        BUS,
        COLLECT,
        LARGEST_HANDED_ON_BYTES,
        ROUTE,
        SUMMARY,
        TAKE_OVER,
        BusStart,
        Collected,
        FollowedRun,
        TakenOver,
        Wanted,
        bus_id,
    )
    from events.catalogue import CATALOGUE, OrderFailed
    from events.delivery import Delivery, NoReactionError, reaction_in
    from events.elsewhere import Elsewhere, Waits, by_fingerprint, set_aside
    from events.envelope import Event, source_of
    from events.log import DeliveryState, EventLog, LogEntry, fingerprint, size_bytes
    from events.parked import memo_of
    from events.speaking import OUTSIDE
    from events.subscriptions import RoutedEvent
    from runtime.attempts import AttemptPolicy
    from runtime.search import ORDER_ID, ORDER_STYLE, PARKED
    from workflows.failures import attempts_of, is_superseded, reason_of, was_cancelled
    from workflows.uninterrupted import uninterrupted

_OWN_WORK = AttemptPolicy(window_s=365 * 24 * 3600, non_retryable=())
"""What the bus asks its own workers needs nothing that could be away for long; giving it up would strand an order. So
nothing ends it early, either: it is a defect of ours, and goes on when that is mended."""

_TAKING_OVER = _OWN_WORK.model_copy(update={"attempt_s": 3600, "heartbeat_s": 5})
"""There may be hundreds of runs on the way to the last one; that its worker was killed is told by the heartbeat."""

_COLLECTING = _OWN_WORK.model_copy(update={"attempt_s": 60})
"""It reads a whole history, which may have 50 MB."""

_LARGEST_LISTED_BYTES = 1_800
"""Of the subscribers with something parked, in the search attribute: the server ends a run that sets one of 2 kB."""

_AROUND_A_NAME = len('"",')

_WANTED_AT_ONCE = 500
"""Events that are asked for in one go; as many are answered as fit."""

_GROWN_BYTES, _GROWN_EVENTS = 4 * 1024 * 1024, 1_000
"""By how much the history of a run grows that had to collect its events, before a new run is due: what it collected can
itself be more than the length at which the server suggests one.
"""


@workflow.defn(name=BUS)
class EventBus:
    """Keeps the log of one correlation key and delivers each of its events.

    Each subscriber is handed one event at a time, in the sequence of the log; all subscribers are served at once. What
    a handler answers enters the log in the same history event that acknowledges the delivery: no follow-up is lost.
    """

    @workflow.init
    def __init__(self, start: BusStart) -> None:
        self._start = start
        self._log = start.log
        self._known = self._known_to(start.log)
        self._early: list[RoutedEvent] = []
        """Events that came before the log was taken over."""
        self._early_redrives: list[str] = []
        self._has_log = start.follows is None and start.elsewhere is None
        self._collected: tuple[int, int] | None = None
        """Events and bytes of the history when the last event was collected; None where there were none to collect."""
        self._lanes: dict[str, deque[Delivery]] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._under_way: dict[str, workflow.ActivityHandle[Any]] = {}
        self._parked: dict[tuple[str, str, str], Delivery] = {}
        self._sizes_bytes: dict[tuple[str, str], int] = {}
        """Of each event with its recipients."""
        for routed in start.pending:
            self._resume(routed)
        for routed in start.redriven:
            self._resume(routed, redriven=True)
        self._listed = self._parked_subscribers()

    @workflow.run
    async def run(self, start: BusStart) -> EventLog:
        """Deliver until nothing is under way or parked, and return the log."""
        if start.summary:
            workflow.set_current_details(start.summary)  # continuing as new takes no static summary along
        if start.follows is not None:
            await uninterrupted(self._take_over(start.follows))
        elif start.elsewhere is not None:
            await uninterrupted(self._collect(start.elsewhere))
            self._begin()
        while not self._at_rest():
            # A broker has nothing to undo, so there is nothing that cancelling it could mean.
            with contextlib.suppress(asyncio.CancelledError):
                await workflow.wait_condition(self._has_news)
            if self._is_draining():
                self._call_off_what_is_under_way()
            for subscriber in self._served_lanes():
                self._busy.pop(subscriber).result()  # a defect of ours must fail the workflow task, not be lost
            for subscriber in self._waiting_lanes():
                self._busy[subscriber] = asyncio.create_task(self._serve(subscriber))
        if self._lanes or self._parked:
            # Nothing that a run sets up for itself may be lost: left alone, the next one has the memo of the first.
            workflow.continue_as_new(
                self._start_of_next_run(),
                memo={**workflow.memo(), SUMMARY: start.summary},
                search_attributes=workflow.info().typed_search_attributes,
            )
        return self._log.shortened()

    @workflow.signal
    def publish(self, routed: RoutedEvent) -> None:
        """Put an event into the log; one that the log holds changes nothing."""
        if self._has_log:
            self._append(routed, told_by=OUTSIDE)
        else:
            self._early.append(routed)

    @workflow.signal
    def redrive(self, delivery_id: str) -> None:
        """Hand a parked delivery to its subscriber once more."""
        if not self._has_log:
            self._early_redrives.append(delivery_id)
            return
        delivery = self._parked_under(delivery_id)
        if delivery is not None:
            del self._parked[delivery.key]
            delivery.record.state = DeliveryState.PENDING
            delivery = replace(delivery, event=delivery.event.redriven(), redriven=True)
            self._lanes.setdefault(delivery.recipient.subscriber, deque()).append(delivery)
            self._list_parked()

    @workflow.query
    def log(self) -> EventLog:
        """The log as it stands, shortened as it will be when it is returned."""
        return self._log.shown()

    async def _take_over(self, follows: str) -> None:
        """Go on from where the run just before ended."""
        followed = FollowedRun(correlation_key=workflow.info().workflow_id.removeprefix(bus_id("")), run_id=follows)
        taken = await workflow.execute_activity(TAKE_OVER, followed, result_type=TakenOver, **_TAKING_OVER.options())
        if not taken.gone:
            self._log = taken.log
            self._known = self._known_to(self._log)
            for routed in taken.pending:
                self._resume(routed.redriven() if self._start.repairs else routed)
            if taken.elsewhere is not None:
                await self._collect(taken.elsewhere)
        self._begin()

    def _begin(self) -> None:
        """Take what came before the log was there."""
        self._has_log = True
        for routed in self._early:
            self._append(routed, told_by=OUTSIDE)
        for delivery_id in self._early_redrives:
            self.redrive(delivery_id)
        self._early.clear()
        self._early_redrives.clear()

    async def _collect(self, elsewhere: Elsewhere) -> None:
        """Fetch the events that an earlier run has left in its history for this one, and resume their deliveries."""
        key = workflow.info().workflow_id.removeprefix(bus_id(""))
        wanted = [waiting.f for waiting in elsewhere.waiting]
        found: dict[str, RoutedEvent] = {}
        while wanted:
            asked = Wanted(correlation_key=key, run_id=elsewhere.run_id, fingerprints=wanted[:_WANTED_AT_ONCE])
            collected = await workflow.execute_activity(COLLECT, asked, result_type=Collected, **_COLLECTING.options())
            found |= by_fingerprint(collected.events)
            wanted = wanted[len(collected.events) :]
        self._log = elsewhere.put_back(self._log, found)
        self._known = self._known_to(self._log)
        for redriven in (False, True):
            how = (Waits.REDRIVEN,) if redriven else (Waits.WAITING, Waits.PARKED)
            for waiting in elsewhere.waiting:
                routed = elsewhere.recipients(waiting, found[waiting.f], *how)
                if routed is not None:
                    self._resume(routed.redriven() if self._start.repairs else routed, redriven=redriven)
        self._listed = self._parked_subscribers()
        info = workflow.info()
        self._collected = (info.get_current_history_length(), info.get_current_history_size())

    def _known_by(self, entry: LogEntry) -> bytes:
        if self._start.keeps_who_told:
            return entry.known_by
        return fingerprint(entry.source if self._start.known_by_source else "", entry.id)

    def _known_to(self, log: EventLog) -> set[bytes]:
        return {self._known_by(entry) for entry in log.entries} | log.earlier.known()

    def _at_rest(self) -> bool:
        """Nothing under way, and either nothing left to do or a history so long that a new run should go on."""
        if self._busy:
            return False
        done = not self._lanes and not self._parked and bool(self._log.entries)
        return done or self._is_draining()

    def _has_news(self) -> bool:
        to_call_off = self._is_draining() and bool(self._under_way)
        return bool(self._waiting_lanes() or self._served_lanes()) or to_call_off or self._at_rest()

    def _is_draining(self) -> bool:
        """Whether a new run is due: no delivery starts any more, and the new run starts once none is under way."""
        if not workflow.info().is_continue_as_new_suggested():
            return False
        if not self._hands_on_by_reference:
            return self._unfinished_bytes() <= LARGEST_HANDED_ON_BYTES
        return self._has_log and self._has_grown()

    @property
    def _hands_on_by_reference(self) -> bool:
        """Whether the next run can be told where the events are, instead of being handed them."""
        return self._start.by_reference or self._collected is not None

    def _has_grown(self) -> bool:
        """Whether the history has grown enough since the last event was collected, if any was."""
        if self._collected is None:
            return True
        info, (length, size_bytes_) = workflow.info(), self._collected
        longer, larger = info.get_current_history_length() - length, info.get_current_history_size() - size_bytes_
        return longer >= _GROWN_EVENTS or larger >= _GROWN_BYTES

    def _call_off_what_is_under_way(self) -> None:
        """Wait for no absent subscriber; an attempt that has begun is awaited, as it may succeed."""
        while self._under_way:
            self._under_way.popitem()[1].cancel()

    def _waiting_lanes(self) -> list[str]:
        """Subscribers with work whom nobody serves yet; none while the run drains for its successor."""
        if self._is_draining():
            return []
        return [subscriber for subscriber in self._lanes if subscriber not in self._busy]

    def _served_lanes(self) -> list[str]:
        return [subscriber for subscriber, task in self._busy.items() if task.done()]

    async def _serve(self, subscriber: str) -> None:
        lane = self._lanes[subscriber]
        while lane and not self._is_draining():
            if await self._deliver(lane[0]):
                lane.popleft()
        if not lane:
            del self._lanes[subscriber]

    async def _deliver(self, delivery: Delivery) -> bool:
        """Hand an event over; tells whether that has come to an end, as it has not where it was called off."""
        recipient = delivery.recipient
        if self._is_superseded(delivery):
            return True
        handle = self._under_way[recipient.subscriber] = workflow.start_activity(
            recipient.handler,
            delivery.event,
            task_queue=recipient.task_queue,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            result_type=RawValue,  # read below: what the SDK can't read would fail the workflow task, again and again
            **recipient.attempts.options(),
        )
        speaker = recipient.subscriber if self._start.keeps_who_told else None
        try:
            reaction = reaction_in(await handle, workflow.payload_converter(), of=speaker)
        except asyncio.CancelledError:
            return False
        except ActivityError as error:
            if was_cancelled(error):
                return self._is_superseded(delivery)
            await self._give_up(delivery, reason_of(error), attempts_of(error), superseded=is_superseded(error))
        except NoReactionError as error:
            await self._give_up(delivery, f"the handler's answer is no reaction: {error}", 1)
        else:
            delivery.record.state = DeliveryState.HANDLED
            delivery.record.reason = reaction.note or delivery.record.reason
            for routed in reaction.events:
                self._append(routed, told_by=recipient.subscriber)
        finally:
            self._under_way.pop(recipient.subscriber, None)
        delivery.record.redrives += delivery.redriven
        return True

    def _is_superseded(self, delivery: Delivery) -> bool:
        """Whether what waits behind a delivery makes it pointless; then it has ended."""
        behind = islice(self._lanes[delivery.recipient.subscriber], 1, None)
        by = next((other for other in behind if self._supersedes(other, delivery)), None)
        if by is None:
            return False
        delivery.record.state = DeliveryState.SUPERSEDED
        delivery.record.reason = f"called off, as {by.event.name} came before it was done"
        delivery.record.redrives += delivery.redriven
        return True

    def _supersedes(self, later: Delivery, earlier: Delivery) -> bool:
        """Whether a delivery makes an earlier one pointless: not where anybody may have told its event."""
        return self._start.keeps_who_told and later.supersedes(earlier)

    async def _give_up(self, delivery: Delivery, reason: str, attempts: int, *, superseded: bool = False) -> None:
        record, recipient = delivery.record, delivery.recipient
        record.reason, record.attempts = reason, attempts
        if superseded:
            record.state = DeliveryState.SUPERSEDED
        elif recipient.failure_event is None:
            self._park(delivery)
        else:
            failure = delivery.event.follow_up(
                f"{delivery.event.name}/{recipient.failure_event}",
                recipient.failure_event,
                source=source_of(recipient.subscriber),
                time=workflow.now(),
                # not validated, as the bus takes events of any key, not only of orders
                data=OrderFailed.model_construct(
                    order_id=delivery.event.correlation_key, service=recipient.subscriber, reason=reason
                ),
            )
            # No local activity: queried meanwhile, its result comes in another sequence at replay (docs/decisions, 29).
            try:
                routed = await workflow.execute_activity(ROUTE, failure, result_type=RoutedEvent, **_OWN_WORK.options())
            except ActivityError as error:  # its redrive comes here again
                why = f"nobody could tell who hears of {recipient.failure_event}: {reason_of(error)}"
                record.reason = f"{reason[:200]}; {why[:298]}"
                self._park(delivery)
                return
            record.state = DeliveryState.FAILED  # together with the event that tells of it
            self._append(routed, told_by=recipient.subscriber)

    def _park(self, delivery: Delivery) -> None:
        delivery.record.state = DeliveryState.PARKED
        self._parked[delivery.key] = delivery
        self._list_parked()

    def _append(self, routed: RoutedEvent, *, told_by: str) -> None:
        """Put an event into the log, and its deliveries into the lanes; one that does not count has none."""
        kept = told_by if self._start.keeps_who_told else None
        entry = LogEntry.of(routed.event, routed.recipients, told_by=kept)
        known_by = self._known_by(entry)
        if known_by in self._known:
            return
        self._known.add(known_by)
        if self._start.known_by_source:
            self._be_found_by(routed.event)
        self._log.entries.append(entry)
        if not entry.deliveries:
            return
        self._sizes_bytes[routed.event.identity] = size_bytes(routed)
        for recipient, record in zip(routed.recipients, entry.deliveries, strict=True):
            delivery = Delivery(event=routed.event, recipient=recipient, record=record)
            lane = self._lanes.setdefault(recipient.subscriber, deque())
            lane.append(delivery)
            if recipient.subscriber in self._under_way and self._supersedes(delivery, lane[0]):
                self._under_way.pop(recipient.subscriber).cancel()  # awaited nevertheless, as it may succeed

    def _be_found_by(self, event: Event) -> None:
        """Whoever opened the run may not have known that it is about an order."""
        if event.type in CATALOGUE and workflow.info().typed_search_attributes.get(ORDER_ID) is None:
            workflow.upsert_search_attributes(
                [
                    ORDER_ID.value_set(event.correlation_key),
                    ORDER_STYLE.value_set("choreography"),
                ]
            )

    def _undelivered(self) -> list[Delivery]:
        """The parked and the waiting deliveries."""
        return [*self._parked.values(), *(delivery for lane in self._lanes.values() for delivery in lane)]

    def _unfinished_bytes(self) -> int:
        """What the next run can't be spared: events that are waiting or parked, each once, and their entries."""
        events = {delivery.event.identity for delivery in self._undelivered()}
        entries = [entry for entry in self._log.entries if not entry.is_settled]
        return sum(map(size_bytes, entries)) + sum(self._sizes_bytes[identity] for identity in events)

    def _start_of_next_run(self) -> BusStart:
        """What the next run takes over."""
        undelivered = self._undelivered()
        if self._hands_on_by_reference and self._unfinished_bytes() > LARGEST_HANDED_ON_BYTES:
            redriven = {delivery.key for delivery in undelivered if delivery.redriven}
            elsewhere, log = set_aside(self._log.shortened(), workflow.info().run_id, redriven)
            return BusStart(
                log=log,
                elsewhere=elsewhere,
                known_by_source=True,
                keeps_who_told=True,
                by_reference=True,
                summary=self._start.summary,
            )
        return BusStart(
            log=self._log.shortened(),
            pending=self._routed(delivery for delivery in undelivered if not delivery.redriven),
            redriven=self._routed(delivery for delivery in undelivered if delivery.redriven),
            known_by_source=True,
            keeps_who_told=True,
            by_reference=self._hands_on_by_reference,
            summary=self._start.summary,
        )

    def _routed(self, deliveries: Iterable[Delivery]) -> list[RoutedEvent]:
        """The events of these deliveries in the sequence of the log, each once with all its recipients."""
        routed: dict[tuple[str, str], RoutedEvent] = {}
        for delivery in deliveries:
            before = routed.get(delivery.event.identity)
            recipients = (*(before.recipients if before else ()), delivery.recipient)
            routed[delivery.event.identity] = RoutedEvent(event=delivery.event, recipients=recipients)
        sequence = {entry.identity: number for number, entry in enumerate(self._log.entries)}
        return [routed[identity] for identity in sorted(routed, key=sequence.__getitem__)]

    def _resume(self, routed: RoutedEvent, *, redriven: bool = False) -> None:
        """Take over the deliveries of an event from the run before."""
        entry = self._log.entry_of(routed.event)
        assert entry is not None  # noqa: S101 - whoever hands it over has it in the log
        self._sizes_bytes[routed.event.identity] = size_bytes(routed)
        for recipient in routed.recipients:
            record = next(r for r in entry.deliveries if r.handler == recipient.handler)
            delivery = Delivery(event=routed.event, recipient=recipient, record=record, redriven=redriven)
            if record.state is DeliveryState.PARKED:
                self._parked[delivery.key] = delivery
            else:
                self._lanes.setdefault(recipient.subscriber, deque()).append(delivery)

    def _parked_under(self, delivery_id: str) -> Delivery | None:
        names = (f"{entry.name}>{record.handler}" for entry in self._log.entries for record in entry.deliveries)
        if delivery_id in names:
            return next((delivery for delivery in self._parked.values() if delivery.id == delivery_id), None)
        return next((delivery for delivery in self._parked.values() if delivery.former_id == delivery_id), None)

    def _parked_subscribers(self) -> list[str]:
        parked = sorted({delivery.recipient.subscriber for delivery in self._parked.values()})
        sizes = accumulate(len(subscriber.encode()) + _AROUND_A_NAME for subscriber in parked)
        return [subscriber for subscriber, size in zip(parked, sizes, strict=True) if size <= _LARGEST_LISTED_BYTES]

    def _list_parked(self) -> None:
        """Keep the search attribute: subscribers and not deliveries, as the server takes 2 kB of it at most."""
        parked = self._parked_subscribers()
        if parked != self._listed:
            self._listed = parked
            workflow.upsert_search_attributes([PARKED.value_set(parked)])
        workflow.upsert_memo(memo_of(delivery.parked_entry for delivery in self._parked.values()))
