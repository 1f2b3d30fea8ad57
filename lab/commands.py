"""What each command about single orders and events does, once its input is known to be good."""

import asyncio
from pathlib import Path

from pydantic import BaseModel
from temporalio.client import Client, WorkflowHistory

from events.envelope import Event
from events.reading import log_of
from faults.dice import Dice
from lab import show
from lab.console import RESULTS, announce, write_json
from lab.dead_letters import DeadLetter, Redriven, chosen, parked, redrive
from lab.effects import all_effects
from lab.placing import Placed, Placer, workflow_id
from lab.replay import histories_of, replay
from lab.running import PATIENCE_S, for_this_command, until_interrupted, whole_lab
from lab.status import OrderStatus, end_of, recent, status_of
from orders.model import Order, Style
from runtime.errors import InputError, OrderlabError
from runtime.settings import Settings

_REDRIVES_AT_ONCE = 8
_REDRIVE_S = 20
"""A redriven delivery may be tried for days; this is how long the command stays to see."""


async def up(settings: Settings) -> None:
    """Run the lab until Ctrl-C, and print where everything is."""
    async with whole_lab(settings) as (session, children):
        RESULTS.print(f"Temporal    {session.address}, namespace {session.client.namespace}")
        RESULTS.print(f"UI          {session.ui_url or 'of your server'}")
        for child in children:
            where = f", {child.address}, keeps {settings.mail_dir}" if child.address else ""
            RESULTS.print(f"{child.name:<11} pid {child.pid}{where}, log {child.log}")
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
        for placed in await Placer(session.client, session.lab, dice).place_once(order, styles):
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
                RESULTS.print(told, markup=False)
            if session.server is not None:
                announce("the links work while `orderlab up` is running")
        broken = [f"{status.workflow_id}: {status.detail}" for status in statuses if status.state is None]
        if broken:
            raise OrderlabError("; ".join(broken))


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
            RESULTS.print(f"{redriven.id}  {redriven.outcome}", markup=False)
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
        recipients, known = await Placer(session.client, session.lab).publish(event)
        if json is not None:
            result = Published(id=event.id, type=event.type, workflow_id=run, known=known, recipients=recipients)
            write_json(json, result)
        if str(json) != "-":
            to = f"handed to: {', '.join(recipients) or 'nobody'}"
            told = "was published already; nothing was changed" if known else to
            RESULTS.print(f"{event.type} {event.id} {told}", markup=False)
            RESULTS.print(session.link(run) or f"workflow id {run}", markup=False)
        if must_wait and not known:
            await _end_of(session.client, Placed("choreography", event.correlation_key, known=False))


async def show_events(settings: Settings, key: str, json: Path | None) -> None:
    """Show the log of an order or another correlation key.

    Raises:
        InputError: there is none.
    """
    async with for_this_command(settings, ("bus",)) as (session, _):
        log = await log_of(session.client, key)
        if log is None:
            saga = await status_of(session.client, "saga", key)
            why = "it ran as a saga only, which has no events" if saga else "`orderlab orders` lists what there is"
            raise InputError(f"there are no events of {key}: {why}")
    if json is not None:
        write_json(json, log)
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
            RESULTS.print(f"{result.workflow_id}: {result.events} events: {result.failure or 'replays'}", markup=False)
    broken = sum(result.failure is not None for result in results)
    if broken:
        raise OrderlabError(f"{broken} of {len(results)} histories do not fit today's code")


async def _end_of(client: Client, placed: Placed) -> None:
    """Wait until an order has ended; where that takes long, tell why."""
    end = asyncio.ensure_future(end_of(client, placed))
    try:
        while not (await asyncio.wait({end}, timeout=PATIENCE_S))[0]:
            status = await status_of(client, placed.style, placed.order_id)
            why = f": {status.detail}" if status and status.detail else ""
            announce(f"order {placed.order_id} has not ended yet ({placed.style}){why}")
        end.result()
    finally:
        end.cancel()
