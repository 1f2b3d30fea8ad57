"""The dead-letter queue: what was given up for now, as a person is shown it.

Each workflow keeps its own part in its memo, so that all of it is listed in one query to Temporal.
"""

from collections.abc import Iterable
from itertools import islice

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

MEMO = "parked"
"""Key of the memo."""

_LONGEST_PAYLOAD = 4_000
_MOST = 200
_LARGEST_BYTES = 1_000_000
"""Of all that is listed; the server terminates a workflow that sets a memo of more than 2 MiB."""
_LARGEST_PAYLOADS_BYTES = 100_000
"""Of all that is listed: each time that something is parked, the memo is written into the history anew, and the server
terminates a workflow whose history has 50 MB.
"""


class ParkedDelivery(BaseModel):
    """One piece of work that was given up for now."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Names it within its workflow; what the signal `redrive` takes."""
    service: str
    work: str
    """Activity type."""
    reason: str
    attempts: int
    """How often it was tried; 0 where no worker ever took it."""
    payload: str
    """What it was given, as JSON; no more of it than its first 4,000 characters, and nothing where much is listed."""


def excerpt(given: BaseModel) -> str:
    """What work was given, as it is listed: a memo has to stay small, and all of it is in the workflow's history."""
    return given.model_dump_json(exclude_none=True)[:_LONGEST_PAYLOAD]


def memo_of(parked: Iterable[ParkedDelivery]) -> dict[str, list[ParkedDelivery] | None]:
    """What a workflow sets as its memo: 200 entries and 1 MB at most, oldest first; after 100 kB without payload."""
    listed: list[ParkedDelivery] = []
    room, room_in_all = _LARGEST_PAYLOADS_BYTES, _LARGEST_BYTES
    for parked_entry in islice(parked, _MOST):
        room -= len(to_json(parked_entry.payload))
        entry = parked_entry if room >= 0 else parked_entry.model_copy(update={"payload": ""})
        room_in_all -= len(to_json(entry)) + len(b",")
        if room_in_all < 0:
            break
        listed.append(entry)
    return {MEMO: listed or None}
