"""What changes as orders add up, and what the server's settings are worth: one lab against another, in turn."""

import asyncio
import contextlib
import shutil
from collections.abc import Sequence

import psutil

from lab.compare.comparison import Growth
from lab.compare.contestants import Contestant, styles
from lab.compare.measuring import OnOrder, Results, closed_loop, one_at_a_time, rotated
from lab.compare.plan import ComparePlan
from lab.demo import warm_up_lab
from lab.paired import ratios_of_pairs
from lab.placing import Placer
from lab.processes import Child
from lab.report import Ratio
from lab.running import whole_lab
from orders.loader import OrderBook
from orders.model import STYLES, Order
from runtime.settings import Settings
from server.session import Session

FEW, MANY = 100, 2_000
"""Orders in each style, in a fresh lab and in one that has grown."""

PROBES = 60
"""Orders per style, one at a time, in each of two labs that are compared."""

_GROWN, _FRESH, _UNTUNED = "grown", "fresh", "untuned"
_BLOCK = 10
_MIB = 2**20
_QUIET_PERCENT = 8
_LOOK_S = 1.0
_PATIENCE_S = 60


async def growth(  # noqa: PLR0913 - two labs, and what to run in them
    settings: Settings,
    book: OrderBook,
    plan: ComparePlan,
    on_order: OnOrder,
    *,
    few: int = FEW,
    many: int = MANY,
    probes: int = PROBES,
) -> tuple[Growth, dict[str, Ratio]]:
    """Let many orders through one new lab and few through another, and compare what one more takes in each.

    Two looks at one lab, before and after, would tell more of the machine, which may have slowed down or sped up since.

    Args:
        settings: the labs get directories in its data directory, which are removed at the end if all went well.
        book: orders to draw from.
        plan: seed, label and concurrency.
        on_order: is told of each order's end.
        few: orders in each style in the one lab.
        many: orders in each style in the other.
        probes: orders that are measured then.

    Returns:
        The memory, and the ratios many / few of the end-to-end times.
    """
    labs = settings.beside(f"growth-{plan.label}")  # a lab of an earlier run would not be new
    async with (
        whole_lab(labs.beside(_GROWN)) as (grown, grown_children),
        whole_lab(labs.beside(_FRESH)) as (fresh, fresh_children),
    ):
        for session, count, name in ((grown, many, _GROWN), (fresh, few, _FRESH)):
            await warm_up_lab(session, book, plan.as_demo)
            orders = book.take(count, plan.seed, f"{name}-{plan.label}")
            await closed_loop(_styles(session), orders, plan, Results(), on_order)
        found = Growth(
            orders_before=few,
            orders_after=many,
            memory_before_mib=_memory_mib(fresh_children),
            memory_after_mib=_memory_mib(grown_children),
        )
        orders = book.take(probes, plan.seed, f"later-{plan.label}")
        ratios = await _in_turn(grown, fresh, _FRESH, orders, plan.seed, on_order)
    await asyncio.to_thread(shutil.rmtree, labs.data)
    return found, ratios


async def against_untuned(  # noqa: PLR0913 - two labs, and what to run in them
    session: Session, settings: Settings, book: OrderBook, plan: ComparePlan, on_order: OnOrder, *, probes: int = PROBES
) -> dict[str, Ratio]:
    """Run the same orders here and on a server with its default settings.

    Args:
        session: the tuned server.
        settings: the other lab gets a directory in its data directory.
        book: orders to draw from.
        plan: seed and label.
        on_order: is told of each order's end.
        probes: how many orders.

    Returns:
        The ratios tuned / untuned of the end-to-end times.
    """
    orders = book.take(probes, plan.seed, f"{_UNTUNED}-{plan.label}")
    async with whole_lab(settings.beside(_UNTUNED), tuned=False) as (other, _):
        await warm_up_lab(other, book, plan.as_demo)
        return await _in_turn(session, other, _UNTUNED, orders, plan.seed, on_order)


async def _in_turn(  # noqa: PLR0913, PLR0917 - two labs, and what to run in them
    session: Session, other: Session, name: str, orders: Sequence[Order], seed: int, on_order: OnOrder
) -> dict[str, Ratio]:
    """Run the same orders in both labs, some here and some there, one at a time and without dice.

    While one lab is measured, the other has nothing to do: each has the machine for itself.
    """
    ours = _styles(session)
    theirs = [Contestant(f"{name}-{one.name}", one.run) for one in _styles(other)]
    results = Results()
    for number, start in enumerate(range(0, len(orders), _BLOCK)):
        for lab in rotated((ours, theirs), number):
            await _quiet(session, other)
            await one_at_a_time(lab, orders[start : start + _BLOCK], results, on_order)
    pairs = {
        f"{style}/{name}.end_to_end_ms": [
            (one.end_to_end_ms, another.end_to_end_ms)
            for one, another in zip(results.alone[style], results.alone[f"{name}-{style}"], strict=True)
        ]
        for style in STYLES
    }
    return ratios_of_pairs(pairs, seed)


def _styles(session: Session) -> list[Contestant]:
    return styles(session.client, Placer(session.client, session.lab))


def _memory_mib(children: Sequence[Child]) -> dict[str, float]:
    """The resident set size of each process, with what it shares with the others.

    What is a process's own would grow without any need for memory: they are forked, and a page stops being shared when
    the garbage collector first looks at it.
    """
    return {child.name: round(psutil.Process(child.pid).memory_info().rss / _MIB, 1) for child in children}


async def _quiet(*sessions: Session) -> None:
    """Wait until our servers are idle; no longer than a minute, and not for one that is not ours."""
    processes = [psutil.Process(session.server.pid) for session in sessions if session.server is not None]
    for process in processes:
        process.cpu_percent()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            busy = bool(processes)
            while busy:
                await asyncio.sleep(_LOOK_S)
                busy = max(process.cpu_percent() for process in processes) > _QUIET_PERCENT
