"""The `orderlab` command: places orders, publishes events, looks at what became of them, compares the two styles."""

if __name__ == "__main__":  # above what is heavy to import: see there
    from runtime.start import client

    client()

import asyncio
import logging
import math
import re
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from events.attributes import check_name
from events.edge import order_placed, parse_event
from faults.dice import Dice
from faults.plan import FaultPlan, load_plan, load_profile, plan_names, profile_names
from hosting.composition import check_room, check_settings
from lab import commands, trials
from lab.chaos import ChaosPlan
from lab.compare.check import read_baseline
from lab.compare.outputs import Outputs
from lab.compare.plan import CONCURRENCY, ComparePlan
from lab.console import check_writable
from lab.demo import DemoPlan
from lab.killing import TARGETS
from lab.repair.command import repair
from lab.replay import histories_in
from orders.loader import load_orders, read_order
from orders.model import ORDER_ID_PATTERN, STYLES, Order, Style
from runtime.documents import read_file
from runtime.errors import InputError
from runtime.leave import run_process
from runtime.logs import configure_logs
from runtime.settings import SHIPPED_ORDERS, Settings
from server.connect import configured_elsewhere
from services.order_placed import ACTIONS, WORKERS

app = typer.Typer(
    help="One order-placed scenario as an orchestrated saga and as a choreographed event fan-out, on Temporal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    str | None, typer.Option(metavar="DIRECTORY", help="Directory that holds all of a lab (default .orderlab).")
]
Faults = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help=f"What goes wrong: {', '.join(plan_names())}, or a fault plan in JSON."),
]
CancelShare = Annotated[
    float | None,
    typer.Option(metavar="P", help="Share of the orders, 0 to 1, that their customers cancel at a random moment."),
]
Seed = Annotated[int, typer.Option(min=0, help="Decides which orders, and which of them something befalls.")]
Json = Annotated[
    Path | None, typer.Option("--json", help="Write the result as JSON to this file; - for standard output.")
]


@app.command()
def up(data: Data = None) -> None:
    """Run the lab until Ctrl-C: Temporal server, mail server, one worker process per service."""
    _run(commands.up(_settings(data)))


@app.command("order")
def place_order(
    what: Annotated[
        str, typer.Argument(metavar="FILE|INVOICE", help="A JSON file, or an invoice number of the data set.")
    ],
    style: Annotated[str, typer.Option(help="saga, choreography or both.")] = "both",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the order has ended.")] = False,
    faults: Faults = None,
    seed: Seed = 7,
    json: Json = None,
    data: Data = None,
) -> None:
    """Place one order and print how it stands; placing it twice changes nothing.

    Where no workers run (`orderlab up` or `python worker.py`), they run for the duration of this command.
    """
    styles = _styles(style)
    order = _order(what)
    dice = None if faults is None else Dice(plan=load_plan(faults, ACTIONS), seed=seed)
    order_placed(order, dice=dice)  # an order that is too large for an event is refused here
    check_writable(json)
    _run(commands.place(_settings(data), order, styles, dice, wait=wait, json=json))


@app.command("cancel")
def cancel_order(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="An order id; also of an order to come.")],
    style: Annotated[
        str | None, typer.Option(help="saga, choreography or both; by default where the order was placed.")
    ] = None,
    json: Json = None,
    data: Data = None,
) -> None:
    """Cancel an order as its customer: before, while or after it is fulfilled. Shipping decides whether it is too late.

    Accepted, all that was done is undone; refused, the order stays as it is. Cancelling twice changes nothing.
    """
    _check_order_id(order)
    styles = () if style is None else _styles(style)
    check_writable(json)
    _run(commands.cancel(_settings(data), order, styles, json))


@app.command("orders")
def list_orders(
    limit: Annotated[int, typer.Option(help="How many, the newest first.")] = 20, json: Json = None, data: Data = None
) -> None:
    """List orders and how they stand."""
    _at_least_one("--limit", limit)
    check_writable(json)
    _run(commands.list_orders(_lab(data), limit, json))


@app.command("parked")
def list_parked(json: Json = None, data: Data = None) -> None:
    """List the dead-letter queue: what was given up for now, why, after how many attempts."""
    check_writable(json)
    _run(commands.list_parked(_lab(data), json))


@app.command("redrive")
def redrive_parked(
    delivery: Annotated[str | None, typer.Argument(metavar="[ID]", help="As `orderlab parked` lists it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is parked.")] = False,
    json: Json = None,
    data: Data = None,
) -> None:
    """Try parked work once more, without the dice; what succeeded before is not touched."""
    if (delivery is None) is not everything:
        raise InputError("name one parked delivery, or give --all")
    check_writable(json)
    _run(commands.redrive_parked(_lab(data, WORKERS), delivery, json))


@app.command("repair")
def repair_order(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The order that was left half done.")],
    style: Annotated[str, typer.Option(help="saga, choreography or both.")] = "both",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what stands, and what would be done.")] = False,
    json: Json = None,
    data: Data = None,
) -> None:
    """Finish what was left half done of an order, as when somebody has terminated its workflow.

    Shows how it stands, by the services' databases, and what it will do, and does that.

    An order that was broken off on its way goes on; one whose undoing had begun is undone to its end.

    What is parked is tried once more, without the dice. A whole order is left as it is.

    Exit 1 if the order does not stand as an order may after that.
    """
    _check_order_id(order)
    styles = _styles(style)
    check_writable(json)
    _run(repair(_lab(data, WORKERS), order, styles, dry_run=dry_run, json=json))


@app.command("publish")
def publish_event(
    file: Annotated[Path, typer.Argument(metavar="EVENT.json", help="A CloudEvent in JSON, of any type.")],
    by_hand: Annotated[
        str | None,
        typer.Option(
            metavar="YOUR-NAME",
            help="Tell a service's fact in its place, such as shipment.failed; log and audit show it as your act.",
        ),
    ] = None,
    json: Json = None,
    data: Data = None,
) -> None:
    """Publish an event on the bus; publishing the same event id twice changes nothing."""
    event = parse_event(read_file(file), where=str(file), by_hand=by_hand)
    check_writable(json)
    _run(commands.publish(_settings(data), event, json))


@app.command("events")
def show_events(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="An order id, or another correlation key.")],
    json: Json = None,
    data: Data = None,
) -> None:
    """Show the event log of an order: each event, who was handed it, and what became of that."""
    check_name(order, "ORDER")
    check_writable(json)
    _run(commands.show_events(_lab(data), order, json))


@app.command("effects")
def show_effects(
    order: Annotated[str | None, typer.Argument(metavar="[ORDER]", help="Only those of this order.")] = None,
    json: Json = None,
    data: Data = None,
) -> None:
    """List what the services did, from their own databases."""
    if order is not None:
        check_name(order, "ORDER")
    check_writable(json)
    commands.show_effects(_books(data), order, json)


@app.command("replay")
def replay_histories(
    what: Annotated[str, typer.Argument(metavar="ORDER|DIR", help="An order id, or a directory of histories.")],
    json: Json = None,
    data: Data = None,
) -> None:
    """Replay histories on today's code; exit 1 if one no longer fits."""
    check_writable(json)
    if _is_there(Path(what)) and Path(what).is_dir():
        _run(commands.replay_histories(histories_in(Path(what)), json))
    else:
        check_name(what, "ORDER")
        _run(commands.replay_order(_lab(data), what, json))


@app.command()
def demo(
    orders: Annotated[int, typer.Option(help="How many orders, each through both styles.")] = 40,
    faults: Faults = None,
    cancel_share: CancelShare = None,
    seed: Seed = 7,
    untuned: Annotated[bool, typer.Option("--untuned", help="Run the server with its default settings.")] = False,
    json: Json = None,
    data: Data = None,
) -> None:
    """Take real orders through both styles and compare; on a terminal the lab then stays up until Ctrl-C."""
    _at_least_one("--orders", orders)
    plan = DemoPlan.now(orders, seed, _fault_plan(faults, cancel_share))
    check_writable(json)
    _run(trials.demo(_settings_for(data, untuned=untuned), plan, tuned=not untuned, json=json))


@app.command("compare")
def compare_styles(
    orders: Annotated[int, typer.Option(help="How many distinct orders, each through both styles.")] = 100,
    concurrency: Annotated[
        int | None, typer.Option(help=f"Orders in flight while throughput is measured (default {CONCURRENCY}).")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Instead: an open loop of up to so many orders a second."),
    ] = None,
    faults: Faults = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help=f"Your services' times and failure rates: {', '.join(profile_names())}, or a fault plan in JSON.",
        ),
    ] = None,
    cancel_share: CancelShare = None,
    seed: Seed = 7,
    untuned: Annotated[bool, typer.Option("--untuned", help="Run the server with its default settings.")] = False,
    scaling: Annotated[
        bool,
        typer.Option(
            "--scaling", help="Also: an easy load, default settings, 2,000 orders, 4 to 32 subscribers; takes minutes."
        ),
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option(metavar="BASELINE.json", help="Exit 1 if this result was better."),
    ] = None,
    json: Json = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one self-contained page.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a decision record for your repository.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the outcome as JUnit XML.")] = None,
    data: Data = None,
) -> None:
    """Measure both styles, interleaved with references, and tell which to choose by which criterion."""
    _at_least_one("--orders", orders)
    if rate is not None and concurrency is not None:
        raise InputError("--rate and --concurrency are two different loads: give one of them")
    if concurrency is not None:
        _at_least_one("--concurrency", concurrency)
    if scaling and untuned:
        raise InputError("--scaling compares with default settings, which --untuned is: give one of them")
    if rate is not None and not 0 < rate < math.inf:
        raise InputError(f"--rate must be more than 0 orders a second, not {rate}")
    plan = ComparePlan.now(
        orders,
        seed,
        faults=_with_profile(_fault_plan(faults, cancel_share), profile),
        profile=profile,
        concurrency=concurrency,
        rate_per_s=rate,
        scaling=scaling,
    )
    baseline = None if check is None else read_baseline(check, plan)
    outputs = Outputs(json=json, html=html, markdown=markdown, junit=junit, baseline=baseline)
    outputs.check_writable()
    _run(trials.compare(_settings_for(data, untuned=untuned), plan, outputs, tuned=not untuned))


@app.command("chaos")
def break_things(
    orders: Annotated[int, typer.Option(help="How many orders, each through both styles.")] = 300,
    kill: Annotated[str | None, typer.Option(help=f"What to kill: {', '.join(TARGETS)}, or all in turn.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between two kills.")] = 5,
    down: Annotated[
        str | None, typer.Option(metavar="SERVICE", help="Instead: a service away for half of the orders, then back.")
    ] = None,
    faults: Faults = None,
    seed: Seed = 7,
    json: Json = None,
    data: Data = None,
) -> None:
    """Kill real processes while orders flow through both styles, then audit; exit 1 if anything was lost or doubled."""
    _at_least_one("--orders", orders)
    if not 0 < every < math.inf:
        raise InputError(f"--every must be more than 0 seconds, not {every}")
    if kill is not None and down is not None:
        raise InputError("--kill and --down are two different runs: give one of them")
    targets = () if down is not None else _targets(kill or "all")
    if down is not None and down not in ACTIONS:
        raise InputError(f"unknown service {down!r}; take one of: {', '.join(ACTIONS)}")
    plan = ChaosPlan.now(
        orders, targets, every, seed, faults=None if faults is None else load_plan(faults, ACTIONS), down=down
    )
    check_writable(json)
    _run(trials.chaos(_settings(data), plan, json))


@app.command("audit")
def audit_everything(json: Json = None, data: Data = None) -> None:
    """Check the guarantees over all orders, from databases, mails and histories; exit 1 if one was broken."""
    check_writable(json)
    _run(trials.audit_all(check_room(_books(data), ()), json))


@app.command("faults")
def fault_matrix(
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Every kind of fault, on every effect, in both styles.")
    ] = False,
    json: Json = None,
    data: Data = None,
) -> None:
    """List the fault plans, or run the fault matrix (docs/faults.md); exit 1 if an order ended as it must not."""
    check_writable(json)
    if matrix:
        settings = _settings(data)
        # In a lab of its own: it leaves parked orders behind, which would be in the way of a person's own.
        _run(trials.fault_matrix(_settings(settings.data / "matrix"), json))
    else:
        trials.list_plans([load_plan(name, ACTIONS) for name in plan_names()], json)


def _settings(data: str | Path | None) -> Settings:
    """Of a lab that is there, or is made by the command."""
    return check_room(check_settings(Settings.at(data)), WORKERS)


def _lab(data: str | None, hosted: Sequence[str] = ()) -> Settings:
    """Of a lab that is only looked at, which makes none: it is there, or on the server that the user names."""
    settings = check_settings(Settings.at(data))
    _check_there(settings, elsewhere=configured_elsewhere())
    return check_room(settings, hosted)


def _books(data: str | None) -> Settings:
    """Of a lab whose databases are looked at: they are there, or where the user says."""
    settings = check_settings(Settings.at(data))
    _check_there(settings, elsewhere=settings.names_a_database)
    return settings


def _check_there(settings: Settings, *, elsewhere: bool) -> None:
    if not (elsewhere or settings.data.is_dir()):
        raise InputError(f"there is no lab in {settings.data}; `orderlab up` or `orderlab demo` makes one")


def _fault_plan(faults: str | None, cancel_share: float | None) -> FaultPlan | None:
    if cancel_share is None:
        return None if faults is None else load_plan(faults, ACTIONS)
    if not 0 <= cancel_share <= 1:
        raise InputError(f"--cancel-share must be between 0 and 1, not {cancel_share}")
    return load_plan(faults or "calm", ACTIONS).with_cancelled_share(cancel_share)


def _with_profile(faults: FaultPlan | None, profile: str | None) -> FaultPlan | None:
    if profile is None:
        return faults
    ours = load_profile(profile, ACTIONS)
    return ours if faults is None else faults.over(ours)


def _settings_for(data: str | None, *, untuned: bool) -> Settings:
    settings = _settings(data)
    # The database file remembers some of the server's settings, so tuned and untuned must not share one.
    return _settings(settings.data / "untuned") if untuned else settings


def _styles(text: str) -> tuple[Style, ...]:
    if text == "both":
        return STYLES
    for style in STYLES:
        if text == style:
            return (style,)
    raise InputError(f"unknown style {text!r}; take one of: {', '.join(STYLES)}, both")


def _targets(text: str) -> tuple[str, ...]:
    if text == "all":
        return TARGETS
    if text not in TARGETS:
        raise InputError(f"unknown target {text!r}; take one of: {', '.join(TARGETS)}, all")
    return (text,)


def _order(what: str) -> Order:
    path = Path(what)
    if _is_there(path) or path.suffix or path.name != what:
        return read_order(path)
    return load_orders(SHIPPED_ORDERS).find(what)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # what is too long for a name of a file is none
        return False


def _check_order_id(order: str) -> None:
    if not re.fullmatch(ORDER_ID_PATTERN, order):
        raise InputError(f"no order id: {order!r}; `orderlab orders` lists what there is")


def _at_least_one(option: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{option} must be at least 1, not {value}")


def _run(command: Coroutine[Any, Any, None]) -> None:
    # asyncio turns Ctrl-C into a cancellation, but not where a shell's `&` made us ignore it. SIGTERM, by which other
    # programs end us, is to be as orderly.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    asyncio.run(command)


def main() -> None:
    """The process."""
    configure_logs(logging.ERROR)  # a command tells itself what goes on; workers tell the rest
    run_process(app, "orderlab")
