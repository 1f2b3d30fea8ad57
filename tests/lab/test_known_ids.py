"""Another order under a known id is refused in every way in, in whatever style the first was placed."""

import asyncio
from functools import partial

import pytest

from events.bus import bus_id
from events.edge import order_placed
from events.envelope import Event
from events.log import PAGE, OrderState
from events.reading import facts_of
from lab.audit import audit
from lab.effects import contents_of
from lab.placing import ContentsOf, Placed, Placer
from lab.status import end_of, status_of
from orders.model import STYLES, Order, Style
from runtime.errors import InputError
from tests.labs import Lab, Labs, forget, namesake
from tests.workflows.test_succession import ticket


def counter(lab: Lab, met: ContentsOf | None = None) -> Placer:
    """As the command has it: it can ask the services' databases."""
    return Placer(lab.client, lab.name, contents_of=met or partial(contents_of, lab.settings))


def from_erp(order: Order) -> Event:
    """An order as another system tells it."""
    return order_placed(order).model_copy(update={"id": f"erp-{order.order_id}", "source": "/erp"})


async def refused(lab: Lab, order: Order, style: Style | None, *, met: ContentsOf | None = None) -> str:
    """Why an order is refused that is placed in a style, or published where that is None."""
    ours = counter(lab, met)
    with pytest.raises(InputError) as why:
        await (ours.publish(from_erp(order)) if style is None else ours.place_once(order, (style,)))
    return str(why.value)


async def placed_in(lab: Lab, order: Order) -> dict[Style, str | None]:
    """The styles in which anything runs or ran under the id, and how it stands."""
    found = {style: await status_of(lab.client, style, order.order_id) for style in STYLES}
    return {style: status.state for style, status in found.items() if status is not None}


async def until_ended(lab: Lab, order: Order) -> None:
    for style in STYLES:
        if await status_of(lab.client, style, order.order_id) is not None:
            await end_of(lab.client, Placed(style, order.order_id, known=True), look_every_s=0.1)


@pytest.mark.parametrize("first", STYLES)
@pytest.mark.parametrize("way_in", [*STYLES, None])
async def test_another_content_is_refused_whatever_the_style_of_the_first_and_the_way_of_the_second(
    lab: Lab, order: Order, first: Style, way_in: Style | None
) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{first}-{way_in}"})
    await lab.run(mine, first)

    why = await refused(lab, namesake(mine), way_in)

    assert why == (
        f"order {mine.order_id} was placed before with other content ({first}); "
        "nothing was changed: give the new order an id of its own"
    )
    assert await placed_in(lab, mine) == {first: OrderState.COMPLETED}


@pytest.mark.parametrize("first", STYLES)
async def test_the_same_content_is_taken_in_the_other_style(lab: Lab, order: Order, first: Style) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{first}"})
    await lab.run(mine, first)

    recipients, known = await counter(lab).publish(from_erp(mine))
    other = await counter(lab).place_once(mine, STYLES)
    await until_ended(lab, mine)

    assert known is (first == "choreography")
    assert bool(recipients) is not known
    assert [placed.known for placed in other] == [first == "saga", True]
    assert await placed_in(lab, mine) == dict.fromkeys(STYLES, OrderState.COMPLETED)


async def test_another_content_is_refused_also_when_the_first_is_pages_back_in_the_log(lab: Lab, order: Order) -> None:
    await lab.run(order, "choreography")
    for number in range(2 * PAGE + 2):
        await lab.placer.publish(ticket(order, number))
    await until_ended(lab, order)
    await lab.placer.publish(ticket(order, -1))

    told = [await refused(lab, namesake(order), way_in) for way_in in (*STYLES, None)]

    assert all("other content (choreography)" in why for why in told)


async def test_another_content_is_refused_also_after_the_run_of_the_first_was_terminated(
    labs: Labs, order: Order
) -> None:
    async with labs(absent=["bus"]) as lab:
        await lab.placer.place(order, "choreography")
        await lab.client.get_workflow_handle(bus_id(order.order_id)).terminate()

        told = [await refused(lab, namesake(order), way_in) for way_in in (*STYLES, None)]

    assert all("other content (choreography)" in why for why in told)


async def test_another_content_is_refused_where_temporal_has_forgotten_the_first_in_one_style_or_in_both(
    lab: Lab, order: Order
) -> None:
    # given an order that ran in both styles, of which the server forgets one after the other
    for style in STYLES:
        await lab.run(order, style)
    await forget(lab.client, order, "choreography")
    told = [await refused(lab, namesake(order), way_in) for way_in in (*STYLES, None)]
    assert all("other content (saga)" in why for why in told)
    await forget(lab.client, order, "saga")

    # then the services' databases are asked, and they know the first one; which is taken again
    told = [await refused(lab, namesake(order), way_in) for way_in in (*STYLES, None)]
    assert all("other content, which the services keep; nothing was changed" in why for why in told)
    assert await placed_in(lab, order) == {}
    await counter(lab).place_once(order, STYLES)
    await until_ended(lab, order)
    assert await placed_in(lab, order) == dict.fromkeys(STYLES, OrderState.COMPLETED)


async def test_another_content_is_refused_where_only_services_of_the_other_style_know_the_first(
    lab: Lab, order: Order
) -> None:
    await lab.run(order, "saga")
    await forget(lab.client, order, "saga")

    assert "which the services keep" in await refused(lab, namesake(order), None)
    assert "which the services keep" in await refused(lab, namesake(order), "choreography")
    assert await placed_in(lab, order) == {}


async def test_a_database_that_can_t_be_asked_keeps_nobody_from_placing(lab: Lab, order: Order) -> None:
    def unreadable(_: str) -> set[str]:
        raise InputError("can't read the database of shipping")

    await counter(lab, unreadable).place_once(order, STYLES)
    await until_ended(lab, order)

    assert await placed_in(lab, order) == dict.fromkeys(STYLES, OrderState.COMPLETED)


@pytest.mark.parametrize(
    ("theirs", "ours"), [("saga", None), ("saga", "choreography"), ("choreography", "saga")], ids=str
)
async def test_two_orders_placed_at_the_same_moment_in_two_styles_are_not_kept_in_silence(
    lab: Lab, order: Order, theirs: Style, ours: Style | None
) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{theirs}-{ours}"})
    loop = asyncio.get_running_loop()

    def meanwhile(_: str) -> set[str]:
        """Between our look and our call, somebody places another order under the id."""
        asyncio.run_coroutine_threadsafe(lab.placer.place(namesake(mine), theirs), loop).result(20)
        return set()

    why = await refused(lab, mine, ours, met=meanwhile)
    await until_ended(lab, mine)

    assert f"was placed at the same moment with other content ({theirs}), which stands" in why
    assert f"this one stands, too ({ours or 'choreography'}): cancel one of them" in why
    assert set(await placed_in(lab, mine)) == set(STYLES)


@pytest.mark.parametrize(
    ("style", "way_in"), [("saga", "saga"), ("choreography", "choreography"), ("choreography", None)]
)
async def test_of_two_orders_placed_at_the_same_moment_in_one_style_the_first_stands(
    lab: Lab, order: Order, style: Style, way_in: Style | None
) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{style}-{way_in}"})
    loop = asyncio.get_running_loop()

    def meanwhile(_: str) -> set[str]:
        asyncio.run_coroutine_threadsafe(lab.placer.place(namesake(mine), style), loop).result(20)
        return set()

    why = await refused(lab, mine, way_in, met=meanwhile)
    await until_ended(lab, mine)

    # then the first is as if there had been no second one
    assert f"other content ({style}), which stands; not this one" in why
    assert await placed_in(lab, mine) == {style: OrderState.COMPLETED}
    assert len(lab.effects(mine, style)) == 5
    assert not (await audit(lab.client, lab.settings, lab.name, order_ids=[mine.order_id])).violations
    if style == "choreography":
        placed = [entry.content for entry in await facts_of(lab.client, mine.order_id) if entry.type == "order.placed"]
        assert placed[0] == namesake(mine).fingerprint
