"""The dead-letter queue: what was given up for now, as a person is shown it.

Each workflow keeps its own part in its memo, so that all of it is listed in one query to Temporal.
"""

from collections.abc import Iterable
from itertools import islice

from pydantic import BaseModel, ConfigDict

MEMO = "parked"
"""Key of the memo."""

_LONGEST_PAYLOAD = 4_000
_MOST = 200
_LARGEST_BYTES = 1_000_000
"""The server takes 2 MiB of a memo, and terminates a workflow that sets more. 200 entries may come to that, as quotes
are escaped once more and a character may have four bytes.
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
    """What it was given, as JSON; no more of it than its first 4,000 characters."""


def excerpt(given: BaseModel) -> str:
    """What work was given, as it is listed: a memo has to stay small, and all of it is in the workflow's history."""
    return given.model_dump_json(exclude_none=True)[:_LONGEST_PAYLOAD]


def memo_of(parked: Iterable[ParkedDelivery]) -> dict[str, list[ParkedDelivery] | None]:
    """What a workflow sets as its memo; no more than 200 entries of it, the oldest first, in a megabyte."""
    listed: list[ParkedDelivery] = []
    room = _LARGEST_BYTES
    for entry in islice(parked, _MOST):
        room -= len(entry.model_dump_json().encode())
        if room < 0:
            break
        listed.append(entry)
    return {MEMO: listed or None}
