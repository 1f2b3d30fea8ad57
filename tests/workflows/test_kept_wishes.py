"""A customer's wish to cancel is kept once it is said to be: whoever dies then, and though nobody asks again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.log import OrderState
from hosting.workers import hosting
from lab.cancelling import Canceller
from lab.parity import UNDONE_BY
from lab.placing import Placed
from lab.status import end_of
from orders.cancelling import CancelDecision
from orders.model import STYLES, Order, Style
from runtime.settings import Settings
from server.binary import find_temporal_binary
from server.connect import connect_to
from server.embedded import EmbeddedServer
from services.order_placed import WORKERS
from tests.labs import Lab


@pytest.fixture
async def mortal(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A server of its own, which may be killed."""
    async with EmbeddedServer(find_temporal_binary(print), Settings(data=tmp_path / "server")) as running:
        yield running


async def kept_wish(lab: Lab, order: Order, style: Style) -> asyncio.Task[CancelDecision]:
    """Ask for the order to be cancelled, and wait until that is kept, but not for the answer."""
    kept = asyncio.Event()
    asking = asyncio.create_task(Canceller(lab.client, lab.name).cancel(order.order_id, style, when_kept=kept.set))
    await asyncio.wait_for(kept.wait(), 10)
    return asking


async def end(lab: Lab, order: Order, style: Style) -> OrderState | None:
    return (await asyncio.wait_for(end_of(lab.client, Placed(style, order.order_id, known=True)), 60))[0]


def left_of(lab: Lab, order: Order, style: Style) -> set[str]:
    done = lab.effects(order, style)
    return {effect for effect in done if effect in UNDONE_BY and UNDONE_BY[effect] not in done}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("has_ended", [False, True], ids=["on its way", "ended"])
async def test_a_wish_outlives_the_server_though_no_worker_had_taken_it_and_nobody_asks_again(
    mortal: EmbeddedServer, tmp_path: Path, order: Order, style: Style, *, has_ended: bool
) -> None:
    # given an order that is on its way, or has ended, and no worker that could take the wish
    lab = Lab(await connect_to(mortal.address), Settings(data=tmp_path / "lab"), "lab")
    if has_ended:
        async with hosting(lab.client, WORKERS, lab.settings, lab.name):
            await lab.run(order, style)
    else:
        await lab.placer.place(order, style)
    asking = await kept_wish(lab, order, style)

    # when the server is killed, with whatever it has in its memory only, and whoever asked has gone
    await mortal.kill()
    asking.cancel()
    await mortal.start()

    # then the order is cancelled once the workers are back
    again = Lab(await connect_to(mortal.address), lab.settings, lab.name)
    async with hosting(again.client, WORKERS, lab.settings, lab.name):
        assert await end(again, order, style) is OrderState.CANCELLED
        assert left_of(again, order, style) == set()


@pytest.mark.parametrize("style", STYLES)
async def test_whoever_waits_for_the_answer_is_given_it_by_the_server_that_comes_back(
    mortal: EmbeddedServer, tmp_path: Path, order: Order, style: Style
) -> None:
    lab = Lab(await connect_to(mortal.address), Settings(data=tmp_path / "lab"), "lab")
    await lab.placer.place(order, style)
    asking = await kept_wish(lab, order, style)
    await mortal.kill()
    await mortal.start()

    async with hosting(lab.client, WORKERS, lab.settings, lab.name):
        assert (await asyncio.wait_for(asking, 60)).accepted
        assert await end(lab, order, style) is OrderState.CANCELLED
