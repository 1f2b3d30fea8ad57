"""The embedded server, run for real."""

import asyncio
import contextlib
import socket
import time
import uuid
from pathlib import Path

import psutil
import pytest
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from runtime.errors import NoServerError
from runtime.search import ORDER_ID, ORDER_STYLE, PARKED
from runtime.settings import Settings
from server.children import end_child, last_line, start_child
from server.connect import connect_to
from server.embedded import PRAGMAS, TUNING, EmbeddedServer
from server.ports import LOOPBACK, free_port, free_ports


async def place(client: Client) -> str:
    """Start a workflow that nobody works on, with all of our search attributes; returns its id."""
    attributes = TypedSearchAttributes(
        [
            SearchAttributePair(ORDER_ID, "536365"),
            SearchAttributePair(ORDER_STYLE, "saga"),
            SearchAttributePair(PARKED, ["marketing"]),
        ]
    )
    workflow_id = f"saga/{uuid.uuid4()}"
    await client.start_workflow("Order", id=workflow_id, task_queue="nobody", search_attributes=attributes)
    return workflow_id


async def is_there(server: EmbeddedServer, workflow_id: str) -> bool:
    found = await (await connect_to(server.address)).get_workflow_handle(workflow_id).describe()
    return found.status is WorkflowExecutionStatus.RUNNING and found.typed_search_attributes[ORDER_ID] == "536365"


def fake(tmp_path: Path, script: str) -> Path:
    """A program in the place of `temporal`."""
    program = tmp_path / "fake"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


async def test_an_order_survives_a_restart_at_the_same_address(server: EmbeddedServer) -> None:
    workflow_id = await place(await connect_to(server.address))
    before = (server.address, server.ui_url, server.metrics_url, server.pid)

    await server.restart()

    assert (server.address, server.ui_url, server.metrics_url) == before[:3]
    assert server.pid != before[3]
    assert await is_there(server, workflow_id)


async def test_an_acknowledged_order_survives_a_sigkill_of_the_server(server: EmbeddedServer) -> None:
    workflow_id = await place(await connect_to(server.address))

    await server.kill()
    await server.start()

    assert await is_there(server, workflow_id)


def test_the_server_listens_on_loopback_only(server: EmbeddedServer) -> None:
    connections = psutil.Process(server.pid).net_connections("inet")
    listening = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}

    assert listening == {LOOPBACK}


def test_the_server_is_tuned(server: EmbeddedServer) -> None:
    command = psutil.Process(server.pid).cmdline()

    assert {*TUNING, *PRAGMAS} <= set(command)
    assert server.state("lasting").tuned
    assert server.state("lasting").version.count(".") == 2


async def test_an_untuned_server_takes_other_ports_where_the_usual_ones_are_busy(
    temporal: Path, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as busy:
        for port in (7233, 8233):
            # A port that is busy anyway is just as good.
            with contextlib.suppress(OSError):
                busy.enter_context(socket.create_server((LOOPBACK, port)))
        async with EmbeddedServer(temporal, Settings(data=tmp_path), tuned=False) as second:
            assert second.address != f"{LOOPBACK}:7233"
            assert second.ui_url != f"http://{LOOPBACK}:8233"
            assert not {*TUNING, *PRAGMAS} & set(psutil.Process(second.pid).cmdline())
            assert await is_there(second, await place(await connect_to(second.address)))


async def test_a_database_made_without_our_search_attributes_gets_them(temporal: Path, tmp_path: Path) -> None:
    # given a database that another program has made
    database, log, port = tmp_path / "temporal.db", tmp_path / "log", free_port()
    argv: list[str | Path] = [
        temporal,
        "server",
        "start-dev",
        "--headless",
        "--ip",
        LOOPBACK,
        "--db-filename",
        database,
    ]
    child = start_child([*argv, "--port", str(port)], log=log)
    while "Metrics" not in last_line(log):
        assert child.poll() is None
    end_child(child, grace_s=10)

    # when our server runs on it, then it takes an order with our attributes
    async with EmbeddedServer(temporal, Settings(data=tmp_path)) as ours:
        assert await is_there(ours, await place(await connect_to(ours.address)))


async def test_a_damaged_database_ends_in_one_line_that_quotes_the_log(temporal: Path, tmp_path: Path) -> None:
    (tmp_path / "temporal.db").write_text("this is no database at all")

    with pytest.raises(NoServerError, match="file is not a database") as caught:
        await EmbeddedServer(temporal, Settings(data=tmp_path)).start()
    assert "\n" not in str(caught.value)


async def test_a_server_that_never_answers_is_given_up_and_ended(tmp_path: Path) -> None:
    mute = EmbeddedServer(fake(tmp_path, "exec sleep 60"), Settings(data=tmp_path, server_wait_s=0.3))
    started = time.monotonic()

    with pytest.raises(NoServerError, match="not ready after 0 s"):
        await mute.start()

    assert time.monotonic() - started < 5
    assert not psutil.pid_exists(mute.pid)


async def test_a_port_that_stays_taken_is_told_after_a_few_tries(tmp_path: Path) -> None:
    said = "echo 'listen tcp: bind: address already in use'; exit 1"
    unlucky = EmbeddedServer(fake(tmp_path, said), Settings(data=tmp_path))

    with pytest.raises(NoServerError, match="exit code 1: listen tcp: bind: address already in use"):
        await unlucky.start()
    assert unlucky.log.read_text().count("address already in use") == 3


async def test_a_server_that_was_not_started_has_no_address_and_stops_in_peace(tmp_path: Path) -> None:
    idle = EmbeddedServer(tmp_path / "temporal", Settings(data=tmp_path))

    await idle.stop()
    await idle.kill()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = idle.address


def test_ports_wished_for_are_given_if_free_and_never_twice() -> None:
    wished = free_port()
    with socket.create_server((LOOPBACK, wished)):
        assert free_port(wished) != wished
    assert free_ports(wished, wished, 0)[0] == wished
    assert len(set(free_ports(wished, wished, 0))) == 3


async def test_a_server_that_answers_with_errors_only_is_in_trouble(server: EmbeddedServer) -> None:
    # given a server that lives, but without the namespace that it should have
    client = await connect_to(server.address)
    await client.operator_service.delete_namespace(DeleteNamespaceRequest(namespace="default"))

    trouble = await asyncio.wait_for(server.trouble(), 60)
    await server.restart()

    assert trouble == "has lost its database"
    assert await is_there(server, await place(await connect_to(server.address)))
