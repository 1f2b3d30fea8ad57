"""Gives a command the Temporal server it works with: the user's, the one that runs here already, or one of its own."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from filelock import FileLock, Timeout
from temporalio.client import Client

from runtime.errors import NoServerError
from runtime.settings import Settings
from server.binary import find_temporal_binary
from server.connect import (
    configured_elsewhere,
    connect_external,
    connect_to,
    lab_suffix,
    ui_link,
)
from server.embedded import EmbeddedServer
from server.state import ServerState, clear_state, read_state, write_state

_RESTART_PAUSE_S = 1
_PATIENCE_S = 120
"""How long to wait for another command that holds the data directory's server for its own duration."""


@dataclass(frozen=True)
class Session:
    """A Temporal server to work with."""

    client: Client
    lab: str
    """Suffix of the task queues."""
    ui_url: str | None
    """Where the Temporal UI is, if that is known."""
    database: Literal["file", "external"]
    tuned: bool | None
    """Whether the server runs with our settings; None where it is not ours to know."""
    server: EmbeddedServer | None = None
    """The server, where this command started it and stops it again."""

    def link(self, workflow_id: str, run_id: str | None = None) -> str | None:
        """Where to look at a run in the UI."""
        if self.ui_url is None:
            return None
        return ui_link(self.ui_url, self.client.namespace, workflow_id, run_id)

    @property
    def address(self) -> str:
        """Host and port of the server."""
        return self.client.service_client.config.target_host


@contextlib.asynccontextmanager
async def open_session(
    settings: Settings,
    *,
    announce: Callable[[str], None],
    lasting: bool = False,
    tuned: bool = True,
) -> AsyncIterator[Session]:
    """Find a Temporal server, or start one that ends with the block.

    Args:
        settings: where the data directory is.
        announce: is told in one line what is being done.
        lasting: others may use the server that is started, as it stays until it is told to stop.
        tuned: start it with our settings instead of the defaults; a server that runs already is taken as it is.

    Raises:
        NoServerError: there is none to be had.
    """
    if configured_elsewhere():
        client = await connect_external(settings.server_wait_s)
        yield Session(client, lab_suffix(settings, external=True), _external_ui(settings, client), "external", None)
        return
    running = await _running_or_locked(settings, announce)
    if isinstance(running, ServerState):
        client = await connect_to(running.address)
        yield Session(client, lab_suffix(settings, external=False), running.ui_url, "file", running.tuned)
        return
    with running:
        binary = await _find_binary(announce)
        announce(f"starting a Temporal server on {settings.data}")
        async with EmbeddedServer(binary, settings, tuned=tuned) as server:
            client = await connect_to(server.address)
            write_state(settings.data, server.state("lasting" if lasting else "temporary"))
            watch = asyncio.create_task(_keep_running(server, settings, announce)) if lasting else None
            try:
                yield Session(client, lab_suffix(settings, external=False), server.ui_url, "file", tuned, server)
            finally:
                if watch is not None:
                    watch.cancel()
                    await asyncio.wait({watch})
                clear_state(settings.data)


async def _keep_running(server: EmbeddedServer, settings: Settings, announce: Callable[[str], None]) -> None:
    """Start our server again when it dies: what it had accepted is in its database, and clients connect again."""
    while True:
        trouble = await server.trouble()
        announce(f"the Temporal server {trouble}; starting it again on the same ports (log: {server.log})")
        try:
            await server.kill()
            await server.start()
            write_state(settings.data, server.state("lasting"))
        except (NoServerError, psutil.NoSuchProcess) as error:
            announce(f"that did not work: {error}")
            await asyncio.sleep(_RESTART_PAUSE_S)


async def _find_binary(announce: Callable[[str], None]) -> Path:
    """Look for the server in a thread that Ctrl-C does not have to wait for: a build takes minutes."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Path] = loop.create_future()

    def settle(result: Path | Exception) -> None:
        if not found.done():
            found.set_exception(result) if isinstance(result, Exception) else found.set_result(result)

    def look() -> None:
        try:
            result: Path | Exception = find_temporal_binary(announce)
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            result = error
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=look, daemon=True).start()
    return await found


async def _running_or_locked(settings: Settings, announce: Callable[[str], None]) -> ServerState | FileLock:
    """The server that runs on this data directory, or the lock that allows us to start one."""
    settings.data.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.data / "server.lock")
    for waited_s in range(_PATIENCE_S):
        state = read_state(settings.data)
        if state is not None and state.kind == "lasting":
            return state
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waited_s == 0:
                announce(f"another orderlab command is using {settings.data}; waiting for it")
            await asyncio.sleep(1)
        else:
            return lock
    raise NoServerError(f"another orderlab command still holds {settings.data}; stop it, or choose another --data")


def _external_ui(settings: Settings, client: Client) -> str | None:
    if settings.ui_url is None and client.service_client.config.target_host.split(":")[0].endswith(".tmprl.cloud"):
        return "https://cloud.temporal.io"
    return settings.ui_url
