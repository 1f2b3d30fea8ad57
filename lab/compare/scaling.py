"""What changes as orders add up, and what the server's settings are worth."""

import asyncio
import contextlib
from collections.abc import Sequence

import psutil

from lab.compare.comparison import Growth
from lab.compare.contestants import Contestant, styles
from lab.compare.measuring import OnOrder, Results, closed_loop, one_at_a_time, rotated
from lab.compare.plan import ComparePlan
from lab.demo import warm_up_lab
from lab.measure import Timing
from lab.paired import ratios_of_pairs
from lab.placing import Placer
from lab.processes import Child
from lab.report import Ratio
from lab.running import whole_lab
from orders.loader import OrderBook
from orders.model import STYLES
from runtime.settings import Settings
from server.session import Session

GROWN_TO = 2_000
"""Orders in each style at the second look."""

PROBES = 60
"""Orders per style of each look at the latency."""

_EARLIER, _UNTUNED = "earlier", "untuned"
_MIB = 2**20
_BLOCK = 10
_QUIET_PERCENT = 8
_LOOK_S = 1.0
_PATIENCE_S = 60


async def growth(  # noqa: PLR0913 - where, and what to run
    session: Session,
    book: OrderBook,
    plan: ComparePlan,
    children: Sequence[Child],
    on_order: OnOrder,
    *,
    grown_to: int = GROWN_TO,
    probes: int = PROBES,
) -> tuple[Growth, dict[str, Ratio]]:
    """Look at latency and memory, let many orders through, and look again.

    The same orders are probed both times, so each pair is one order; but the two looks are a minute apart, so a machine
    that has slowed down meanwhile shows here, too. Each look waits until the server is idle. No dice are thrown.

    Args:
        session: the Temporal server.
        book: orders to draw from.
        plan: what was run before.
        children: the workers' processes; those that run elsewhere can't be looked into.
        on_order: is told of each order's end.
        grown_to: orders in each style before the second look.
        probes: orders of each look.

    Returns:
        The memory, and the ratios later / earlier of the end-to-end times.
    """
    contestants = styles(session.client, Placer(session.client, session.lab))
    later, earlier = Results(), Results()
    await _quiet(session)
    await one_at_a_time(contestants, book.take(probes, plan.seed, f"{_EARLIER}-{plan.label}"), earlier, on_order)
    before_mib = _memory_mib(children)
    more = book.take(orders_until(grown_to, plan, probes), plan.seed, f"more-{plan.label}")
    await closed_loop(contestants, more, plan, Results(), on_order)
    await _quiet(session)
    await one_at_a_time(contestants, book.take(probes, plan.seed, f"later-{plan.label}"), later, on_order)
    found = Growth(
        orders_before=plan.orders + probes,
        orders_after=plan.orders + probes + len(more),
        memory_before_mib=before_mib,
        memory_after_mib=_memory_mib(children),
    )
    pairs = {f"{style}/{_EARLIER}.end_to_end_ms": _pairs(later.alone[style], earlier.alone[style]) for style in STYLES}
    return found, ratios_of_pairs(pairs, plan.seed)


def orders_until(grown_to: int, plan: ComparePlan, probes: int) -> int:
    """How many orders are between the two looks: what is missing after the plan's own and those of the first look."""
    return max(0, grown_to - plan.orders - probes)


async def against_untuned(  # noqa: PLR0913 - two labs, and what to run in them
    session: Session, settings: Settings, book: OrderBook, plan: ComparePlan, *, probes: int, on_order: OnOrder
) -> dict[str, Ratio]:
    """Run the same orders, one at a time, here and on a server with its default settings, some here and some there.

    While one server is measured, the other has nothing to do: each has the machine for itself.

    Args:
        session: the tuned server.
        settings: the other server gets a directory in its data directory.
        book: orders to draw from.
        plan: seed and label.
        probes: how many orders.
        on_order: is told of each order's end.

    Returns:
        The ratios tuned / untuned of the end-to-end times.
    """
    orders = book.take(probes, plan.seed, f"{_UNTUNED}-{plan.label}")
    async with whole_lab(settings.beside(_UNTUNED), tuned=False) as (other, _):
        await warm_up_lab(other, book, plan.as_demo)
        theirs = [
            Contestant(f"{_UNTUNED}-{one.name}", one.run)
            for one in styles(other.client, Placer(other.client, other.lab))
        ]
        results = Results()
        ours = styles(session.client, Placer(session.client, session.lab))
        for number, start in enumerate(range(0, len(orders), _BLOCK)):
            for lab in rotated((ours, theirs), number):
                await _quiet(session, other)
                await one_at_a_time(lab, orders[start : start + _BLOCK], results, on_order)
    pairs = {
        f"{style}/{_UNTUNED}.end_to_end_ms": _pairs(results.alone[style], results.alone[f"{_UNTUNED}-{style}"])
        for style in STYLES
    }
    return ratios_of_pairs(pairs, plan.seed)


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


def _pairs(ours: Sequence[Timing], theirs: Sequence[Timing]) -> list[tuple[float, float]]:
    """The end-to-end times in ms, order by order."""
    return [(one.end_to_end_ms, other.end_to_end_ms) for one, other in zip(ours, theirs, strict=True)]
