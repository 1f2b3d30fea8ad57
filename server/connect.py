"""Connects to a Temporal server: our own, or one that the user names by Temporal's environment configuration."""

import asyncio
import hashlib
import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client, GrpcCompression
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from runtime.errors import NoServerError
from runtime.settings import Settings
from runtime.temporal import ORDERLAB_PLUGIN
from server.attributes import register_search_attributes

_NAMING = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")
_USUAL_ADDRESS = "localhost:7233"
_WAIT_S = 10.0
_SUFFIX_DIGITS = 6


def configured_elsewhere() -> bool:
    """Whether the user names a server: in the environment, or in the default profile of Temporal's configuration."""
    if any(os.environ.get(name) for name in _NAMING):
        return True
    try:
        return "target_host" in ClientConfig.load_client_connect_config()
    except (RuntimeError, OSError):  # a configuration is there but broken: `connect_external` tells what is wrong
        return True


async def connect_external(wait_s: float = _WAIT_S) -> Client:
    """Connect to the server that the user names, and make it ready for orders.

    Args:
        wait_s: how long each step may take; a refused connection fails at once.

    Raises:
        NoServerError: the configuration is broken, the server does not answer, the namespace is missing, or our search
            attributes are missing and may not be registered.
    """
    config = _load_config()
    config.setdefault("target_host", _USUAL_ADDRESS)  # what Temporal's own tools assume for a profile without address
    address = config["target_host"]
    client = await _connect(config, wait_s, GrpcCompression.GZIP)
    request = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=wait_s))
    except RPCError as error:
        why = "is missing" if error.status is RPCStatusCode.NOT_FOUND else f"can't be used ({error.message})"
        raise NoServerError(f"namespace {client.namespace} of the Temporal server at {address} {why}") from error
    try:
        await register_search_attributes(client, wait_s)
    except NoServerError as error:
        raise NoServerError(f"Temporal server at {address}: {error}") from error
    return client


async def connect_to(address: str, namespace: str = "default", wait_s: float = _WAIT_S) -> Client:
    """Connect to a server of ours, which needs no credentials.

    Args:
        address: `host:port`.
        namespace: must exist.
        wait_s: how long to wait for an answer; a refused connection fails at once.

    Raises:
        NoServerError: it does not answer.
    """
    # On loopback there is no bandwidth to save, and compressing each message would cost both sides processor time.
    return await _connect({"target_host": address, "namespace": namespace}, wait_s, GrpcCompression.NONE)


async def server_version(client: Client) -> str:
    """The version that the connected server reports, such as `1.29.1`.

    Raises:
        RPCError: it does not answer any more.
    """
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=timedelta(seconds=_WAIT_S))
    return info.server_version


def ui_link(base_url: str, namespace: str, workflow_id: str, run_id: str | None = None) -> str:
    """The page of a workflow in Temporal's UI; of its latest run, or of a certain one.

    Args:
        base_url: where the UI is, such as `http://127.0.0.1:8233`.
        namespace: of the workflow.
        workflow_id: may contain any character: the UI encodes ids once, the `/` too.
        run_id: the run, if not the latest.
    """
    page = f"{base_url.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows/{quote(workflow_id, safe='')}"
    return page if run_id is None else f"{page}/{quote(run_id, safe='')}/history"


def lab_suffix(settings: Settings, *, external: bool) -> str:
    """What sets the task queues and workflow ids of this data directory apart from those of others on the same server.

    Args:
        settings: `lab`, where set (also to nothing), is the suffix on a shared server.
        external: whether the server is a shared one; our own serves one data directory only and needs no suffix.

    Returns:
        Empty, the user's own, or 6 hexadecimal digits that depend on the resolved path of the data directory alone.
    """
    if not external:
        return ""
    if settings.lab is not None:
        return settings.lab
    return hashlib.sha256(os.fsencode(settings.data.resolve())).hexdigest()[:_SUFFIX_DIGITS]


def _load_config() -> ClientConnectConfig:
    file = os.environ.get("TEMPORAL_CONFIG_FILE")
    if file and not Path(file).is_file():  # the SDK would take the defaults in silence
        raise NoServerError(f"TEMPORAL_CONFIG_FILE: there is no file {file}")
    try:
        return ClientConfig.load_client_connect_config()
    except (RuntimeError, OSError) as error:
        raise NoServerError(f"Temporal's configuration can't be used: {_one_line(error)}") from error


async def _connect(config: ClientConnectConfig, wait_s: float, compression: GrpcCompression) -> Client:
    address = config["target_host"]
    connecting = Client.connect(**config, plugins=[ORDERLAB_PLUGIN], grpc_compression=compression)
    try:
        return await asyncio.wait_for(connecting, wait_s)
    except TimeoutError as error:
        raise NoServerError(f"no Temporal server answers at {address} within {wait_s:.0f} s") from error
    except (RuntimeError, ValueError) as error:
        raise NoServerError(f"no Temporal server answers at {address}: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """The innermost message: the SDK gives the whole chain of causes as one Rust debug text."""
    messages = re.findall(r'(?:message|error): "([^"]+)"', str(error))
    return messages[-1] if messages else _one_line(error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
