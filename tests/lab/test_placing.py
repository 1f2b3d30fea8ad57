"""Placing an order: once, under ids that a person recognises, and found again in one search."""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from temporalio.client import WorkflowExecution

from events.edge import order_placed
from lab.placing import Placer
from lab.runs import workflow_id
from lab.status import end_of, recent, status_of
from orders.model import STYLES, Order, Style
from runtime.errors import InputError
from tests.labs import Lab, Labs, failing, until_listed


async def test_an_order_is_found_in_both_styles_by_one_search_with_a_line_about_it(lab: Lab, order: Order) -> None:
    for style in STYLES:
        await lab.run(order, style)

    found: list[WorkflowExecution] = []
    async with asyncio.timeout(20):
        while len(found) < 2:  # the list of workflows follows a moment later
            found = [run async for run in lab.client.list_workflows(f'OrderId = "{order.order_id}"')]
    summaries = {await (await lab.client.get_workflow_handle(run.id).describe()).static_summary() for run in found}

    assert {run.id for run in found} == {f"saga/{order.order_id}", f"bus/{order.order_id}"}
    assert len(summaries) == 1
    (summary,) = summaries
    assert summary is not None
    assert order.country in summary
    assert f"customer {order.customer_id}" in summary


async def test_an_order_id_that_is_taken_in_one_style_is_refused_in_both(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    other = order.model_copy(update={"country": "Norway"})

    with pytest.raises(InputError, match="other content"):
        await lab.placer.place_once(other, ("saga",))

    assert await status_of(lab.client, "saga", order.order_id) is None


@pytest.mark.parametrize("style", STYLES)
async def test_an_order_that_was_placed_when_prices_were_kept_as_written_is_known_again(
    lab: Lab, order: Order, style: Style
) -> None:
    # given an order that somebody wrote with all its pence, as a version placed it that kept them
    lines = (line.model_copy(update={"unit_price": line.unit_price.quantize(Decimal("0.01"))}) for line in order.lines)
    former = order.model_copy(update={"lines": tuple(lines)})
    assert order_placed(former).digest != order_placed(order).digest
    await lab.run(former, style)

    # when it is placed from the same file by this one
    (again,) = await lab.placer.place_once(Order.model_validate_json(former.model_dump_json()), (style,))

    # then it is the same order, and another price is not
    assert again.known
    with pytest.raises(InputError, match="other content"):
        await lab.placer.place_once(with_first_price(order, order.lines[0].unit_price + 1), (style,))


@pytest.mark.parametrize("style", STYLES)
async def test_an_order_written_otherwise_is_the_order_that_was_placed(lab: Lab, order: Order, style: Style) -> None:
    await lab.run(order, style)
    document = json.loads(order.model_dump_json())
    for line in document["lines"]:
        line["unit_price"] = float(line["unit_price"])

    (again,) = await lab.placer.place_once(Order.model_validate_json(json.dumps(document)), (style,))

    assert again.known


def with_first_price(order: Order, price: Decimal) -> Order:
    first = order.lines[0].model_copy(update={"unit_price": price})
    return order.model_copy(update={"lines": (first, *order.lines[1:])})


async def test_an_order_of_another_lab_on_the_same_server_is_refused(lab: Lab, order: Order) -> None:
    await lab.run(order, "saga")
    other_lab = Placer(lab.client, "another-lab")

    with pytest.raises(InputError, match="another data directory"):
        await other_lab.place_once(order, ("saga",))


async def test_an_order_placed_by_ten_at_once_is_one_order(lab: Lab, order: Order) -> None:
    placed = await asyncio.gather(*(lab.placer.place(order, "saga") for _ in range(10)))
    await end_of(lab.client, placed[0])

    assert sum(not one.known for one in placed) == 1
    assert len(lab.effects(order, "saga")) == 5


async def test_a_terminated_order_is_told_as_broken(lab: Lab, order: Order) -> None:
    nobody = Placer(lab.client, "a-lab-without-workers")
    await nobody.place(order, "saga")
    await lab.client.get_workflow_handle(f"saga/{order.order_id}").terminate()

    status = await status_of(lab.client, "saga", order.order_id)

    assert status is not None
    assert status.state is None
    assert "did not end as an order can" in (status.detail or "")


async def test_orders_are_listed_with_their_state(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")

    async with asyncio.timeout(20):
        while not (mine := [one for one in await recent(lab.client, lab.name, 5) if one.order_id == order.order_id]):
            pass

    assert [(one.style, one.state) for one in mine] == [("choreography", "completed")]


async def test_a_younger_order_that_has_ended_is_listed_before_an_older_one_that_is_open(
    labs: Labs, fresh_orders: Callable[[int], list[Order]]
) -> None:
    # given an order that is parked, so that its workflow is open, and two that ended after it
    async with labs(fakes=[failing("marketing.thank_customer", times=1)]) as lab:
        open_one, *ended = [one for one in fresh_orders(20) if one.customer_id is not None][:3]
        states = [(await lab.run(one, "saga")).state for one in (open_one, *ended)]
        for one in (open_one, *ended):
            await until_listed(lab.client, workflow_id("saga", one.order_id))
        # when fewer are asked for than there are
        listed = {limit: [one.order_id for one in await recent(lab.client, lab.name, limit)] for limit in (1, 2, 9)}

    # then the newest are told, newest first
    newest = [order.order_id for order in (*reversed(ended), open_one)]
    assert states == ["parked", "completed", "completed"]
    assert listed == {1: newest[:1], 2: newest[:2], 9: newest}
