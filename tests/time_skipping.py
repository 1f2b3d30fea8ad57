"""Finds, fetches and opens Temporal's test server: its clock jumps over the times in which nothing is under way."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.protobuf.empty_pb2 import Empty
from platformdirs import user_cache_path
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, SleepRequest, UnlockTimeSkippingRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from runtime.errors import NoServerError
from runtime.search import SEARCH_ATTRIBUTES
from server.children import kill_child, last_line, start_child
from server.connect import connect_to
from server.ports import LOOPBACK, free_port
from tests.fetching import adopt, fetch_jars, run_to_end, scratch_in

_VERSION = "1.38.0"
_DOWNLOAD_S = 60
_START_S = 30
_SKIP = timedelta(seconds=120)
"""Of real time: attempts are made in it."""


@dataclass(frozen=True)
class SkippingServer:
    """A server with a clock of its own, the same for all its workflows.

    The clock runs like any other, but while `skip` goes on it jumps to whatever is due next, unless something is under
    way: the server counts a lock for each workflow task and each activity, from the moment it is scheduled until it
    ends, the pauses between attempts aside. So the clock does not jump while an activity waits for a worker that is
    away, neither here nor with the SDK's `WorkflowEnvironment`, unless those locks are lifted, too.

    While nothing at all is left to do, the next that is due may be the end of a workflow's longest life, ten years on:
    so there is no jumping here but for a given time.
    """

    client: Client

    async def now(self) -> datetime:
        """What the server's clock shows."""
        return (await self.client.test_service.get_current_time(Empty())).time.ToDatetime(UTC)

    async def skip(self, duration: timedelta, *, waiting: int = 0) -> None:
        """Let this time pass, with all that is due in it.

        Args:
            duration: by the server's clock.
            waiting: how many activities wait for workers that are away. Exactly so many must wait until after this
                time, as an activity gives its lock back when it ends.
        """
        request = SleepRequest()
        request.duration.FromTimedelta(duration)
        await self._unlock(waiting)
        try:
            # This lifts the lock that is there from the start, and takes it back at the very moment when it is time.
            await self.client.test_service.unlock_time_skipping_with_sleep(request, timeout=_SKIP)
        finally:
            await self._lock(waiting)

    async def _unlock(self, times: int) -> None:
        for _ in range(times):
            await self.client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())

    async def _lock(self, times: int) -> None:
        for _ in range(times):
            await self.client.test_service.lock_time_skipping(LockTimeSkippingRequest())


@asynccontextmanager
async def open_skipping_server(command: Sequence[str], log: Path) -> AsyncIterator[SkippingServer]:
    """Run the server until the block ends. It listens on all interfaces, and has no option to do otherwise.

    Args:
        command: from `find_skipping_server`.
        log: what it prints.

    Raises:
        NoServerError: it ended, or does not answer.
    """
    port = free_port()
    child = start_child([*command, str(port)], log=log)
    try:
        client = await _connected(child, port, log)
        # It has no list of the attributes that it knows, so `register_search_attributes` can't be used.
        wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES}
        request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
        await client.operator_service.add_search_attributes(request)
        yield SkippingServer(client)
    finally:
        await asyncio.to_thread(kill_child, child)  # it has nothing to keep, and takes its time to end otherwise


async def _connected(child: subprocess.Popen[bytes], port: int, log: Path) -> Client:
    async with asyncio.timeout(_START_S):
        while True:
            try:
                return await connect_to(f"{LOOPBACK}:{port}")
            except NoServerError:
                if child.poll() is not None:
                    raise NoServerError(f"the time-skipping server ended: {last_line(log)}") from None
                await asyncio.sleep(0.05)


def find_skipping_server() -> list[str]:
    """Find the server in the user's cache or fetch it, by Maven or by the SDK; blocks for some minutes at most.

    Returns:
        The command that runs it, to which a port is to be added.

    Raises:
        NoServerError: it can't be had; the message says what was tried.
    """
    cache = user_cache_path("orderlab") / f"time-skipping-{_VERSION}"
    complaints: list[str] = []
    command = _cached(cache)
    try:
        for fetch in (_fetch_by_maven, _fetch_by_sdk):
            if command is None:
                cache.mkdir(parents=True, exist_ok=True)
                complaints.append(fetch(cache))
                command = _cached(cache)
    except OSError as error:
        complaints.append(f"it can't be kept under {cache}: {error}")
    if command is None:
        raise NoServerError("; ".join(complaints))
    return command


def _cached(cache: Path) -> list[str] | None:
    java, jars, program = shutil.which("java"), cache / "lib", cache / "temporal-test-server"
    if java and jars.exists():
        # Starts in half the time, and for some seconds is not slower.
        plain = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        return [java, *plain, "-cp", f"{jars}/*", "io.temporal.testserver.TestServer"]
    return [str(program)] if program.exists() else None


def _fetch_by_maven(cache: Path) -> str:
    """Put the server and what it needs into `lib`; answers why that did not work, if it did not."""
    return fetch_jars(cache, "io.temporal", "temporal-test-server", _VERSION)


def _fetch_by_sdk(cache: Path) -> str:
    """Put the server that the SDK downloads into the cache; answers as `_fetch_by_maven`."""
    with scratch_in(cache) as scratch:
        download = scratch / "download"
        download.mkdir()
        # A process of its own: the download can't be interrupted from Python. -P: `tests` has packages named as ours.
        complaint = run_to_end([sys.executable, "-P", __file__, str(download)], scratch / "log", _DOWNLOAD_S)
        made = next(download.iterdir(), None)
        if not complaint and made is not None:
            adopt(made, cache / "temporal-test-server")
    return f"the SDK's download: {complaint}"


async def _download(directory: str) -> None:
    server = await WorkflowEnvironment.start_time_skipping(download_dest_dir=directory)
    await server.shutdown()


if __name__ == "__main__":
    asyncio.run(_download(sys.argv[1]))
    os._exit(0)  # see runtime.leave
