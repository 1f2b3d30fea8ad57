"""Makes our own server keep the histories of what has ended: by default it forgets them after a day."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client

KEPT = timedelta(days=3650)
"""Ten years: as good as for ever, for a lab. Who wants it shorter deletes the data directory."""

_CALL = timedelta(seconds=10)


async def keep_histories(client: Client) -> None:
    """Have the namespace keep whatever closes from now on for `KEPT`; nothing is changed where it does already.

    The server's own caches follow within two seconds (`system.namespaceCacheRefreshInterval`), once in the life of a
    database: what closes before that is still forgotten after a day.

    Args:
        client: of a server that we have started; how long others keep histories is their owners' business.

    Raises:
        RPCError: the server does not answer.
    """
    service, namespace = client.workflow_service, client.namespace
    found = await service.describe_namespace(DescribeNamespaceRequest(namespace=namespace), timeout=_CALL)
    if found.config.workflow_execution_retention_ttl.ToTimedelta() == KEPT:
        return
    kept = Duration()
    kept.FromTimedelta(KEPT)
    config = NamespaceConfig(workflow_execution_retention_ttl=kept)
    await service.update_namespace(UpdateNamespaceRequest(namespace=namespace, config=config), timeout=_CALL)
