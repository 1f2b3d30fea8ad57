"""Calls that outlast a Temporal server which is away for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError

Answer = TypeVar("Answer")

_PAUSE_S = 0.2
_WITHIN_S = 60.0


async def persistently(call: Callable[[], Awaitable[Answer]], within_s: float = _WITHIN_S) -> Answer:
    """Make a call again and again until it is answered.

    Args:
        call: must change nothing when it is made twice.
        within_s: for how long.

    Raises:
        RPCError, WorkflowUpdateRPCTimeoutOrCancelledError: that of the last try.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        try:
            return await call()
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
            if loop.time() > deadline:
                raise
            await asyncio.sleep(_PAUSE_S)
