"""Records tests/histories anew from real runs: `make histories`, after a change of the workflows that is meant.

Each history is one case that the replay tests hold today's code to.
"""

import asyncio
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from temporalio.client import Client

from events.bus import REDRIVE
from events.edge import order_placed
from faults.dice import Dice
from faults.plan import Customers, FaultPlan
from lab.dead_letters import parked, redrive
from lab.placing import Placed, Placer
from lab.repair.repairing import Repairer
from lab.runs import workflow_id
from lab.status import end_of
from orders.loader import load_orders
from orders.model import STYLES, Order, Style
from runtime.leave import leave
from runtime.settings import SHIPPED_ORDERS, Settings
from server.binary import find_temporal_binary
from server.connect import connect_to
from server.embedded import EmbeddedServer
from tests.labs import Lab, failing, open_lab, until
from workflows.order_saga import OrderSaga

HISTORIES = Path(__file__).with_name("histories")

FAILING: dict[str, dict[Style, list[str]]] = {
    "completed": {"saga": [], "choreography": []},
    "cancelled": {"saga": ["invoicing.issue_invoice"], "choreography": ["invoicing.on_order_placed"]},
    "parked": {"saga": ["marketing.thank_customer"], "choreography": ["marketing.on_order_placed"]},
    "attention": {
        "saga": ["shipping.begin_fulfilment", "analytics.reverse_sale"],
        "choreography": ["shipping.on_order_placed", "analytics.on_order_cancelled"],
    },
}
"""Case to the activities that fail in it, in each style."""

CANCELLED = ("called-off", "cancelled-later", "placed-late", "refused")
"""Cases in which the customer cancels: while something is parked, after the end, before placing, and too late."""

_TOO_LATE = Dice(plan=FaultPlan(name="too late", customers=Customers(cancel=0, handover_ms=0)), seed=1)

_STUCK_UNDO = Dice(
    plan=FaultPlan.model_validate(
        {
            "name": "stuck undo",
            "services": {
                "invoicing": {"invoice.issued": {"permanent": 1}},
                "marketing": {"cancellation.sent": {"transient": 1, "transient_attempts": 1000}},
            },
        }
    ),
    seed=1,
)


async def record(client: Client, data: Path) -> None:
    """Run every case in both styles and store the histories."""
    order = next(o for o in load_orders(SHIPPED_ORDERS).orders if o.customer_id and o.country == "United Kingdom")
    for case, broken in FAILING.items():
        for style in STYLES:
            fakes = [failing(one, times=1 if case == "parked" else None) for one in broken[style]]
            one = order.model_copy(update={"order_id": f"{order.order_id}.{case}"})
            async with open_lab(client, data / f"{case}-{style}", fakes=fakes) as lab:
                await lab.run(one, style)
                if case == "parked":
                    await _redrive(lab, one, style, broken[style][0])
                await _store(client, style, one, case)
    for case in CANCELLED:
        for style in STYLES:
            one = order.model_copy(update={"order_id": f"{order.order_id}.{case}"})
            parks = case in {"called-off", "refused"}
            fakes = [failing(broken, times=1) for broken in FAILING["parked"][style] if parks]
            async with open_lab(client, data / f"{case}-{style}", fakes=fakes) as lab:
                await _cancel(lab, one, style, case)
            await _store(client, style, one, case)
    await _record_repaired(client, data, order)
    guest = order.model_copy(update={"order_id": f"{order.order_id}.guest", "customer_id": None})
    async with open_lab(client, data / "guest") as lab:
        for style in STYLES:
            await lab.run(guest, style)
            await _store(client, style, guest, "guest")
        later = order_placed(guest).follow_up(
            "scan-1", "parcel.scanned", source="test", time=order_placed(guest).time, data=guest.lines[0]
        )
        await lab.placer.publish(later)
        await client.get_workflow_handle(workflow_id("choreography", guest.order_id)).result()
        await _store(client, "choreography", guest, "later-event")


async def _record_repaired(client: Client, data: Path, order: Order) -> None:
    """An order that was terminated while it was undone, and repaired."""
    for style in STYLES:
        one = order.model_copy(update={"order_id": f"{order.order_id}.repaired"})
        async with open_lab(client, data / f"repaired-{style}") as lab:
            await Placer(client, lab.name, _STUCK_UNDO).place(one, style)
            await until(lambda lab=lab, one=one, style=style: "campaign.rejoined" in lab.effects(one, style))  # type: ignore[misc]
            await client.get_workflow_handle(workflow_id(style, one.order_id)).terminate()
            found = await Repairer(client, lab.name, lab.settings).examine(one.order_id, style)
            assert found is not None
            await found.do()
            await end_of(client, Placed(style, one.order_id, known=True))
        await _store(client, style, one, "repaired")


async def _cancel(lab: Lab, order: Order, style: Style, case: str) -> None:
    placer = Placer(lab.client, lab.name, _TOO_LATE if case == "refused" else None)
    if case == "placed-late":
        await placer.canceller.cancel(order.order_id, style)
        await placer.place(order, style)
    else:
        await end_of(lab.client, await placer.place(order, style))
        await placer.canceller.cancel(order.order_id, style)
    await end_of(lab.client, Placed(style, order.order_id, known=True))
    for letter in await parked(lab.client, lab.name):
        await redrive(lab.client, letter, wait_s=10)


async def _redrive(lab: Lab, order: Order, style: Style, activity_type: str) -> None:
    run = lab.client.get_workflow_handle(workflow_id(style, order.order_id))
    if style == "saga":
        await run.signal(OrderSaga.redrive, activity_type.split(".", maxsplit=1)[0])
    else:
        await run.signal(REDRIVE, f"{order.order_id}/order.placed>{activity_type}")
    await run.result()


async def _store(client: Client, style: Style, order: Order, case: str) -> None:
    history = await client.get_workflow_handle(workflow_id(style, order.order_id)).fetch_history()
    text = json.dumps(_without_our_machine(json.loads(history.to_json())), indent=1)
    text = re.sub(r'"name": "[^"]*@[^"]*"', '"name": "sticky"', text)  # a worker's own queue is named after its process
    (HISTORIES / f"{style}-{case}.json").write_text(text + "\n", encoding="utf-8")


def _without_our_machine(part: Any) -> Any:  # noqa: ANN401 - JSON
    """The same without process ids, host names and stack traces, none of which a replay looks at."""
    if isinstance(part, dict):
        kept = {key: _without_our_machine(value) for key, value in part.items() if key != "stackTrace"}
        return {**kept, "identity": "recorded"} if "identity" in kept else kept
    return [_without_our_machine(value) for value in part] if isinstance(part, list) else part


async def main() -> None:
    """Start a server, record, stop it."""
    HISTORIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(data=Path(data))
        async with EmbeddedServer(find_temporal_binary(print), settings) as server:
            await record(await connect_to(server.address), settings.data)


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
