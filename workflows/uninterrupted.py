"""Shields work from a cancellation of the workflow."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def uninterrupted(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Await work to its end, however often the workflow is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)  # a cancelled wait ends at once; only the work itself is shielded
        except asyncio.CancelledError:
            if task.cancelled():  # not the order's, but the worker's: it forgets the workflow
                raise
    return task.result()
