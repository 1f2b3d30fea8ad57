"""What the tests of `server/` share: the real program, a server of ours, and a bare one as a stranger would run it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from runtime.errors import NoServerError
from runtime.settings import Settings
from server.binary import find_temporal_binary
from server.children import end_child, start_child
from server.connect import connect_to
from server.embedded import EmbeddedServer
from server.ports import LOOPBACK, free_ports


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test meets the settings of the person who runs it."""
    for name in os.environ:
        if name.startswith(("TEMPORAL_", "ORDERLAB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def temporal() -> Path:
    """The real program, fetched if need be."""
    return find_temporal_binary(print)


@pytest.fixture(scope="session")
async def server(temporal: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    """A running embedded server; whoever restarts it leaves it running."""
    async with EmbeddedServer(temporal, Settings(data=tmp_path_factory.mktemp("lab"))) as started:
        yield started


@pytest.fixture(scope="session")
async def foreign(temporal: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A server that knows nothing of us, with the namespaces `default` and `taken`."""
    grpc, metrics = free_ports(0, 0)
    argv: list[str | Path] = [temporal, "server", "start-dev", "--headless", "--ip", LOOPBACK, "--namespace", "taken"]
    log = tmp_path_factory.mktemp("foreign") / "log"
    child = start_child([*argv, "--port", str(grpc), "--metrics-port", str(metrics)], log=log)
    try:
        async with asyncio.timeout(20):
            yield await _first_client(f"{LOOPBACK}:{grpc}")
    finally:
        end_child(child, grace_s=5)


async def _first_client(address: str) -> Client:
    while True:
        try:
            return await connect_to(address)
        except NoServerError:
            await asyncio.sleep(0.05)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A loopback port where connections are accepted and nothing is ever said."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        yield port
