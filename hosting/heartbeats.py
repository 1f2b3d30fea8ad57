"""Lets the server know that a worker lives while an attempt lasts, and the attempt whether it is called off."""

import asyncio
import inspect
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

_FIRST_S = 2.0
"""Most attempts end before; each heartbeat is an Action, so those cost none."""


class Heartbeats(Interceptor):
    """Beats for activities that have a heartbeat timeout and can't beat themselves, as a thread that waits can't."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Put ourselves before the activity."""
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    _outbound: ActivityOutboundInterceptor

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = outbound
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's
        timeout = activity.info().heartbeat_timeout
        if timeout is None or inspect.iscoroutinefunction(input.fn):
            return await super().execute_activity(input)
        beating = asyncio.create_task(self._beat(timeout.total_seconds()))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()

    async def _beat(self, missed_after_s: float) -> None:
        """Beat until cancelled, more often than is needed: the SDK holds back what the server need not hear."""
        every_s = missed_after_s / 5
        await asyncio.sleep(min(_FIRST_S, every_s * 2))
        while True:
            self._outbound.heartbeat()  # `activity.heartbeat` is for the activity's thread, and waits for this one
            await asyncio.sleep(every_s)
