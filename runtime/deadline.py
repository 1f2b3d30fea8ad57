"""The attempt that a piece of work is done in: which one it is, and when it has to be over.

Whoever waits on its behalf (for a database, for a service that is slow) waits no longer than that. A worker sets it
(`hosting/deadlines.py`), and it holds for the thread that does the work.
"""

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

_SHORTEST_S = 0.1
"""What is late already waits this long for a lock: what has been begun has a chance to end well."""


class DeadlinePassedError(Exception):
    """The time of an attempt was over before its work was done; a later attempt may be luckier."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a piece of work."""

    number: int
    """Counted from 1."""
    until: float
    """When it has to be over, by the clock that `time.monotonic` reads."""

    @property
    def left_s(self) -> float:
        """How long it may still take; negative when it is late."""
        return self.until - time.monotonic()


_under_way: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


@contextlib.contextmanager
def during(attempt: Attempt) -> Iterator[None]:
    """What is called or begun within the block, in other threads too if they are given its context, is this attempt."""
    token = _under_way.set(attempt)
    try:
        yield
    finally:
        _under_way.reset(token)


def attempt_under_way() -> Attempt | None:
    """The attempt that the caller is part of; None where there is none, as when a worker is just being put together."""
    return _under_way.get()


def longest_wait_s(usual_s: float) -> float:
    """How long to wait for something: as usual, but not beyond the end of the attempt.

    Args:
        usual_s: how long where there is no attempt, or one that has time enough.
    """
    attempt = _under_way.get()
    return usual_s if attempt is None else max(_SHORTEST_S, min(usual_s, attempt.left_s))


def sleep(seconds: float) -> None:
    """Sleep, but not beyond the end of the attempt.

    Raises:
        DeadlinePassedError: the attempt was over before.
    """
    attempt = _under_way.get()
    if attempt is None or seconds <= attempt.left_s:
        time.sleep(seconds)
        return
    time.sleep(max(0, attempt.left_s))
    raise DeadlinePassedError(f"it would take {seconds:g} s, which is longer than an attempt has")
