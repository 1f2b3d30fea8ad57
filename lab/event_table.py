"""Writes the table "event → service → effects → events out" of the choreography to docs/events.md: `make schemas`.

It is read off the code: each subscription's handler is called with a real event, on a database of its own, and asked
what it did and what it told.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio import activity

from events.catalogue import CATALOGUE, FAILURES, OWNERS, CancelRequested, Fact, OrderCancelled, OrderFailed
from events.edge import order_placed
from events.envelope import Event, source_of
from events.subscriptions import Reaction
from hosting.composition import activities_of
from lab.effects import all_effects
from orders.cancelling import BY_THE_CUSTOMER
from orders.loader import load_orders
from runtime.settings import PROJECT, SHIPPED_ORDERS, Settings
from services.order_placed import registry

PAGE = PROJECT / "docs" / "events.md"

_HEAD = """# Who hears of what, and does what

The whole choreography of the scenario `order-placed`, read off the code by calling each subscriber's handler
(`make schemas`). No service knows another: it knows the events that it hears and tells. The schema of each event is in
[events](events). Once the parcel is handed over, shipping answers `order.cancel_requested` by `cancellation.refused`.
To an order whose id belongs to [another order](guarantees.md#what-temporal-forgets), each service answers
`order.cancelled`.

| event | service | if it gives up | its effects | events out |
|---|---|---|---|---|
"""


async def table() -> str:
    """The page."""
    rows = []
    placed = _placed()
    order_id = placed.correlation_key
    facts: dict[str, Fact] = {
        "order.cancel_requested": CancelRequested(order_id=order_id, reason=BY_THE_CUSTOMER),
        "order.cancelled": OrderCancelled(order_id=order_id, reason=BY_THE_CUSTOMER),
    } | {name: OrderFailed(order_id=order_id, service="another", reason="it gave up") for name in FAILURES}
    later = [
        placed.follow_up(
            f"{placed.id}/{name}",
            name,
            source=source_of(OWNERS.get(name, "shop")),
            time=datetime.now(UTC),
            data=fact,
        )
        for name, fact in facts.items()
    ]
    for event in (placed, *later):
        for recipient in registry("").route(event).recipients:
            earlier = () if event is placed else (placed,)
            done, told = await _handle(recipient.subscriber, recipient.handler, event, earlier)
            giving_up = f"`{recipient.failure_event}`" if recipient.failure_event else "parked"
            rows.append(
                f"| `{event.type}` | {recipient.subscriber} | {giving_up} | {_listed(done)} | {_listed(told)} |"
            )
    heard = {event.type for event in (placed, *later)}
    unheard = [event_type for event_type in CATALOGUE if event_type not in heard]
    return _HEAD + "\n".join(rows) + f"\n\nNobody in this scenario subscribes to: {_listed(unheard)}.\n"


async def _handle(service: str, handler: str, event: Event, earlier: tuple[Event, ...]) -> tuple[list[str], list[str]]:
    """Call a handler, after its service has handled earlier events; answers its effects and the events it tells."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data=Path(directory))
        async with contextlib.AsyncExitStack() as stack:
            activities = activities_of(service, settings, "", stack)
            by_type = {_type_of(one): one for one in activities}
            for before in earlier:
                by_type[f"{service}.on_order_placed"](before)
            known = {record.effect for record in all_effects(settings)}
            reaction: Reaction = by_type[handler](event)
            done = [record.effect for record in all_effects(settings) if record.effect not in known]
    return done, [routed.event.type for routed in reaction.events]


def _placed() -> Event:
    """An order of a customer whom the campaign writes to: all that can happen happens."""
    orders = load_orders(SHIPPED_ORDERS).orders
    return order_placed(next(order for order in orders if not order.is_guest and order.country == "United Kingdom"))


def _type_of(function: Callable[..., Any]) -> str | None:
    definition = activity._Definition.from_callable(function)  # noqa: SLF001 - the SDK has no public way to ask
    return definition.name if definition else None


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(table()), encoding="utf-8")
