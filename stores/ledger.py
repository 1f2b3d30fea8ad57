"""The ledger of effects: the one place where an effect is performed, so that each happens once."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel, JsonValue
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    func,
    select,
    update,
)

from faults.dice import NOTHING, Dice
from orders.model import Style
from runtime.errors import SupersededError
from stores.database import insert_if_new, insert_into, open_database

Fact = TypeVar("Fact", bound=BaseModel)

DONE, CLOSED = "done", "closed"


@dataclass(frozen=True)
class EffectKey:
    """The idempotency key of one effect: what, by whom, for which order, in which style."""

    style: Style
    order_id: str
    service: str
    effect: str

    def __str__(self) -> str:
        return f"{self.style}/{self.order_id}/{self.service}/{self.effect}"


def effects_table(metadata: MetaData) -> Table:
    """Every service's database has this table: one row per idempotency key."""
    Table(
        "fault_attempts",  # how often what the dice are to make fail was tried
        metadata,
        Column("idempotency_key", String(200), primary_key=True),
        Column("attempts", Integer, nullable=False),
    )
    return Table(
        "effects",
        metadata,
        Column("idempotency_key", String(200), primary_key=True),
        Column("order_id", String(80), nullable=False, index=True),
        Column("style", String(16), nullable=False),
        Column("service", String(40), nullable=False),
        Column("effect", String(60), nullable=False),
        Column("state", String(8), nullable=False),  # `done`, or `closed`: compensated before it ever happened
        Column("at_us", BigInteger, nullable=False),  # microseconds since 1970, UTC, stamped just before the commit
        Column("fact", Text),  # JSON of what the effect answered, answered again to a repeated call
    )


class Ledger:
    """Performs effects and undoes them, each in one transaction under its key."""

    def __init__(self, url: str, metadata: MetaData) -> None:
        self.engine: Engine = open_database(url, metadata)
        self._effects = metadata.tables["effects"]
        self._attempts = metadata.tables["fault_attempts"]

    def perform(
        self,
        key: EffectKey,
        do: Callable[[Connection], Fact],
        fact: type[Fact],
        *,
        rehearsal: bool = False,
        dice: Dice | None = None,
    ) -> Fact:
        """Do it and record it, or answer what was recorded when it was done.

        Args:
            key: names the effect.
            do: writes the effect's rows and answers the fact.
            fact: its model, to read it back.
            rehearsal: do everything but the commit.
            dice: decide what goes wrong with it.

        Raises:
            SupersededError: the effect was compensated before it happened.
            PermanentFaultError: the dice say so.
            TransientFaultError: likewise.
            AcknowledgementLostError: likewise.
        """
        return self._under(dice, key, lambda: self._perform(key, do, fact, rehearsal=rehearsal))

    def undo(
        self,
        done: EffectKey,
        key: EffectKey,
        do: Callable[[Connection], Fact],
        fact: type[Fact],
        *,
        dice: Dice | None = None,
    ) -> Fact | None:
        """Undo an effect and record that; where it never happened, close its key, so that a late attempt is refused.

        Args:
            done: the effect to undo.
            key: names the undoing effect.
            do: writes the undoing rows and answers the fact.
            fact: its model, to read it back.
            dice: decide what goes wrong with it.

        Returns:
            The undoing fact, or None where there was nothing to undo.

        Raises:
            PermanentFaultError: the dice say so.
            TransientFaultError: likewise.
            AcknowledgementLostError: likewise.
        """
        with self.engine.begin() as db:
            if self.close(db, done):
                return None
        return self._under(dice, key, lambda: self._perform(key, do, fact))

    def close(self, db: Connection, key: EffectKey) -> bool:
        """Close the key of an effect, so that it never happens; tells whether that was in time."""
        return self._claim(db, key, CLOSED) or self._state(db, key) == CLOSED

    def _under(self, dice: Dice | None, key: EffectKey, perform: Callable[[], tuple[Fact, bool]]) -> Fact:
        """Perform an effect, and let befall it what the dice say: here alone does anything go wrong on purpose."""
        throw = NOTHING if dice is None else dice.throw(key.order_id, key.service, key.effect)
        throw.before(self._count_attempt(key) if throw.counts_attempts else 1)
        answer, is_new = perform()
        if throw.twice:
            answer, _ = perform()
        throw.after(is_new=is_new)
        return answer

    def _perform(
        self, key: EffectKey, do: Callable[[Connection], Fact], fact: type[Fact], *, rehearsal: bool = False
    ) -> tuple[Fact, bool]:
        """The fact, and whether it came about just now."""
        with self.engine.connect() as db, db.begin() as transaction:
            if not self._claim(db, key, DONE):
                return self._answer_again(db, key, fact), False
            answer = do(db)
            self._stamp(db, key, answer)
            if rehearsal:
                transaction.rollback()
            return answer, True

    def _count_attempt(self, key: EffectKey) -> int:
        """Which attempt this is; kept in the database, as no process is sure to live until the next one."""
        with self.engine.begin() as db:
            insert = insert_into(db, self._attempts).values(idempotency_key=str(key), attempts=1)
            bump = insert.on_conflict_do_update(
                index_elements=["idempotency_key"], set_={"attempts": self._attempts.c.attempts + 1}
            )
            count: int = db.execute(bump.returning(self._attempts.c.attempts)).scalar_one()
        return count

    def _claim(self, db: Connection, key: EffectKey, state: str) -> bool:
        return insert_if_new(
            db,
            self._effects,
            idempotency_key=str(key),
            order_id=key.order_id,
            style=key.style,
            service=key.service,
            effect=key.effect,
            state=state,
            at_us=now_us(),
        )

    def _stamp(self, db: Connection, key: EffectKey, answer: BaseModel) -> None:
        row = self._effects.c.idempotency_key == str(key)
        db.execute(update(self._effects).where(row).values(at_us=now_us(), fact=answer.model_dump_json()))

    def _state(self, db: Connection, key: EffectKey) -> str | None:
        row = self._effects.c.idempotency_key == str(key)
        return db.execute(select(self._effects.c.state).where(row)).scalar_one_or_none()

    def _answer_again(self, db: Connection, key: EffectKey, fact: type[Fact]) -> Fact:
        row = self._effects.c.idempotency_key == str(key)
        state, answer = db.execute(select(self._effects.c.state, self._effects.c.fact).where(row)).one()
        if state == CLOSED:
            raise SupersededError(f"{key} was compensated before it happened")
        return fact.model_validate_json(answer)


class EffectRecord(BaseModel):
    """One effect as the database has it."""

    order_id: str
    style: Style
    service: str
    effect: str
    idempotency_key: str
    at: datetime
    """UTC, when its transaction was about to commit."""
    fact: dict[str, JsonValue]
    """What the effect answered."""


def read_effects(url: str, order_id: str | None = None) -> list[EffectRecord]:
    """Every effect in a service's database, oldest first; closed keys are no effects.

    Args:
        url: SQLAlchemy URL of the service's database.
        order_id: only those of this order.
    """
    table = effects_table(MetaData())
    query = select(table).where(table.c.state == DONE).order_by(table.c.at_us, table.c.idempotency_key)
    if order_id is not None:
        query = query.where(table.c.order_id == order_id)
    engine = create_engine(url)
    try:
        with engine.connect() as db:
            return [
                EffectRecord(
                    order_id=row.order_id,
                    style=row.style,
                    service=row.service,
                    effect=row.effect,
                    idempotency_key=row.idempotency_key,
                    at=datetime.fromtimestamp(row.at_us / 1_000_000, UTC),
                    fact=json.loads(row.fact),
                )
                for row in db.execute(query)
            ]
    finally:
        engine.dispose()


def read_last_change(url: str) -> dict[tuple[Style, str], int]:
    """When an order's keys were last written, done or closed: microseconds since 1970, by style and order.

    Args:
        url: SQLAlchemy URL of the service's database.
    """
    table = effects_table(MetaData())
    query = select(table.c.style, table.c.order_id, func.max(table.c.at_us)).group_by(table.c.style, table.c.order_id)
    engine = create_engine(url)
    try:
        with engine.connect() as db:
            return {(style, order_id): at_us for style, order_id, at_us in db.execute(query)}
    finally:
        engine.dispose()


def now_us() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1_000
