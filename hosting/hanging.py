"""What hangs in a worker: how much of it may, and who has to wait because of it."""

import contextlib
import random
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.exceptions import ApplicationError

Work = tuple[str | None, ...]
"""Names a piece of work, the same at each attempt."""

_REMEMBERED = 10_000
_SHORTEST_PAUSE_S = 5.0
_FIRST_ATTEMPTS = 5
"""After so many, the pauses of the policy are long enough."""


@dataclass(frozen=True)
class Limits:
    """How much of a service's worker may hang."""

    slots: int = 32
    """Attempts that are under way at once. Its database takes one writer at a time anyway."""
    again: int = 8
    """Of these slots, so many are for work that has hung here before: the others are free for orders that have not."""
    stuck: int = 64
    """Threads that were given up and have not come back. With more, a process that has another to take its place
    leaves; in one that has not, what hangs keeps its slot from then on, so in the end the service stands still."""
    stuck_of_one: int = 2
    """The same, of one piece of work: after that, it is not tried here again until one of them comes back."""


@dataclass
class Hanging:
    """What hangs in one worker. All of it is used on the event loop alone."""

    limits: Limits = field(default_factory=Limits)
    _hung: OrderedDict[Work, None] = field(default_factory=OrderedDict)
    _again: int = 0
    _stuck: Counter[Work] = field(default_factory=Counter)

    @property
    def stuck(self) -> int:
        """How many threads were given up and have not come back."""
        return self._stuck.total()

    @contextlib.contextmanager
    def admitted(self, work: Work, attempt: int) -> Iterator[None]:
        """Do an attempt within the block, if there is room for it.

        Raises:
            ApplicationError: there is none, as it has hung here before and others that have are at it; or as too many
                of its threads have not come back. It is to be tried later.
        """
        again = work in self._hung
        if self._stuck[work] >= self.limits.stuck_of_one:
            threads = self._stuck[work]
            raise _later(f"{threads} earlier attempts still hang here; a restart of the worker ends them", attempt)
        if again and self._again >= self.limits.again:
            raise _later(f"it has hung before, and {self._again} others that have are being tried", attempt)
        self._again += again
        try:
            yield
        finally:
            self._again -= again

    def is_full(self) -> bool:
        """Whether no more threads may be given up."""
        return self.stuck >= self.limits.stuck

    def took_all_its_time(self, work: Work) -> None:
        """An attempt did not end before its deadline."""
        self._hung[work] = None
        self._hung.move_to_end(work)
        if len(self._hung) > _REMEMBERED:
            self._hung.popitem(last=False)

    def ended_in_time(self, work: Work) -> None:
        """An attempt did."""
        self._hung.pop(work, None)

    def given_up(self, work: Work) -> None:
        """A thread is no longer waited for."""
        self._stuck[work] += 1

    def came_back(self, work: Work) -> None:
        """A thread that was given up has ended."""
        self._stuck[work] -= 1
        if not self._stuck[work]:
            del self._stuck[work]


def _later(why: str, attempt: int) -> ApplicationError:
    pause = timedelta(seconds=_SHORTEST_PAUSE_S * random.uniform(1, 2))  # noqa: S311 - no secret
    return ApplicationError(
        f"not tried now: {why}",
        type="NoRoomError",
        next_retry_delay=pause if attempt <= _FIRST_ATTEMPTS else None,
    )
