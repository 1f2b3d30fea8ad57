"""What each command about single orders and events does, once its input is known to be good."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, computed_field
from temporalio.client import Client, WorkflowHistory

from events.envelope import Event
from events.log import EventLog, LogEntry, OrderState
from events.reading import whole_log_of
from faults.dice import Dice
from lab import show
from lab.cancelling import Canceller
from lab.console import RESULTS, announce, write_json
from lab.dead_letters import DeadLetter, Redriven, chosen, parked, redrive
from lab.effects import all_effects, contents_of
from lab.placing import Placed, Placer
from lab.replay import histories_of, replay
from lab.running import PATIENCE_S, for_this_command, until_interrupted, whole_lab
from lab.runs import latest_run, workflow_id
from lab.status import OrderStatus, end_of, recent, status_of
from orders.model import STYLES, Order, Style
from runtime.errors import InputError, OrderlabError
from runtime.settings import Settings
from server.session import Session

_REDRIVES_AT_ONCE = 8
_REDRIVE_S = 20
"""A redriven delivery may be tried for days; this is how long the command stays to see."""


Answer = TypeVar("Answer")


async def up(settings: Settings) -> None:
    """Run the lab until Ctrl-C, and print where everything is."""
    async with whole_lab(settings) as (session, children):
        RESULTS.print(f"Temporal    {session.address}, namespace {session.client.namespace}")
        RESULTS.print(f"UI          {session.ui_url or 'of your server'}")
        for child in children:
            where = f", {child.address}, keeps {settings.mail_dir}" if child.address else ""
            RESULTS.print(f"{child.name:<11} pid {child.pid}{where}, log {child.log}", markup=False)
        if session.server is None and not children:
            RESULTS.print("Everything is at work already.")
            return
        RESULTS.print("Ready. Place an order: orderlab order 536365 --style both --wait    Stop: Ctrl-C")
        await until_interrupted()


async def place(  # noqa: PLR0913 - the options of the command
    settings: Settings,
    order: Order,
    styles: tuple[Style, ...],
    dice: Dice | None,
    *,
    wait: bool,
    json: Path | None,
) -> None:
    """Place one order in these styles and tell how it stands.

    Raises:
        InputError: its id is taken by another order.
        OrderlabError: it ended in no legal state.
    """
    async with for_this_command(settings) as (session, must_wait):
        statuses: list[OrderStatus] = []
        for placed in await _placer(session, settings, dice).place_once(order, styles):
            if placed.known:
                announce(f"order {placed.order_id} was placed already ({placed.style}); nothing was changed")
            if wait or must_wait:
                await _end_of(session.client, placed)
            status = await status_of(session.client, placed.style, placed.order_id)
            if status is not None:
                statuses.append(status)
        if json is not None:
            write_json(json, list(statuses))
        if str(json) != "-":
            for status in statuses:
                where = session.link(status.workflow_id, status.run_id) or f"workflow id {status.workflow_id}"
                reason = f" ({status.detail})" if status.detail else ""
                told = f"{status.order_id}  {status.style:<12}  {status.state or 'broken'}{reason}  {where}"
                RESULTS.print(told)
            if session.server is not None:
                announce("the links work while `orderlab up` is running")
        broken = [f"{status.workflow_id}: {status.detail}" for status in statuses if status.state is None]
        if broken:
            raise OrderlabError("; ".join(broken))


class Cancelled(BaseModel):
    """What became of a customer's wish to cancel an order in one style."""

    order_id: str
    style: Style
    accepted: bool
    reason: str
    """Why it is cancelled, or why it can't be any more."""
    state: OrderState | None
    """How the order stands."""
    workflow_id: str
    run_id: str | None


async def cancel(settings: Settings, order_id: str, styles: tuple[Style, ...], json: Path | None) -> None:
    """Ask for an order to be cancelled, as its customer does, and tell the answer and how the order stands.

    Args:
        settings: the data directory.
        order_id: of an order, which need not have been placed yet.
        styles: in which styles; none means those in which it was placed, and if there is none, all.
        json: where to write the result.

    Raises:
        InputError: the order is another lab's.
        OrderlabError: nobody could decide, or the order ended in no legal state.
    """
    async with for_this_command(settings) as (session, _):
        client, lab = session.client, session.lab
        placed_in = [style for style in STYLES if await latest_run(client, lab, style, order_id) is not None]
        results: list[Cancelled] = []
        for style in styles or placed_in or STYLES:
            kept = asyncio.Event()
            asked = Canceller(client, lab).cancel(order_id, style, when_kept=kept.set)
            decision = await _patiently(asked, partial(_no_answer_yet, kept))
            await _end_of(client, Placed(style, order_id, known=True))
            status = await status_of(client, style, order_id)
            if status is None or status.state is None:
                raise OrderlabError(
                    f"order {order_id} ({style}): {status.detail if status else 'its workflow is gone'}"
                )
            results.append(
                Cancelled(
                    order_id=order_id,
                    style=style,
                    accepted=decision.accepted,
                    reason=decision.reason,
                    state=status.state,
                    workflow_id=status.workflow_id,
                    run_id=status.run_id,
                )
            )
            if str(json) != "-":
                answer = "accepted" if decision.accepted else "refused"
                where = session.link(status.workflow_id, status.run_id) or f"workflow id {status.workflow_id}"
                told = f"{order_id}  {style:<12}  {answer}: {decision.reason}  (now {status.state})  {where}"
                RESULTS.print(told)
        if json is not None:
            write_json(json, list(results))


async def list_orders(settings: Settings, limit: int, json: Path | None) -> None:
    """List the orders placed last."""
    async with for_this_command(settings, ("saga", "bus")) as (session, _):
        statuses = await recent(session.client, session.lab, limit)
    if json is not None:
        write_json(json, list(statuses))
    if str(json) != "-":
        RESULTS.print(show.orders(statuses))


async def list_parked(settings: Settings, json: Path | None) -> None:
    """List what was given up for now."""
    async with for_this_command(settings, ()) as (session, _):
        letters = await parked(session.client, session.lab)
    if json is not None:
        write_json(json, list(letters))
    if str(json) != "-":
        RESULTS.print(show.dead_letters(letters))


async def redrive_parked(settings: Settings, wanted: str | None, json: Path | None) -> None:
    """Try what is parked once more: the delivery of this id, or all.

    Raises:
        InputError: nothing parked has this id.
    """
    async with for_this_command(settings) as (session, _):
        letters = chosen(await parked(session.client, session.lab), wanted)
        gate = asyncio.Semaphore(_REDRIVES_AT_ONCE)

        async def one(letter: DeadLetter) -> Redriven:
            async with gate:
                return await redrive(session.client, letter, _REDRIVE_S)

        outcomes = await asyncio.gather(*(one(letter) for letter in letters))
    if json is not None:
        write_json(json, list(outcomes))
    if str(json) != "-":
        for redriven in outcomes:
            RESULTS.print(f"{redriven.id}  {redriven.outcome}")
        if not outcomes:
            RESULTS.print("Nothing is parked.")


class Published(BaseModel):
    """What became of an event that was published."""

    id: str
    type: str
    workflow_id: str
    known: bool
    """It had been published before: nothing was changed."""
    recipients: tuple[str, ...]


async def publish(settings: Settings, event: Event, json: Path | None) -> None:
    """Publish an event and tell who it goes to."""
    run = workflow_id("choreography", event.correlation_key)
    async with for_this_command(settings) as (session, must_wait):
        recipients, known = await _placer(session, settings).publish(event)
        if json is not None:
            result = Published(id=event.id, type=event.type, workflow_id=run, known=known, recipients=recipients)
            write_json(json, result)
        if str(json) != "-":
            to = f"handed to: {', '.join(recipients) or 'nobody'}"
            told = "was published already; nothing was changed" if known else to
            RESULTS.print(f"{event.type} {event.id} {told}")
            RESULTS.print(session.link(run) or f"workflow id {run}")
        if must_wait and not known:
            await _end_of(session.client, Placed("choreography", event.correlation_key, known=False))


def _placer(session: Session, settings: Settings, dice: Dice | None = None) -> Placer:
    """Places orders, and asks the services' databases which ids they know."""
    return Placer(session.client, session.lab, dice, contents_of=partial(contents_of, settings))


class ShownEntry(LogEntry):
    """An entry of a log, and what is made of it."""

    @computed_field  # type: ignore[prop-decorator] # as pydantic wants it
    @property
    def counts(self) -> bool:
        """Whether it says anything about its order."""
        return super().counts


class ShownLog(EventLog):
    """A log as it is shown."""

    entries: list[ShownEntry] = Field(default_factory=list)  # type: ignore[assignment] # more is shown than is kept


async def show_events(settings: Settings, key: str, json: Path | None) -> None:
    """Show the log of an order or another correlation key.

    Raises:
        InputError: there is none.
    """
    async with for_this_command(settings, ("bus",)) as (session, _):
        log = await whole_log_of(session.client, key)
        if log is None:
            saga = await status_of(session.client, "saga", key)
            why = "it ran as a saga only, which has no events" if saga else "`orderlab orders` lists what there is"
            raise InputError(f"there are no events of {key}: {why}")
    if json is not None:
        write_json(json, ShownLog.model_validate(log.model_dump()))
    if str(json) != "-":
        RESULTS.print(show.event_log(key, log))


def show_effects(settings: Settings, order_id: str | None, json: Path | None) -> None:
    """List what the services did."""
    records = all_effects(settings, order_id)
    if json is not None:
        write_json(json, list(records))
    if str(json) != "-":
        RESULTS.print(show.effects(records))


async def replay_order(settings: Settings, order_id: str, json: Path | None) -> None:
    """Replay the runs of an order, in every style in which it was placed."""
    async with for_this_command(settings, ()) as (session, _):
        histories = await histories_of(session.client, order_id)
    await replay_histories(histories, json)


async def replay_histories(histories: list[WorkflowHistory], json: Path | None) -> None:
    """Replay histories and tell which of them today's code can have made.

    Raises:
        OrderlabError: not all of them.
    """
    results = await replay(histories)
    if json is not None:
        write_json(json, list(results))
    if str(json) != "-":
        for result in results:
            RESULTS.print(f"{result.workflow_id}: {result.events} events: {result.failure or 'replays'}")
    broken = sum(result.failure is not None for result in results)
    if broken:
        raise OrderlabError(f"{broken} of {len(results)} histories do not fit today's code")


async def _end_of(client: Client, placed: Placed) -> None:
    """Wait until an order has ended; where that takes long, tell why."""

    async def not_yet() -> None:
        status = await status_of(client, placed.style, placed.order_id)
        why = f": {status.detail}" if status and status.detail else ""
        announce(f"order {placed.order_id} has not ended yet ({placed.style}){why}")

    await _patiently(end_of(client, placed), not_yet)


async def _no_answer_yet(kept: asyncio.Event) -> None:
    if kept.is_set():
        announce("shipping has not answered yet; the request is kept, also if you stop waiting")
    else:
        announce("the request has not been taken in yet, and is lost if you stop waiting")


async def _patiently(work: Coroutine[Any, Any, Answer], tell: Callable[[], Awaitable[None]]) -> Answer:
    """Wait for something; where that takes long, tell so now and then."""
    waited_for = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({waited_for}, timeout=PATIENCE_S))[0]:
            await tell()
        return waited_for.result()
    finally:
        waited_for.cancel()
