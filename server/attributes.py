"""Registers our search attributes on a Temporal server that lacks them."""

import asyncio
import time
from datetime import timedelta

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from runtime.errors import NoServerError
from runtime.search import SEARCH_ATTRIBUTES

_WANTED = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES}
_CALL = timedelta(seconds=10)
_PAUSE_S = 0.1


async def register_search_attributes(client: Client, wait_s: float) -> None:
    """Make sure that workflows can be started and listed with our search attributes.

    Args:
        client: connected to the namespace that shall know them.
        wait_s: how long a server may take until it accepts what was registered.

    Raises:
        NoServerError: an attribute exists with another type, may not be registered, or does not become usable.
    """
    try:
        missing = {name: kind for name, kind in _WANTED.items() if name not in await _registered(client)}
        if missing:
            await _add(client, missing)
        await _until_usable(client, wait_s)
    except RPCError as error:
        wanted = ", ".join(f"{name} ({type_name(kind)})" for name, kind in _WANTED.items())
        raise NoServerError(
            f"search attributes can't be set up in namespace {client.namespace} ({error.message}): "
            f"have an administrator add {wanted}"
        ) from error


def type_name(kind: int) -> str:
    """The type as the temporal CLI spells it, such as `KeywordList`."""
    words = IndexedValueType.Name(IndexedValueType.ValueType(kind)).removeprefix("INDEXED_VALUE_TYPE_")
    return words.title().replace("_", "")


async def _registered(client: Client) -> set[str]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    listed = await client.operator_service.list_search_attributes(request, timeout=_CALL)
    for name, kind in listed.custom_attributes.items():
        if name in _WANTED and kind != _WANTED[name]:
            raise NoServerError(
                f"search attribute {name} in namespace {client.namespace} is of type {type_name(kind)}, "
                f"where {type_name(_WANTED[name])} is needed: use another namespace"
            )
    return set(listed.custom_attributes)


async def _add(client: Client, missing: dict[str, IndexedValueType.ValueType]) -> None:
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
    try:
        await client.operator_service.add_search_attributes(request, timeout=_CALL)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # somebody else was faster: just as well
            raise


async def _until_usable(client: Client, wait_s: float) -> None:
    """Ask for what is only answered once the server's caches know the attributes: being listed comes earlier."""
    query = " AND ".join(f'{name} = "none"' for name in _WANTED)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            await client.count_workflows(query, rpc_timeout=_CALL)
        except RPCError as error:
            if error.status is not RPCStatusCode.INVALID_ARGUMENT or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE_S)
        else:
            return
