"""The same seed twice: the same faults befall the same orders, whatever the lab, and the same comes of it."""

import asyncio
from typing import NamedTuple

from sqlalchemy import URL, MetaData, create_engine, select

from events.log import OrderState
from faults.dice import Dice
from faults.plan import ActionFaults, Customers, FaultPlan
from lab.effects import read_each
from lab.measure import Timing, run_order
from lab.placing import Placer
from orders.loader import OrderBook
from orders.model import STYLES, Order, Style
from services.order_placed import UNDONE_BY
from stores.ledger import effects_table
from tests.labs import Lab, Labs, left_of

ORDERS = 10
SEED = 11

OFTEN = ActionFaults(transient=0.2, ack_lost=0.3, permanent=0.1, permanent_after=0.1, twice=0.3, late=0.1, late_ms=100)

EVERYTHING = FaultPlan(
    name="everything",
    services={
        service: {action: OFTEN for pair in effects.items() for action in pair}
        for service, effects in UNDONE_BY.items()
    },
    # of wishes that come after the order, the clock decides which are accepted
    customers=Customers(cancel=0.2, overtaking=1),
)


class Outcome(NamedTuple):
    """What came of an order in one style."""

    state: OrderState | None
    left: frozenset[str]
    """Effects that were not undone."""
    attempts: frozenset[tuple[str, int]]
    """Effects that the dice made fail or come late, and how often each was tried."""


def attempts_in(lab: Lab) -> dict[tuple[str, str], set[tuple[str, int]]]:
    """How often what the dice counted was tried, by style and order."""
    metadata = MetaData()
    effects_table(metadata)
    table = metadata.tables["fault_attempts"]
    found: dict[tuple[str, str], set[tuple[str, int]]] = {}

    def read(url: URL | str) -> list[tuple[str, int]]:
        engine = create_engine(url)
        with engine.connect() as db:
            rows = [(row.idempotency_key, row.attempts) for row in db.execute(select(table))]
        engine.dispose()
        return rows

    for _, rows in read_each(lab.settings, read):
        for key, attempts in rows:
            style, order_id, _, effect = key.split("/")
            found.setdefault((style, order_id), set()).add((effect, attempts))
    return found


async def outcomes(labs: Labs, orders: list[Order], label: str) -> dict[tuple[Style, str], Outcome]:
    """Take orders through both styles in a lab of their own; answers what came of each, by style and invoice."""
    async with labs() as lab:
        placer = Placer(lab.client, lab.name, Dice(plan=EVERYTHING, seed=SEED, label=f".{label}"))
        timings: list[Timing] = await asyncio.gather(
            *(run_order(lab.client, placer, order, style, 0.3) for order in orders for style in STYLES)
        )
        attempts = attempts_in(lab)
        by_id = {order.order_id: order for order in orders}
        return {
            (placed.style, placed.order_id.split(".")[0]): Outcome(
                timing.state,
                frozenset(left_of(lab, by_id[placed.order_id], placed.style)),
                frozenset(attempts.get((placed.style, placed.order_id), ())),
            )
            for timing in timings
            for placed in (timing.placed,)
        }


async def test_the_same_seed_in_another_lab_brings_the_same_faults_and_the_same_ends(
    labs: Labs, book: OrderBook
) -> None:
    first, again = await asyncio.gather(
        *(outcomes(labs, book.take(ORDERS, SEED, label), label) for label in ("seed-1", "seed-2"))
    )

    assert {outcome.state for outcome in first.values()} >= {OrderState.CANCELLED, OrderState.PARKED}
    assert any(outcome.attempts for outcome in first.values())
    assert {key: (first[key], again[key]) for key in first if first[key] != again[key]} == {}
