"""The search attributes by which orders are found on a Temporal server."""

import re
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

ORDER_ID = SearchAttributeKey.for_keyword("OrderId")
"""The order that a workflow is about."""

ORDER_STYLE = SearchAttributeKey.for_keyword("OrderStyle")
"""`saga` or `choreography`."""

PARKED = SearchAttributeKey.for_keyword_list("Parked")
"""The services whose deliveries are parked; set only while there are any."""

SEARCH_ATTRIBUTES: tuple[SearchAttributeKey[Any], ...] = (ORDER_ID, ORDER_STYLE, PARKED)
"""All that a server must know before the first order."""


def attributes_of(order_id: str, style: str) -> TypedSearchAttributes:
    """What a workflow is started with, to be found by its order and style."""
    return TypedSearchAttributes([SearchAttributePair(ORDER_ID, order_id), SearchAttributePair(ORDER_STYLE, style)])


def runs_under(workflow_id: str) -> str:
    """The query for the runs of a workflow id; it may find others too, if the id has quotes or backslashes in it.

    Those can't be asked for: the server (1.29) escapes them in the way of another database than it looks in.
    """
    plain = re.split(r"""['"\\]""", workflow_id, maxsplit=1)[0]
    return f"WorkflowId {'=' if plain == workflow_id else 'STARTS_WITH'} '{plain}'"
