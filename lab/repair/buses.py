"""Looks into an order on the bus, and has finished what was left half done there."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus

from events.bus import bus_id
from events.catalogue import OrderCancelled, OrderRefused
from events.envelope import Event
from events.log import LONGEST, EventLog, LogEntry
from events.reading import recorded_log_of
from events.recorded import Published, recorded
from events.speaking import OUTSIDE
from events.succession import BROKEN_OFF, how_it_ended
from events.transport import EventPublisher
from lab.dead_letters import parked_in
from lab.repair.finding import BY_A_REPAIR, Case, Repair, Todo, how_it_closed
from lab.repair.redriving import redriving
from lab.repair.standing import Look, Standing
from lab.runs import is_at_work, latest_run, runs_of
from lab.status import status_of
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

    def lost_from(self, log: EventLog) -> list[Event]:
        """What is lost from a log, of that which it has to know: the facts of services, too, who may not tell again."""
        return [
            one.routed.event for one in self.accepted[-LONGEST:] if not log.holds(one.routed.event, told_by=one.told_by)
        ]


class BusRepairer:
    """Repairs orders in the choreographed style."""

    def __init__(self, client: Client, lab: str) -> None:
        """Take the client, and the lab's task queue suffix."""
        self._client = client
        self._lab = lab
        self._publisher = EventPublisher(client, registry(lab), lab=lab, task_queue=task_queue("bus", lab))

    async def examine(self, order_id: str, look: Look) -> Repair | None:
        """Find out how an order stands and what is to be done; None where nobody has heard of it.

        Args:
            order_id: of the order.
            look: reads what the services' databases say. It is asked when the workflow has been looked at: what that
                tells as done has been committed by then.

        Raises:
            InputError: it is another lab's.
        """
        run = await latest_run(self._client, self._lab, "choreography", order_id)
        standing = await look()
        if run is None:
            return self._forgotten(order_id, standing) if standing.is_known else None
        past = await self._past(order_id)
        status = await status_of(self._client, "choreography", order_id)
        if status is None or status.run_id != run.run_id:  # somebody else has begun something since
            return await self.examine(order_id, look)
        content = None if past.order is None else past.order.fingerprint
        case = Case(order_id, "choreography", status, standing.of(content))
        undo = self._undo(case, past, content, standing)
        if run.status is WorkflowExecutionStatus.RUNNING:
            return await self._open(case, run, past)
        if run.status in BROKEN_OFF:
            return await self._broken_off(case, run)
        return await self._ended(case, run, past, undo)

    def _forgotten(self, order_id: str, standing: Standing) -> Repair:
        """Temporal has deleted its log, so nobody knows how it was meant to end, but for what was undone."""
        for content in standing.orders():
            case = Case(order_id, "choreography", None, standing.of(content))
            if case.standing.is_off and case.standing.stands:
                why = "Temporal has forgotten it, and it is half undone: what stands is undone"
                return case.found(Todo.UNDO, why, self._undo(case, _BusPast([]), content, standing))
        case = Case(order_id, "choreography", None, standing)
        return case.found(Todo.NOTHING, "Temporal has forgotten it, and nothing of it is half done", is_whole=True)

    async def _open(self, case: Case, run: WorkflowExecutionDescription, past: _BusPast) -> Repair:
        letters = await parked_in(run)
        if is_at_work(run) or not letters:
            return case.found(Todo.WAIT, "it is under way, so nothing is half done", is_whole=True)
        log = await recorded_log_of(self._client, case.order_id)
        if log is not None and (lost := past.lost_from(log)):
            return self._recall(case, lost)
        named = ", ".join(letter.delivery.work for letter in letters)
        return case.found(
            Todo.REDRIVE,
            f"{named} was given up: it is tried once more",
            redriving(self._client, letters),
            is_whole=True,
        )

    async def _broken_off(self, case: Case, run: WorkflowExecutionDescription) -> Repair:
        how = how_it_closed(run)
        ended = await how_it_ended(self._client, case.order_id, run.run_id)
        if ended is None or not ended.log.entries:
            return case.found(Todo.NOTHING, f"its bus was broken off ({how}), and nobody can read what was in its log")
        left = ", ".join(to.handler for routed in ended.pending for to in routed.recipients) or "nothing"
        why = f"its bus was broken off ({how}) with {left} still to be delivered: it goes on with that"
        return case.found(Todo.FINISH, why, lambda: self._publisher.go_on(case.order_id))

    async def _ended(
        self, case: Case, run: WorkflowExecutionDescription, past: _BusPast, undo: Callable[[], Awaitable[None]]
    ) -> Repair:
        ended = await how_it_ended(self._client, case.order_id, run.run_id)
        if ended is None:
            return case.found(Todo.NOTHING, "its log has just been deleted: ask again")
        if lost := past.lost_from(ended.log):
            return self._recall(case, lost)
        if why := case.is_half_undone:
            return case.found(Todo.UNDO, why, undo)
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

    def _undo(
        self, case: Case, past: _BusPast, content: str | None, standing: Standing
    ) -> Callable[[], Awaitable[None]]:
        """The shop itself cancels the order; whoever has done something for it undoes that."""
        is_taken = content is not None and any(known != content for known in standing.contents.values())
        earlier = sum(event.source == SHOP and event.type == "order.cancelled" for event in past.events)
        placed_us = None if past.placed is None else int(past.placed.time.timestamp() * 1e6)
        told = OrderCancelled(order_id=case.order_id, reason=BY_A_REPAIR)
        if is_taken:
            told = OrderRefused(order_id=case.order_id, reason=BY_A_REPAIR, refused=True, placed_us=placed_us)
        event = Event(
            id=f"{case.order_id}/order.cancelled/repair-{earlier + 1}",  # the same for all who repair at this moment
            source=SHOP,
            type="order.cancelled",
            subject=case.order_id,
            time=datetime.now(UTC),
            datacontenttype="application/json",
            data=told.model_dump(mode="json"),
            ordercontent=content,
        )

        async def publish() -> None:
            await self._publisher.publish(event, summary=f"order {case.order_id}")

        return publish

    async def _past(self, order_id: str) -> _BusPast:
        found: dict[tuple[str, str], Published] = {}
        for run_id in await runs_of(self._client, bus_id(order_id)):
            run = await recorded(self._client, order_id, run_id)
            for published in run.published if run else ():
                if published.entry.counts:
                    found.setdefault(published.routed.event.identity, published)
        return _BusPast([*found.values()])
