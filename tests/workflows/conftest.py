"""What tests of workflows share."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from runtime.search import SEARCH_ATTRIBUTES
from runtime.temporal import ORDERLAB_PLUGIN
from server.binary import find_temporal_binary


@pytest.fixture(scope="session")
async def impatient_client() -> AsyncIterator[Client]:
    """The client of a server that suggests a new run after few history events."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(find_temporal_binary(print)),
        dev_server_extra_args=["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60"],
        search_attributes=SEARCH_ATTRIBUTES,
        plugins=[ORDERLAB_PLUGIN],
    ) as environment:
        yield environment.client
