"""Looks into an order on the bus, and has finished what was left half done there."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from pydantic import ValidationError
from temporalio.client import Client

from events.bus import bus_id
from events.catalogue import FAILURES, OrderCancelled, OrderRefused
from events.envelope import Event
from events.log import LONGEST, EventLog, LogEntry
from events.reading import recorded_log_of
from events.recorded import Published, recorded
from events.speaking import OUTSIDE
from events.succession import how_it_ended
from events.transport import EventPublisher
from lab.repair.examining import Seen, StyleRepairer
from lab.repair.finding import BY_A_REPAIR, Case, Repair, Todo, how_it_closed
from lab.repair.standing import Standing
from lab.runs import runs_of, were_reset
from orders.model import Order
from services.order_placed import registry
from services.service import task_queue

SHOP = "orderlab/shop"
"""Source of the events by which the shop itself speaks."""

REPAIRER = "orderlab repair"
"""In whose name the facts of services are told again, where a log has lost them."""


@dataclass
class _BusPast:
    """What the histories of all runs tell together."""

    accepted: list[Published]
    """All events, each once, in sequence."""

    @property
    def events(self) -> list[Event]:
        """The same, without how each came."""
        return [one.routed.event for one in self.accepted]

    @property
    def placed(self) -> Event | None:
        """The order; None where nobody placed it, or that has been forgotten."""
        return next((event for event in self.events if event.type == "order.placed"), None)

    @property
    def order(self) -> Order | None:
        """The same, where it is one: what came past the edge need not be."""
        with contextlib.suppress(ValidationError):
            return None if self.placed is None else Order.model_validate(self.placed.data)
        return None

    @property
    def content(self) -> str | None:
        """Fingerprint of the order; None where nobody knows which it is."""
        if self.order is not None:
            return self.order.fingerprint
        repairs = [event for event in self.events if event.source == SHOP and event.type == "order.cancelled"]
        return repairs[-1].ordercontent if repairs else None

    def lost_from(self, log: EventLog) -> list[Event]:
        """What is lost from a log, of that which it has to know: the facts of services, too, who may not tell again."""
        return [
            one.routed.event for one in self.accepted[-LONGEST:] if not log.holds(one.routed.event, told_by=one.told_by)
        ]


class BusRepairer(StyleRepairer[_BusPast]):
    """Repairs orders in the choreographed style."""

    def __init__(self, client: Client, lab: str) -> None:
        """Take the client, and the lab's task queue suffix."""
        super().__init__(client, lab, "choreography")
        self._publisher = EventPublisher(client, registry(lab), lab=lab, task_queue=task_queue("bus", lab))

    async def _recall_into_open(self, seen: Seen[_BusPast]) -> Repair | None:
        log = await recorded_log_of(self._client, seen.case.order_id)
        lost = [] if log is None else seen.past.lost_from(log)
        return self._recall(seen.case, lost) if lost else None

    async def _broken_off(self, seen: Seen[_BusPast]) -> Repair:
        case, how = seen.case, how_it_closed(seen.run)
        ended = await how_it_ended(self._client, case.order_id, seen.run.run_id)
        if ended is None or not ended.log.entries:
            return case.found(Todo.NOTHING, f"its bus was broken off ({how}), and nobody can read what was in its log")
        left = ", ".join(to.handler for routed in ended.pending for to in routed.recipients) or "nothing"
        why = f"its bus was broken off ({how}) with {left} still to be delivered: it goes on with that"
        return case.found(Todo.FINISH, why, lambda: self._publisher.go_on(case.order_id))

    async def _ended(self, seen: Seen[_BusPast]) -> Repair:
        case, past = seen.case, seen.past
        ended = await how_it_ended(self._client, case.order_id, seen.run.run_id)
        if ended is None:
            return case.found(Todo.NOTHING, "its log has just been deleted: ask again")
        if lost := past.lost_from(ended.log):
            return self._recall(case, lost)
        if why := case.is_half_undone:
            return case.found(Todo.UNDO, why, self._undo(case, past, past.content, seen.standing, ended.log))
        placed = past.placed
        if placed and past.order and not placed.rehearsal:
            missing = case.services_to_do(is_guest=past.order.is_guest)
            if missing:
                return case.found(
                    Todo.NOTHING, f"it reads completed, but {missing} did nothing: its bus can't mend that"
                )
        return case.found(Todo.NOTHING, "nothing of it is half done, so nothing is changed", is_whole=True)

    def _recall(self, case: Case, lost: list[Event]) -> Repair:
        async def publish() -> None:
            for event in lost:
                # What services had told comes from outside now, so it counts as an act of whoever repairs.
                counts = LogEntry.of(event, (), told_by=OUTSIDE).counts
                told = event if counts else event.model_copy(update={"byhand": REPAIRER})
                await self._publisher.publish(told)

        named = ", ".join(event.name for event in lost)
        why = f"{named} was accepted, but is lost from its log, as a run was reset: its bus is told again"
        return case.found(Todo.RECALL, why, publish)

    def _undo_forgotten(self, case: Case, content: str | None, standing: Standing) -> Callable[[], Awaitable[None]]:
        return self._undo(case, _BusPast([]), content, standing, EventLog())

    def _undo(
        self, case: Case, past: _BusPast, content: str | None, standing: Standing, log: EventLog
    ) -> Callable[[], Awaitable[None]]:
        """The shop itself cancels the order; whoever has done something for it undoes that."""
        is_taken = content is not None and any(known != content for known in standing.contents.values())
        placed_us = None if past.placed is None else int(past.placed.time.timestamp() * 1e6)
        told = OrderCancelled(order_id=case.order_id, reason=BY_A_REPAIR)
        if is_taken:
            told = OrderRefused(order_id=case.order_id, reason=BY_A_REPAIR, refused=True, placed_us=placed_us)

        def numbered(number: int) -> Event:
            return Event(
                id=f"{case.order_id}/order.cancelled/repair-{number}",
                source=SHOP,
                type="order.cancelled",
                subject=case.order_id,
                time=datetime.now(UTC),
                datacontenttype="application/json",
                data=told.model_dump(mode="json"),
                ordercontent=content,
            )

        # The first that nobody has told: the same for all who repair at this moment. What the histories say of earlier
        # ones is not all, as the server deletes them run by run; the log still knows.
        known = {event.identity for event in past.events}
        events = map(numbered, count(1))
        event = next(event for event in events if event.identity not in known and not log.holds(event))

        async def publish() -> None:
            await self._publisher.publish(event, summary=f"order {case.order_id}")

        return publish

    async def _past(self, order_id: str) -> _BusPast:
        listed = [await recorded(self._client, order_id, run) for run in await runs_of(self._client, bus_id(order_id))]
        runs = [run for run in listed if run is not None]
        taken_back = were_reset({run.run_id: run.original for run in runs})
        found: dict[tuple[str, str], Published] = {}
        for run in runs:
            for published in run.published:
                lasts = run.run_id not in taken_back or not _gave_up(published)
                if published.entry.counts and lasts:
                    found.setdefault(published.routed.event.identity, published)
        return _BusPast([*found.values()])


def _gave_up(published: Published) -> bool:
    """Whether it tells that a service had given up: the bus says so, and a person who resets it takes that back.

    Facts that handlers have told are taken back by nobody, as what they tell of is done.
    """
    return published.routed.event.type in FAILURES and not published.entry.from_outside
