"""Hosts workers as the one job of a process."""

import asyncio
import signal
from collections.abc import Sequence

import structlog

from hosting.workers import hosting
from runtime.settings import Settings
from server.session import open_session


async def serve(names: Sequence[str], settings: Settings) -> None:
    """Host workers until SIGTERM or Ctrl-C; where there is no Temporal server, one is started meanwhile."""
    log = structlog.get_logger("worker")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        open_session(settings, announce=log.info, lasting=True) as session,
        hosting(session.client, names, settings, session.lab),
    ):
        log.info("ready", hosts=list(names), temporal=session.address, ui=session.ui_url, data=str(settings.data))
        await stop.wait()
        log.info("stopping: finishing what is under way")
