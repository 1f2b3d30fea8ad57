"""Each attempt knows its deadline, and one that does not keep it is no longer waited for.

Temporal ends an attempt after its time and has the work tried again, but the thread that is at it goes on, and so does
the slot that it takes on its worker. Eight orders of which each hung used to hold all that a service had.
"""

import asyncio
import functools
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from hosting.hanging import Hanging, Work
from runtime.deadline import Attempt, during

_MARGIN_S = 0.25
"""An attempt has to be over so long before the server ends it: then the server is told why, and not only that."""

_GRACE_S = 0.1
"""So much later than its deadline an attempt that did not end by itself is given up: still before the server does."""

_TOLERANCE_S = 0.05
"""Who waits until a deadline may be told a moment before it that it has passed."""

_DEEPEST = 3


class HangingError(Exception):
    """An attempt has not come back in its time and is not waited for any more; what it still does has its key."""


class DeadlinesKept(Interceptor):
    """Tells each attempt its deadline, and gives up those of blocking code that do not keep it."""

    def __init__(self, hanging: Hanging, *, leave: Callable[[str], None] | None = None) -> None:
        """Watch the attempts of one worker.

        Args:
            hanging: what is known of those that hang.
            leave: called, with the reason, when too much hangs for this process to be of use; None where it has to go
                on all the same.
        """
        self._hanging = hanging
        self._leave = leave
        self._under_way: set[Callable[..., None]] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Put ourselves before the activity."""
        return _Watching(next, self._hanging, self._under_way, self._leave)

    def end_within(self, seconds: float) -> None:
        """Wait no longer than that for what is under way, whatever its deadline: the worker is about to stop."""
        asyncio.get_running_loop().call_later(seconds, self._give_all_up)

    def _give_all_up(self) -> None:
        for give_up in tuple(self._under_way):
            give_up(stopping=True)


class _Watching(ActivityInboundInterceptor):
    def __init__(
        self,
        following: ActivityInboundInterceptor,
        hanging: Hanging,
        under_way: set[Callable[..., None]],
        leave: Callable[[str], None] | None,
    ) -> None:
        super().__init__(following)
        self._hanging = hanging
        self._under_way = under_way
        self._leave = leave

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's
        info = activity.info()
        limit_s = (info.start_to_close_timeout or timedelta.max).total_seconds()
        until = time.monotonic() + limit_s - min(_MARGIN_S, limit_s / 20)
        work = (info.workflow_id, info.workflow_run_id, info.activity_id)
        with self._hanging.admitted(work, info.attempt), during(Attempt(info.attempt, until)):
            try:
                if input.executor is None:  # its awaiting can be ended by whoever ends the worker
                    return await super().execute_activity(input)
                return await self._watched(input, work, until)
            finally:
                if time.monotonic() < until - _TOLERANCE_S:
                    self._hanging.ended_in_time(work)
                else:
                    self._hanging.took_all_its_time(work)

    async def _watched(self, given: ExecuteActivityInput, work: Work, until: float) -> Any:  # noqa: ANN401 - the SDK's
        loop = asyncio.get_running_loop()
        thread = _noting_its_thread(given)
        answer: asyncio.Future[Any] = loop.create_future()
        task = loop.create_task(super().execute_activity(given))
        begun = time.monotonic()
        told = activity.info()

        def end(_task: asyncio.Task[Any]) -> None:
            if answer.done():
                if answer.cancelled():
                    return
                self._hanging.came_back(work)
                _log(told).info("an attempt that hung has come back", after_s=_since(begun), stuck=self._hanging.stuck)
                _ = task.cancelled() or task.exception()  # looked at, so that asyncio does not complain
            elif task.cancelled():
                answer.cancel()
            elif (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        def give_up(*, stopping: bool = False) -> None:
            if answer.done() or task.done():
                return
            if self._hanging.is_full() and not stopping:
                self._complain(told)
                return
            self._hanging.given_up(work)
            where = _place(thread)
            why = f"{told.activity_type} has not come back after {_since(begun)} s; it is {where}"
            _log(told).warning("an attempt hangs: not waited for", where=where, stuck=self._hanging.stuck)
            answer.set_exception(HangingError(why))

        task.add_done_callback(end)
        timer = loop.call_later(max(0.0, until - begun) + _GRACE_S, give_up)
        self._under_way.add(give_up)
        try:
            return await answer
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            timer.cancel()
            self._under_way.discard(give_up)

    def _complain(self, told: activity.Info) -> None:
        why = f"{self._hanging.stuck} threads hang: too many for this process to be of use"
        if self._leave is None:
            _log(told).error(why, consequence="what hangs keeps its slot from now on; restart the worker")
        else:
            _log(told).error(why, consequence="the process leaves, and another takes its place")
            self._leave(why)


@dataclass
class _Thread:
    ident: int | None = None


def _noting_its_thread(given: ExecuteActivityInput) -> _Thread:
    """Have the work note in which thread it is done."""
    thread, do = _Thread(), given.fn

    @functools.wraps(do)
    def noted(*arguments: Any) -> Any:  # noqa: ANN401 - whatever the activity takes and gives
        thread.ident = threading.get_ident()
        return do(*arguments)

    given.fn = noted
    return thread


def _place(thread: _Thread) -> str:
    """Where a thread is: its innermost calls, the last one first."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented, in spite of its name
    if frame is None:
        return "not in any thread yet"
    calls = traceback.extract_stack(frame)[-_DEEPEST:]
    return " < ".join(f"at {Path(call.filename).name}:{call.lineno} ({call.name})" for call in reversed(calls))


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 1)


def _log(told: activity.Info) -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("worker")
    return log.bind(activity=told.activity_type, workflow=told.workflow_id, attempt=told.attempt)
