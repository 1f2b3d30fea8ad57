"""What we count as billable Actions in histories, held against what the server itself counts as it runs."""

import asyncio
import re
import urllib.request
from collections import Counter

from lab.cancelling import Canceller
from lab.histories import costs_of
from lab.runs import workflow_id
from orders.loader import OrderBook
from orders.model import STYLES, Order, Style
from server.embedded import EmbeddedServer
from tests.labs import Lab, Labs, failing

ORDERS = 6


def actions(server: EmbeddedServer) -> Counter[str]:
    """The server's own count so far, by kind."""
    with urllib.request.urlopen(server.metrics_url) as page:  # noqa: S310 - our own server
        text = page.read().decode()
    found: Counter[str] = Counter()
    for labels, value in re.findall(r"^action\{(.*?)\} (\S+)$", text, flags=re.MULTILINE):
        kind = re.search(r'action_type="(.*?)"', labels)
        assert kind is not None
        found[kind[1]] += int(float(value))
    return found


async def settled(server: EmbeddedServer) -> Counter[str]:
    """The count once it has stopped growing: the server publishes it seconds late."""
    before = await asyncio.to_thread(actions, server)
    while True:
        await asyncio.sleep(3)  # the pace at which the server's counters move, and nothing tells of it
        now = await asyncio.to_thread(actions, server)
        if now == before:
            return now
        before = now


async def test_the_server_counts_as_many_actions_as_we_do(server: EmbeddedServer, labs: Labs, book: OrderBook) -> None:
    # given orders that complete, orders that fail, and orders that their customers cancel after the end
    kept, failed, regretted = (book.take(ORDERS, 3, f"actions-{number}") for number in range(3))
    before = await settled(server)

    # when they are run in both styles
    async with labs() as lab:
        await asyncio.gather(*(run(lab, order, style) for order in (*kept, *regretted) for style in STYLES))
        for order in regretted:
            await asyncio.gather(*(Canceller(lab.client, lab.name).cancel(order.order_id, style) for style in STYLES))
            await asyncio.gather(*(closed(lab, order, style) for style in STYLES))
    async with labs(fakes=[failing("invoicing.issue_invoice"), failing("invoicing.on_order_placed")]) as lab:
        await asyncio.gather(*(run(lab, order, style) for order in failed for style in STYLES))
    counted = await settled(server) - before
    runs = [workflow_id(style, order.order_id) for order in (*kept, *failed, *regretted) for style in STYLES]
    costs = await costs_of(lab.client, runs, started_again=runs)

    # then both counts agree, what histories can't hold aside: the canceller asks the log by queries
    assert sum(n for kind, n in counted.items() if "Query" not in kind) == sum(cost.actions for cost in costs)
    assert {"command_ScheduleActivityTask", "message_UpdateWorkflowExecution_Acceptance"} <= counted.keys()


async def run(lab: Lab, order: Order, style: Style) -> None:
    await lab.placer.place(order, style)
    await closed(lab, order, style)


async def closed(lab: Lab, order: Order, style: Style) -> None:
    await lab.client.get_workflow_handle(workflow_id(style, order.order_id)).result()
