"""Redrives all that is parked of one order."""

from collections.abc import Awaitable, Callable, Sequence

from temporalio.client import Client

from lab.dead_letters import DeadLetter, redrive

_WAIT_S = 20
"""A redriven delivery may be tried for days; this is how long to stay with each before the next is tried."""


def redriving(client: Client, letters: Sequence[DeadLetter]) -> Callable[[], Awaitable[None]]:
    """What tries each of these once more, one by one, as a person would."""

    async def redrive_all() -> None:
        for letter in letters:
            await redrive(client, letter, _WAIT_S)

    return redrive_all
