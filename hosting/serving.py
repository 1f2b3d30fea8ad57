"""Hosts workers as the one job of a process."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Sequence

import structlog

from hosting.workers import hosting
from runtime.errors import OrderlabError
from runtime.settings import Settings
from server.session import open_session
from services.service import lab_beside


async def serve(names: Sequence[str], settings: Settings, beside: str | None = None) -> None:
    """Host workers until SIGTERM or Ctrl-C; where there is no Temporal server, one is started meanwhile.

    Args:
        names: services, `saga`, `bus`, `references`.
        settings: the data directory.
        beside: name of a second lab on the same server, with task queues and stores of its own.

    Raises:
        OrderlabError: so much hangs that another process has to take this one's place. Where several services share
            it, it stays, as the others would be stopped, too.
    """
    log = structlog.get_logger("worker")
    this_task = asyncio.current_task()
    assert this_task is not None  # noqa: S101 - a coroutine runs in a task
    too_much: list[str] = []

    def leave(why: str) -> None:
        if not too_much:
            this_task.cancel()
        too_much.append(why)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, this_task.cancel)
    async with (
        open_session(settings, announce=log.info, lasting=True) as session,
        hosting(
            session.client,
            names,
            settings if beside is None else settings.beside(beside),
            session.lab if beside is None else lab_beside(session.lab, beside),
            leave=leave if len(names) == 1 else None,
        ),
    ):
        # What is loaded now stays. Looking through it for garbage takes 20 ms, in which nothing else moves.
        gc.collect()
        gc.freeze()
        log.info("ready", hosts=list(names), temporal=session.address, ui=session.ui_url, data=str(settings.data))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        log.info("stopping: finishing what is under way")
    if too_much:
        raise OrderlabError(f"{too_much[0]}: start it again, or see that it is")
