"""What each command that runs many orders does, or judges them, once its input is known to be good."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from shlex import quote

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from faults.plan import FaultPlan
from lab import show
from lab.audit import audit
from lab.chaos import ChaosPlan, run_chaos, verdict
from lab.compare.contestants import BESIDE
from lab.compare.outputs import Outputs
from lab.compare.plan import ComparePlan
from lab.compare.runner import Comparing
from lab.console import PROGRESS, RESULTS, announce, write_json
from lab.demo import DemoPlan, run_demo
from lab.matrix import run_matrix
from lab.matrix_page import table
from lab.matrix_rule import CASES, Cell
from lab.measure import Timing
from lab.processes import lab_processes
from lab.report import Kill
from lab.running import PATIENCE_S, for_this_command, until_interrupted, whole_lab
from lab.runs import workflow_id
from orders.loader import load_orders
from orders.model import STYLES
from runtime.errors import OrderlabError
from runtime.settings import SHIPPED_ORDERS, Settings
from services.order_placed import REFERENCES, SERVICES


async def demo(settings: Settings, plan: DemoPlan, *, tuned: bool, json: Path | None) -> None:
    """Take orders through both styles, print the comparison and where to look.

    Raises:
        OrderlabError: the styles differ, a guarantee was broken, or an order did not end.
    """
    book = load_orders(SHIPPED_ORDERS)
    announce(show.order_book(book))
    async with whole_lab(settings, tuned=tuned) as (session, _):
        ended: list[Timing] = []
        with _progress(2 * plan.orders, ended) as on_order:
            async with _told_when_nothing_ends(settings, ended):
                result = await run_demo(session, settings, book, plan, on_order)
        if json is not None:
            write_json(json, result)
        if str(json) != "-":
            RESULTS.print(show.report(result))
            RESULTS.print(f"Order {result.links.order_id} in both styles, in the Temporal UI:")
            for style in STYLES:
                RESULTS.print(f"  {getattr(result.links, style) or workflow_id(style, result.links.order_id)}")
            shown = f".venv/bin/orderlab events {result.links.order_id} --data {quote(str(settings.data))}"
            RESULTS.print(f"Its events: {shown}", markup=False)
        broken = result.broken()
        if broken:
            raise OrderlabError("; ".join(broken))
        if sys.stdin.isatty() and sys.stdout.isatty():
            RESULTS.print("The lab stays up, so that the links work. Stop: Ctrl-C")
            await until_interrupted()


@contextlib.asynccontextmanager
async def _told_when_nothing_ends(settings: Settings, ended: list[Timing]) -> AsyncIterator[None]:
    """Say where to look when no order ends for long."""
    shown = f"`orderlab orders --data {quote(str(settings.data))}`"

    async def watch() -> None:
        before = -1
        while True:
            if len(ended) == before:
                announce(f"no order has ended for {PATIENCE_S} s: {shown} says why")
            before = len(ended)
            await asyncio.sleep(PATIENCE_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


@contextlib.contextmanager
def _progress(total: int, ended: list[Timing]) -> Iterator[Callable[[Timing], None]]:
    """A progress bar on a terminal, a line every quarter otherwise; yields what to call for each order's end.

    Args:
        total: so many are expected.
        ended: collects them.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=PROGRESS, disable=not PROGRESS.is_terminal) as bar:
        task = bar.add_task("orders", total=total)

        def on_order(timing: Timing) -> None:
            ended.append(timing)
            count = len(ended)
            bar.update(task, advance=1, description=f"{timing.placed.style:<12}")
            if not PROGRESS.is_terminal and (count * 4) // total > ((count - 1) * 4) // total:
                announce(f"{count} of {total} orders have ended")

        yield on_order


async def compare(settings: Settings, plan: ComparePlan, outputs: Outputs, *, tuned: bool) -> None:
    """Measure both styles, and tell what the run favours.

    Interrupted, what was measured by then is reported as partial.

    Args:
        settings: the data directory.
        plan: what to measure.
        outputs: where to write the results, and what to hold them against.
        tuned: run the server with our settings.

    Raises:
        OrderlabError: the styles differ, a guarantee was broken, an order did not end, or the baseline was not held.
        CancelledError: interrupted.
    """
    book = load_orders(SHIPPED_ORDERS)
    announce(show.order_book(book))
    async with contextlib.AsyncExitStack() as stack:
        session, children = await stack.enter_async_context(whole_lab(settings, tuned=tuned))
        if settings.keeps_all_under_data:
            workers = (*(service.name for service in SERVICES), REFERENCES)
            await stack.enter_async_context(lab_processes(session, settings, announce, workers, beside=BESIDE))
        comparing = Comparing(session, settings, book, plan)
        interrupted = False
        with _progress(comparing.placements, []) as on_order:
            try:
                await comparing.measure(children, lambda _, timing: on_order(timing))
            except asyncio.CancelledError:
                if not comparing.has_results:
                    raise
                interrupted = True
                announce("interrupted: reporting what was measured so far")
        result = await comparing.report(partial=interrupted)
    outputs.write(result)
    if interrupted:
        raise asyncio.CancelledError
    faults = [*result.broken(), *outputs.regressions(result)]
    if faults:
        raise OrderlabError("; ".join(faults))


async def chaos(settings: Settings, plan: ChaosPlan, json: Path | None) -> None:
    """Break things while orders flow, and tell what came of it.

    Raises:
        OrderlabError: the run is not a pass.
    """

    def told(kill: Kill) -> None:
        announce(f"killed {kill.target} ({kill.process}) with {kill.in_flight} orders in flight")

    async with whole_lab(settings) as (session, children):
        ended: list[Timing] = []
        with _progress(2 * plan.orders, ended) as on_order:
            result = await run_chaos(
                session, children, settings, load_orders(SHIPPED_ORDERS), plan, on_order=on_order, on_kill=told
            )
    if json is not None:
        write_json(json, result)
    if str(json) != "-":
        RESULTS.print(show.chaos(result))
    faults = verdict(result, plan)
    if faults:
        raise OrderlabError("; ".join(faults))


def list_plans(plans: list[FaultPlan], json: Path | None) -> None:
    """List the fault plans that ship."""
    if json is not None:
        write_json(json, list(plans))
    if str(json) != "-":
        width = max(len(plan.name) for plan in plans)
        for plan in plans:
            befalls = [effect for effects in plan.services.values() for effect in effects]
            if plan.customers is not None:
                befalls.append("customers cancel")
            RESULTS.print(f"{plan.name:<{width}}  {', '.join(befalls) or 'nothing'}")


async def fault_matrix(settings: Settings, json: Path | None) -> None:
    """Try every fault on every effect and tell whether the guarantees held.

    Raises:
        OrderlabError: one was broken.
    """
    ended: list[Cell] = []

    def told(cell: Cell) -> None:
        ended.append(cell)
        what = f"{cell.effect}, {cell.fault} {cell.when}, {cell.style}: {cell.state or 'broken'}"
        announce(f"{len(ended)} of {2 * len(CASES)}  {what}")

    async with whole_lab(settings) as (session, _):
        result = await run_matrix(session, settings, load_orders(SHIPPED_ORDERS), told)
    if json is not None:
        write_json(json, result)
    if str(json) != "-":
        RESULTS.print(table(result))
    if result.broken:
        raise OrderlabError(f"{len(result.broken)} cells of the fault matrix are not as the guarantees demand")


async def audit_all(settings: Settings, json: Path | None) -> None:
    """Check the guarantees over all that was run here.

    Raises:
        OrderlabError: one was broken.
    """
    async with for_this_command(settings, ()) as (session, _):
        result = await audit(session.client, settings, session.lab)
    if json is not None:
        write_json(json, result)
    if str(json) != "-":
        RESULTS.print(show.audit(result))
    if result.violations:
        raise OrderlabError(f"{len(result.violations)} violations of the guarantees")
