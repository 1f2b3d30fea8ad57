"""Publishes events on the durable bus: one call to Temporal, and the event survives whatever dies next."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from events.bus import BUS, PUBLISH, SUMMARY, WORKFLOW_TASK_TIMEOUT, BusStart, TakenOver, bus_id
from events.catalogue import CATALOGUE
from events.envelope import Event
from events.readable import prove_readable
from events.subscriptions import RoutedEvent, SubscriptionRegistry
from events.succession import BROKEN_OFF, how_it_ended
from runtime.errors import InputError
from runtime.search import attributes_of

MOST_WAITING_BYTES = 24 * 1024 * 1024
"""Of the history of an open run. Its events wait there, or were just published; the server ends a run at 50 MB, and
what is under way when nothing more is taken needs room, too.
"""

MOST_WAITING_EVENTS = 9_000
"""Of the same history: the server takes 10,000 signals of one run."""


@dataclass(frozen=True)
class Publication:
    """What became of a publish call."""

    recipients: tuple[str, ...]
    """Names of the subscribers that the event was routed to."""
    known: bool
    """The log of a closed run held the event already, so it was not put there again."""


class EventPublisher:
    """Publishes events; resolves their recipients as it does."""

    def __init__(self, client: Client, registry: SubscriptionRegistry, *, lab: str, task_queue: str) -> None:
        """Take the client to publish with, the registry to ask, the lab's name and its bus workers' task queue."""
        self._client = client
        self._registry = registry
        self._lab = lab
        self._task_queue = task_queue

    async def publish(self, event: Event, *, summary: str | None = None) -> Publication:
        """Publish an event: its bus run is started if it is not open, and is signalled in the same call.

        A run that has closed is not reopened for an event that its log holds, unless it was broken off with something
        still to deliver. Any other event gets a new run, which goes on with the log by itself, as there may be newer
        runs by then (`events/succession.py`).

        Args:
            event: what happened.
            summary: one line about the correlation key, for the list of workflows in the UI.

        Raises:
            UnreadableEventError: the bus could not read the event; nothing was published.
            InputError: too much is waiting under its correlation key; nothing was published.
        """
        prove_readable(event)
        if event.type != "order.placed":  # an order is not kept waiting for a look, and is placed but once
            await self._check_room(event.correlation_key)
        routed = self._registry.route(event)
        recipients = tuple(recipient.subscriber for recipient in routed.recipients)
        summary = summary or f"events about {event.correlation_key}"
        known = False
        try:
            await self._signal_with_start(
                routed,
                BusStart(known_by_source=True, keeps_who_told=True, by_reference=True, summary=summary),
                WorkflowIDReusePolicy.REJECT_DUPLICATE,
                about_an_order=event.type in CATALOGUE,
            )
        except WorkflowAlreadyStartedError as closed:
            run = self._client.get_workflow_handle(bus_id(event.correlation_key), run_id=closed.run_id)
            before = await run.describe()
            ended = await how_it_ended(self._client, event.correlation_key, before.run_id) or TakenOver()
            log = ended.log
            known = log.holds(event)
            if known and not ended.pending:  # otherwise it was broken off, and the next run has to go on
                return Publication(recipients, known=True)
            types = {event.type, *(entry.type for entry in log.entries)}
            await self._signal_with_start(
                routed,
                BusStart(
                    log=ended.handed_on(before.run_id).log,
                    follows=before.run_id,
                    known_by_source=True,
                    keeps_who_told=True,
                    by_reference=True,
                    summary=await before.memo_value(SUMMARY, None) or await before.static_summary() or summary,
                ),
                WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                about_an_order=not CATALOGUE.keys().isdisjoint(types),
            )
        return Publication(recipients, known)

    async def go_on(self, key: str) -> None:
        """Have a bus whose latest run was broken off go on with what that had still to deliver, without a new event.

        Where its run is open, or has come to its end, or nobody can tell what was in its log, nothing happens.

        Args:
            key: the correlation key.

        Raises:
            RPCError: no run has this key.
        """
        before = await self._client.get_workflow_handle(bus_id(key)).describe()
        ended = await how_it_ended(self._client, key, before.run_id) if before.status in BROKEN_OFF else None
        if ended is None or not ended.log.entries:
            return
        start = BusStart(
            log=ended.handed_on(before.run_id).log,
            follows=before.run_id,
            known_by_source=True,
            keeps_who_told=True,
            by_reference=True,
            repairs=True,
            summary=await before.memo_value(SUMMARY, None) or await before.static_summary() or f"events about {key}",
        )
        about_an_order = any(entry.type in CATALOGUE for entry in ended.log.entries)
        with contextlib.suppress(WorkflowAlreadyStartedError):  # then somebody else has seen to it
            await self._start(key, start, about_an_order=about_an_order)

    async def _check_room(self, key: str) -> None:
        """Make sure that the run which keeps the log can take more.

        Raises:
            InputError: it can't; the message says what to do.
        """
        try:
            run = await self._client.get_workflow_handle(bus_id(key)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return
            raise
        size_bytes = run.raw_info.history_size_bytes
        is_full = size_bytes > MOST_WAITING_BYTES or run.history_length > MOST_WAITING_EVENTS
        if is_full and run.status is WorkflowExecutionStatus.RUNNING:
            raise InputError(
                f"too much is waiting under {key!r}: {run.history_length:,} history events of {size_bytes:,} bytes; "
                "nothing was published: redrive what is parked, or start what is away (the bus, a subscriber), then "
                "publish again"
            )

    async def _signal_with_start(
        self, routed: RoutedEvent, start: BusStart, reuse: WorkflowIDReusePolicy, *, about_an_order: bool
    ) -> None:
        key = routed.event.correlation_key
        await self._start(key, start, reuse, signals=[routed], about_an_order=about_an_order)

    async def _start(
        self,
        key: str,
        start: BusStart,
        reuse: WorkflowIDReusePolicy = WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        *,
        about_an_order: bool,
        signals: Sequence[RoutedEvent] = (),
    ) -> None:
        await self._client.start_workflow(
            BUS,
            start,
            id=bus_id(key),
            task_queue=self._task_queue,
            start_signal=PUBLISH if signals else None,
            start_signal_args=signals,
            id_reuse_policy=reuse,
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            memo={"lab": self._lab},
            static_summary=start.summary,
            search_attributes=attributes_of(key, "choreography") if about_an_order else None,
        )
