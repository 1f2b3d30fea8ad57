"""How long our own server keeps what has ended."""

from datetime import timedelta
from pathlib import Path

from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client

from runtime.settings import Settings
from server.connect import connect_to
from server.embedded import EmbeddedServer
from server.retention import KEPT, keep_histories


async def kept_by(client: Client) -> timedelta:
    """What the server says of itself."""
    found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return found.config.workflow_execution_retention_ttl.ToTimedelta()


async def forget_after(client: Client, kept: timedelta) -> None:
    config = NamespaceConfig()
    config.workflow_execution_retention_ttl.FromTimedelta(kept)
    await client.workflow_service.update_namespace(UpdateNamespaceRequest(namespace=client.namespace, config=config))


async def test_a_server_of_ours_keeps_histories_for_years_also_on_a_database_that_was_made_to_forget(
    temporal: Path, tmp_path: Path
) -> None:
    async with EmbeddedServer(temporal, Settings(data=tmp_path)) as server:
        client = await connect_to(server.address)
        new = await kept_by(client)
        await forget_after(client, timedelta(days=1))  # as the database of an earlier version says
        await server.restart()
        restarted = await kept_by(client)
        await keep_histories(client)

        assert new == restarted == await kept_by(client) == KEPT
        assert timedelta(days=365) < KEPT


async def test_a_server_that_is_not_ours_keeps_histories_as_long_as_its_owner_wants(foreign: Client) -> None:
    await forget_after(foreign, timedelta(days=3))

    await connect_to(foreign.service_client.config.target_host)

    assert await kept_by(foreign) == timedelta(days=3)
