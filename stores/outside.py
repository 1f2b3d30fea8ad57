"""Effects outside a service's database, such as a mail: no transaction holds them, so an outcome can stay unknown.

Such an effect is noted before it is begun, begun outside of any transaction, and recorded when it is done. Who dies, or
is left without an answer, between the first and the last leaves it *begun*: it may have happened. It is done once more
only after a pause, which grows, as repeating it is not harmless; who undoes it counts it as done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, delete, insert, select, update

Fact = TypeVar("Fact", bound=BaseModel)

_EXACT_TO_S = 1.0
"""So much a clock may go wrong in passing."""

_FIRST_LOOK_S = 5.0
"""When whoever finds an effect begun by another looks for the first time whether that one has done it meanwhile."""


@dataclass(frozen=True)
class Outside(Generic[Fact]):
    """How to do an effect outside the database."""

    note: Callable[[Connection], Fact]
    """Writes the rows that tell of it, before it is begun, and answers what will have been done."""
    act: Callable[[Fact], None]
    """Does it. Raises NotDoneError where it has certainly not been done; after any other error nobody knows."""
    withdraw: Callable[[Connection, Fact], None]
    """Takes the rows back where it has certainly not been done."""
    pause_s: Callable[[int], float]
    """How long after the last of so many tries it may be done again, its outcome being unknown."""


class Try(NamedTuple):
    """One of the tries to do such an effect."""

    number: int
    at_us: int
    """When it was begun: microseconds since 1970, UTC."""

    def is_to_be_timed_anew(self, pause_s: float, now_us: int, *, is_under_way: bool) -> bool:
        """Whether the clock, which was set meanwhile, says nothing of its age: it is yet to come, or can't be so old.

        Args:
            pause_s: how long to wait after it.
            now_us: what the clock says.
            is_under_way: whether it has certainly not ended.
        """
        return now_us < self.at_us or (is_under_way and pause_s > 0 and not self.wait_s(pause_s, now_us))

    def aged(self, age_s: float, now_us: int) -> "Try":
        """The same, if the clock agrees that it is so old; otherwise the same as of that moment."""
        at_us = now_us - int(age_s * 1e6)
        return self if abs(at_us - self.at_us) < _EXACT_TO_S * 1e6 else self._replace(at_us=at_us)

    def wait_s(self, pause_s: float, now_us: int) -> float:
        """How long it takes until the next try may come, after a pause of that length."""
        return max(0.0, pause_s - (now_us - self.at_us) / 1e6)

    def look_again_s(self, wait_s: float, now_us: int) -> float:
        """When to look whether whoever tries has succeeded: at growing intervals, and when the wait is over."""
        return min(wait_s, max(_FIRST_LOOK_S, (now_us - self.at_us) / 1e6))


def tries_table(metadata: MetaData) -> Table:
    """Holds one row for each effect whose outcome is not known yet."""
    return Table(
        "outside_tries",
        metadata,
        Column("idempotency_key", String(200), primary_key=True),
        Column("number", Integer, nullable=False),
        Column("at_us", BigInteger, nullable=False),
    )


class Tries:
    """Remembers the last try of each effect whose outcome is not known yet; all within transactions of the caller."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, db: Connection, key: str, at_us: int) -> Try:
        """Note the first try."""
        db.execute(insert(self._table).values(idempotency_key=key, number=1, at_us=at_us))
        return Try(1, at_us)

    def last(self, db: Connection, key: str) -> Try | None:
        """The last try; None where the outcome is known."""
        row = db.execute(select(self._table).where(self._table.c.idempotency_key == key)).one_or_none()
        return None if row is None else Try(row.number, row.at_us)

    def replace(self, db: Connection, key: str, known: Try, by: Try) -> bool:
        """Note another try than the one that we know of; tells whether that was still the last."""
        row = (self._table.c.idempotency_key == key) & (self._table.c.number == known.number)
        changed = update(self._table).where(row).values(number=by.number, at_us=by.at_us)
        return db.execute(changed.returning(self._table.c.number)).first() is not None

    def end(self, db: Connection, key: str, known: Try | None = None) -> bool:
        """Note that there will be no further try; tells whether there was one, and it was the one that we know of."""
        row = self._table.c.idempotency_key == key
        if known is not None:
            row &= self._table.c.number == known.number
        return db.execute(delete(self._table).where(row).returning(self._table.c.number)).first() is not None
