"""The embedded Temporal server: the CLI's development server, on loopback, with a database in a file."""

import asyncio
import os
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import psutil
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runtime.errors import NoServerError
from runtime.search import SEARCH_ATTRIBUTES
from runtime.settings import Settings
from server.attributes import register_search_attributes, type_name
from server.children import end_child, kill_child, last_line, start_child
from server.connect import connect_to, server_version
from server.ports import LOOPBACK, free_ports
from server.retention import keep_histories
from server.state import ServerState

TUNING = (
    # One partition per task queue: a second one only adds a hop when there is one process to serve them.
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    # The server has one history shard, whose queues are polled 20 times a second by default: after a burst, each step
    # of a workflow would wait for 50 ms.
    "history.transferProcessorMaxPollRPS=5000",
    "history.timerProcessorMaxPollRPS=5000",
    "history.outboundProcessorMaxPollRPS=5000",
    # This queue keeps the list of workflows, and no order waits for it. A workflow that has ended when its start comes
    # up here is written once instead of three times (start, build id, end): a tenth of the server's work for an order.
    "history.visibilityProcessorMaxPollRPS=20",
    # A queue goes through all tasks since its last checkpoint whenever there is a new one. At the 30 s by default, a
    # third of the server's work in and after a burst went into that, and throughput fell until the next checkpoint.
    'history.transferProcessorUpdateAckInterval="1s"',
    'history.timerProcessorUpdateAckInterval="1s"',
    'history.visibilityProcessorUpdateAckInterval="1s"',
)
PRAGMAS = ("journal_mode=wal", "synchronous=normal", "cache_size=-65536", "mmap_size=268435456", "temp_store=memory")
"""SQLite on a file nearly as fast as in memory; a killed process still loses nothing, only a power cut could."""

TUNED_ENV = {"GOGC": "400"}
"""Collect garbage less often: memory is plenty, and the processor is what limits the server."""

_GRPC_PORT = 7233
_UI_PORT = 8233
_PORT_TRIES = 3
_GRACE_S = 10
_PAUSE_S = 0.05
_LOOK_EVERY_S = 2
_PATIENCE_LOOKS = 3


class _Ports(NamedTuple):
    grpc: int
    ui: int
    metrics: int


class EmbeddedServer:
    """A Temporal server that stores all under the data directory; `async with` starts and stops it.

    Args:
        binary: the `temporal` program.
        settings: the database is `temporal.db` in its data directory, which no other server may use meanwhile.
        tuned: False leaves the CLI's plain defaults, for comparison.
    """

    def __init__(self, binary: Path, settings: Settings, *, tuned: bool = True) -> None:
        self.tuned = tuned
        self.log = settings.log_dir / "server.log"
        self._binary = binary.absolute()  # the server is given a working directory of its own
        self._database = (settings.data / "temporal.db").resolve()
        self._wait_s = settings.server_wait_s
        self._ports: _Ports | None = None
        self._version = ""
        self._client: Client | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self._known_ports.grpc}"

    @property
    def ui_url(self) -> str:
        """Where Temporal's UI is."""
        return f"http://{LOOPBACK}:{self._known_ports.ui}"

    @property
    def metrics_url(self) -> str:
        """Where the server's Prometheus metrics are."""
        return f"http://{LOOPBACK}:{self._known_ports.metrics}/metrics"

    @property
    def pid(self) -> int:
        """The server's process, running or not."""
        if self._child is None:
            raise RuntimeError("the server has not been started")
        return self._child.pid

    def state(self, kind: Literal["lasting", "temporary"]) -> ServerState:
        """What other processes may know about the server once it has been started.

        Raises:
            NoSuchProcess: it does not run any more.
        """
        return ServerState(
            address=self.address,
            ui_url=self.ui_url,
            pid=self.pid,
            version=self._version,
            tuned=self.tuned,
            kind=kind,
        )

    async def start(self) -> None:
        """Start the server and wait until it takes orders.

        The first start takes the usual ports where they are free; all later ones keep what the first one took.

        Raises:
            NoServerError: it ended, or did not answer within `server_wait_s`; the message quotes its log.
        """
        if self._ports is not None:
            await self._launch(self._ports)
            return
        for tries_left in reversed(range(_PORT_TRIES)):
            ports = _Ports(*free_ports(_GRPC_PORT, _UI_PORT, 0))
            try:
                await self._launch(ports)
            except NoServerError as error:
                # Somebody took a port between our look at it and the server's.
                if "address already in use" in str(error) and tries_left:
                    continue
                raise
            self._ports = ports
            return

    async def stop(self) -> None:
        """End the server: gracefully, or by force after 10 s."""
        if self._child is not None:
            await asyncio.to_thread(end_child, self._child, _GRACE_S)

    async def trouble(self) -> str:
        """Wait until the server has ended, for whatever reason, or no longer answers; tells which it is.

        Alive, it can still have lost its database: see docs/decisions on SQLite's one connection.
        """
        if self._child is None:
            raise RuntimeError("the server has not been started")
        failures, looked = 0, time.monotonic()
        while (code := self._child.poll()) is None:
            if time.monotonic() - looked > _LOOK_EVERY_S:
                looked = time.monotonic()
                failures = failures + 1 if await self._has_lost_its_database() else 0
                if failures == _PATIENCE_LOOKS:
                    return "has lost its database"
            await asyncio.sleep(_PAUSE_S)
        return f"ended with {code}"

    async def _has_lost_its_database(self) -> bool:
        """Whether it answers what it can only answer with an error; one that is merely slow does not count."""
        if self._client is None:
            return False
        request = DescribeNamespaceRequest(namespace=self._client.namespace)
        try:
            await self._client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=_LOOK_EVERY_S))
        except RPCError as error:
            return error.status not in {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
        return False

    async def kill(self) -> None:
        """End the server by SIGKILL, as a crash would."""
        if self._child is not None:
            await asyncio.to_thread(kill_child, self._child)

    async def restart(self) -> None:
        """Stop the server, if it runs, and start it on the same ports and database.

        Raises:
            NoServerError: as `start`.
        """
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def _known_ports(self) -> _Ports:
        if self._ports is None:
            raise RuntimeError("the server has not been started")
        return self._ports

    async def _launch(self, ports: _Ports) -> None:
        self._database.parent.mkdir(parents=True, exist_ok=True)
        log_start = self.log.stat().st_size if self.log.exists() else 0
        self._child = start_child(
            self._command(ports),
            log=self.log,
            env={**os.environ, **(TUNED_ENV if self.tuned else {})},
            cwd=self._database.parent,
        )
        try:
            await self._until_it_answers(self._child, ports.grpc, log_start)
        except BaseException:  # also when cancelled: a server that nobody waits for would keep the database
            await self.kill()
            raise

    def _command(self, ports: _Ports) -> list[str | Path]:
        tuning: list[str] = []
        if self.tuned:
            tuning += [part for value in TUNING for part in ("--dynamic-config-value", value)]
            tuning += [part for value in PRAGMAS for part in ("--sqlite-pragma", value)]
        attributes = [f"{key.name}={type_name(key.indexed_value_type)}" for key in SEARCH_ATTRIBUTES]
        return [
            *(self._binary, "server", "start-dev", "--log-level", "error"),
            *("--ip", LOOPBACK, "--port", str(ports.grpc)),
            *("--ui-ip", LOOPBACK, "--ui-port", str(ports.ui)),
            *("--metrics-port", str(ports.metrics)),
            # A bare name, in the server's working directory: it becomes part of a URL, in which `?`, `#` and `%` of a
            # directory's name would be no letters any more.
            *("--db-filename", self._database.name),
            *[part for attribute in attributes for part in ("--search-attribute", attribute)],
            *tuning,
        ]

    async def _until_it_answers(self, child: subprocess.Popen[bytes], port: int, log_start: int) -> None:
        deadline = time.monotonic() + self._wait_s
        trouble = "it does not listen"
        while (left_s := deadline - time.monotonic()) > 0:
            if (code := child.poll()) is not None:
                quoted = last_line(self.log, log_start) or "it said nothing"
                raise NoServerError(f"the Temporal server ended with exit code {code}: {quoted}")
            # Only ours counts: on a port that was taken meanwhile, another server might answer.
            if _listens(child.pid, port):
                try:
                    client = await connect_to(f"{LOOPBACK}:{port}", wait_s=left_s)
                    # A database made by an earlier version may lack some: the options act on a new one only.
                    await register_search_attributes(client, left_s)
                    await keep_histories(client)
                    self._version = await server_version(client)
                    self._client = client
                except (NoServerError, RPCError) as error:
                    trouble = str(error)
                else:
                    return
            await asyncio.sleep(_PAUSE_S)
        raise NoServerError(f"the Temporal server is not ready after {self._wait_s:.0f} s: {trouble} (log: {self.log})")


def _listens(pid: int, port: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:  # it ended just now
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)
