"""The ledger of effects: the one place where an effect is performed, so that each happens once."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, JsonValue
from sqlalchemy import (
    URL,
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
    delete,
    func,
    select,
    update,
)

from faults.dice import NOTHING, Dice
from orders.model import Style
from runtime.errors import NotDoneError, OrderIdTakenError, OutcomeUnknownError, SupersededError
from stores.contents import contents_table, file_business_rows, known_content, refused_id, stands_for
from stores.database import insert_if_new, insert_into, open_database
from stores.outside import Outside, Tries, Try, tries_table

Fact = TypeVar("Fact", bound=BaseModel)

DONE, CLOSED = "done", "closed"
BEGUN = "begun"
"""Of an effect outside the database: it is being done, or may have been done by someone who could not say so."""
POSSIBLE = "possible"
"""Begun when it was undone: nobody knows whether it has been done, and it will not be tried again."""


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
    """Every service's database has this table: one row per idempotency key; and three more that the ledger needs."""
    contents_table(metadata)
    tries_table(metadata)
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
        # `done`; `closed`: compensated before it ever happened; `begun`, `possible`: see above
        Column("state", String(8), nullable=False),
        Column("at_us", BigInteger, nullable=False),  # microseconds since 1970, UTC, stamped just before the commit
        # JSON of what the effect answered, or is to answer; answered again to a repeated call. Of a closed key, the
        # content of the order that closed it, where that is known.
        Column("fact", Text),
    )


class _Recorded(NamedTuple):
    """The row of a key."""

    state: str
    fact: str | None


class Ledger:
    """Performs effects and undoes them, each under its key: in one transaction, or outside the database between two."""

    def __init__(self, url: URL | str, metadata: MetaData) -> None:
        self.engine: Engine = open_database(url, metadata)
        self._metadata = metadata
        self._effects = metadata.tables["effects"]
        self._attempts = metadata.tables["fault_attempts"]
        self._contents = metadata.tables["order_contents"]
        self._tries = Tries(metadata.tables["outside_tries"])
        self._under_way: set[str] = set()
        """Keys of what this process does outside the database just now."""

    def perform(  # noqa: PLR0913 - the one place where all of it matters
        self,
        key: EffectKey,
        do: Callable[[Connection], Fact] | Outside[Fact],
        fact: type[Fact],
        *,
        content: str,
        undone_by: str,
        rehearsal: bool = False,
        dice: Dice | None = None,
    ) -> Fact:
        """Do it and record it, or answer what was recorded when it was done.

        Whatever goes wrong, the order has been met: its id stands for it from then on.

        Args:
            key: names the effect.
            do: writes the effect's rows and answers the fact; or how to do it outside the database.
            fact: its model, to read it back.
            content: fingerprint of the order that it is done for.
            undone_by: the effect that undoes it.
            rehearsal: do everything but the commit, and nothing outside the database.
            dice: decide what goes wrong with it.

        Raises:
            OrderIdTakenError: the order id stands for an order of other content, or this one was refused before.
            SupersededError: the effect was compensated, before it happened or since.
            NotDoneError: it has certainly not been done outside the database.
            OutcomeUnknownError: it may have been done there, now or before, and must not be repeated yet.
            PermanentFaultError: the dice say so.
            TransientFaultError: likewise.
            AcknowledgementLostError: likewise.
        """
        undoing = replace(key, effect=undone_by)

        def perform() -> tuple[Fact, bool]:
            return self._perform(key, do, fact, content=content, undoing=undoing, rehearsal=rehearsal)

        try:
            return self._under(dice, key, perform)
        except (OrderIdTakenError, SupersededError):
            raise
        except Exception:
            if not rehearsal:
                self.remember(key.style, key.order_id, key.service, content)
            raise

    def remember(self, style: Style, order_id: str, service: str, content: str) -> None:
        """Keep which order an id stands for, though nothing was done for it; one that stands for another stays."""
        with self.engine.begin() as db:
            self._may_take(db, EffectKey(style, order_id, service, ""), content)

    def let_go(self, style: Style, order_id: str, service: str, content: str, *, since_us: int | None = None) -> None:
        """Give up the id of an order that was refused, as another service knows another one under it.

        What was done and undone for it, and the keys that it closed, are filed under an id of its own, and it can't
        be done any more. Call it when all of it was undone. An id that stands for another order, or for one
        that the service had met before, stays as it is.

        Args:
            style: of the order.
            order_id: of the order.
            service: whose rows they are.
            content: fingerprint of the order.
            since_us: when it was placed, in microseconds since 1970; None where it can't have been met before.
        """
        with self.engine.begin() as db:
            if known_content(db, self._contents, style=style, order_id=order_id, service=service) != content:
                return
            effects = self._effects
            of_order = (effects.c.style == style) & (effects.c.order_id == order_id) & (effects.c.service == service)
            rows = db.execute(select(effects).where(of_order)).all()
            own = [row for row in rows if row.state != CLOSED or row.fact == json.dumps(content)]
            if since_us is not None and any(row.at_us < since_us for row in own):
                return
            under = refused_id(order_id, content)
            for row in own:
                filed = EffectKey(style, under, service, row.effect)
                this = effects.c.idempotency_key == row.idempotency_key
                db.execute(update(effects).where(this).values(idempotency_key=str(filed), order_id=under))
            if any(row.state != CLOSED for row in own):
                file_business_rows(db, self._metadata, style=style, order_id=order_id, under=under)
            known = self._contents
            this = (known.c.style == style) & (known.c.order_id == order_id) & (known.c.service == service)
            db.execute(delete(known).where(this))
            insert_if_new(db, known, style=style, order_id=under, service=service, content=content)

    def undo(  # noqa: PLR0913 - as `perform`
        self,
        done: EffectKey,
        key: EffectKey,
        do: Callable[[Connection], Fact] | Outside[Fact],
        fact: type[Fact],
        *,
        content: str | None,
        since_us: int | None = None,
        dice: Dice | None = None,
    ) -> Fact | None:
        """Undo an effect and record that; where it never happened, close its key, so that a late attempt is refused.

        One that may have happened is undone, too, and not attempted any more from then on. Where the order id stands
        for an order of other content, nothing happens at all: what was done is not its own.

        Args:
            done: the effect to undo.
            key: names the undoing effect.
            do: writes the undoing rows and answers the fact; or how to do it outside the database.
            fact: its model, to read it back.
            content: fingerprint of the order that is undone; None for the one that the order id stands for.
            since_us: what was done before this moment stays: microseconds since 1970; None to undo it whenever it was.
            dice: decide what goes wrong with it.

        Returns:
            The undoing fact, or None where there was nothing to undo.

        Raises:
            NotDoneError: as for `perform`.
            OutcomeUnknownError: likewise.
            PermanentFaultError: the dice say so.
            TransientFaultError: likewise.
            AcknowledgementLostError: likewise.
        """
        with self.engine.begin() as db:
            if content is not None:
                if self._is_filed(db, done, content):  # asked once more: it is answered what it was then
                    under = refused_id(done.order_id, content)
                    done, key = replace(done, order_id=under), replace(key, order_id=under)
                elif not self._owns(db, done, content):
                    return None
            if since_us is not None and self._was_done_before(db, done, since_us):
                return None
            if self.close(db, done, content=content):
                return None
        return self._under(dice, key, lambda: self._perform(key, do, fact))

    def close(self, db: Connection, key: EffectKey, *, content: str | None = None) -> bool:
        """Close the key of an effect, so that it never happens; tells whether that was in time.

        It was not where the effect may have happened, but then nobody attempts it any more.

        Args:
            db: the transaction that it is done in.
            key: names the effect.
            content: fingerprint of the order that it is closed for; None for whatever order the id stands for.
        """
        by = None if content is None else json.dumps(content)
        if self._claim(db, key, CLOSED, fact=by):
            return True
        row = (self._effects.c.idempotency_key == str(key)) & (self._effects.c.state == BEGUN)
        given_up = update(self._effects).where(row).values(state=POSSIBLE).returning(self._effects.c.state)
        if db.execute(given_up).first() is not None:
            self._tries.end(db, str(key))
        return self._state(db, key) == CLOSED

    def _under(self, dice: Dice | None, key: EffectKey, perform: Callable[[], tuple[Fact, bool]]) -> Fact:
        """Perform an effect, and let befall it what the dice say: here alone does anything go wrong on purpose."""
        throw = NOTHING if dice is None else dice.throw(key.order_id, key.service, key.effect)
        throw.before(self._count_attempt(key) if throw.counts_attempts else 1)
        answer, is_new = perform()
        if throw.twice:
            answer, _ = perform()
        throw.after(is_new=is_new)
        return answer

    def _perform(  # noqa: PLR0913 - as `perform`
        self,
        key: EffectKey,
        do: Callable[[Connection], Fact] | Outside[Fact],
        fact: type[Fact],
        *,
        content: str | None = None,
        undoing: EffectKey | None = None,
        rehearsal: bool = False,
    ) -> tuple[Fact, bool]:
        """The fact, and whether it came about just now."""
        with self.engine.connect() as db, db.begin() as transaction:
            if content is not None and not self._may_take(db, key, content):
                raise OrderIdTakenError(
                    f"order id {key.order_id} belongs to an order with other content, which {key.service} knows: "
                    "give this one an id of its own"
                )
            before = None
            if self._claim(db, key, BEGUN if isinstance(do, Outside) else DONE):
                answer = do.note(db) if isinstance(do, Outside) else do(db)
                self._stamp(db, key, answer)
                if rehearsal:
                    transaction.rollback()
                    return answer, True
                this = self._tries.begin(db, str(key), now_us()) if isinstance(do, Outside) else None
            else:
                answer, state = self._answer_again(db, key, fact, undoing=undoing)
                if state == DONE or rehearsal:
                    return answer, False
                this = before = self._tries.last(db, str(key))
        if isinstance(do, Outside) and this is not None:
            self._act(key, do, answer, this=this, before=before)
        return answer, True

    def _act(self, key: EffectKey, do: Outside[Fact], answer: Fact, *, this: Try, before: Try | None) -> None:
        """Do what was noted, outside of any transaction, so that nobody waits for it; and record that it is done."""
        if before is not None:
            this = self._try_again(key, do, before)
        self._under_way.add(str(key))
        begun = time.monotonic()
        try:
            do.act(answer)
        except NotDoneError:
            self._take_back(key, do, answer, this=this, before=before)
            raise
        except OutcomeUnknownError as unknown:
            this = self._timed(key, this, time.monotonic() - begun)
            unknown.tries = this.number
            unknown.look_again_s = this.wait_s(do.pause_s(this.number), now_us()) or None
            raise
        finally:
            self._under_way.discard(str(key))
        with self.engine.begin() as db:
            if self._is_begun(db, key, answer):
                row = self._effects.c.idempotency_key == str(key)
                db.execute(update(self._effects).where(row).values(state=DONE, at_us=now_us()))
                self._tries.end(db, str(key))
            elif self._recorded(db, key) != _Recorded(DONE, answer.model_dump_json()):  # another try has recorded it
                raise SupersededError(f"order {key.order_id} was cancelled while {key.effect} was under way")

    def _timed(self, key: EffectKey, known: Try, age_s: float) -> Try:
        """A try that is known to be so old, and noted so, if the clock was set meanwhile and says otherwise."""
        timed = known.aged(age_s, now_us())
        if timed != known:
            with self.engine.begin() as db:
                self._tries.replace(db, str(key), known, timed)
        return timed

    def _try_again(self, key: EffectKey, do: Outside[Fact], before: Try) -> Try:
        """Begin what was begun before once more, if the pause is over and nobody else does so just now."""
        now, pause_s = now_us(), do.pause_s(before.number)
        if before.is_to_be_timed_anew(pause_s, now, is_under_way=str(key) in self._under_way):
            before = self._timed(key, before, 0)
        wait_s = before.wait_s(pause_s, now)
        this = Try(before.number + 1, now)
        if not wait_s:
            with self.engine.begin() as db:
                if self._tries.replace(db, str(key), before, this):
                    return this
        unknown = OutcomeUnknownError(
            f"nobody knows yet whether {key.effect} of order {key.order_id} has been done: tried {before.number} "
            f"times, and once more in {wait_s:.0f} s at the earliest"
        )
        unknown.tries = before.number
        unknown.look_again_s = before.look_again_s(wait_s, now) or None
        raise unknown

    def _take_back(self, key: EffectKey, do: Outside[Fact], answer: Fact, *, this: Try, before: Try | None) -> None:
        """Forget a try that has certainly done nothing; and all of it, where there was no other."""
        with self.engine.begin() as db:
            if not self._is_begun(db, key, answer):
                return
            if before is not None:
                self._tries.replace(db, str(key), this, before)
            elif self._tries.end(db, str(key), this):
                db.execute(delete(self._effects).where(self._effects.c.idempotency_key == str(key)))
                do.withdraw(db, answer)

    def _count_attempt(self, key: EffectKey) -> int:
        """Which attempt this is; kept in the database, as no process is sure to live until the next one."""
        with self.engine.begin() as db:
            insert = insert_into(db, self._attempts).values(idempotency_key=str(key), attempts=1)
            bump = insert.on_conflict_do_update(
                index_elements=["idempotency_key"], set_={"attempts": self._attempts.c.attempts + 1}
            )
            count: int = db.execute(bump.returning(self._attempts.c.attempts)).scalar_one()
        return count

    def _may_take(self, db: Connection, key: EffectKey, content: str) -> bool:
        """Whether an order may have something done under its id."""
        return not self._is_filed(db, key, content) and self._owns(db, key, content)

    def _is_filed(self, db: Connection, key: EffectKey, content: str) -> bool:
        """Whether an order was refused before, and what was done for it is filed under another id."""
        filed = known_content(
            db,
            self._contents,
            style=key.style,
            order_id=refused_id(key.order_id, content),
            service=key.service,
        )
        return filed == content

    def _owns(self, db: Connection, key: EffectKey, content: str) -> bool:
        return stands_for(
            db, self._contents, style=key.style, order_id=key.order_id, service=key.service, content=content
        )

    def _claim(self, db: Connection, key: EffectKey, state: str, *, fact: str | None = None) -> bool:
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
            fact=fact,
        )

    def _stamp(self, db: Connection, key: EffectKey, answer: BaseModel) -> None:
        row = self._effects.c.idempotency_key == str(key)
        db.execute(update(self._effects).where(row).values(at_us=now_us(), fact=answer.model_dump_json()))

    def _recorded(self, db: Connection, key: EffectKey) -> _Recorded | None:
        """The row of a key, which nobody else changes until the end of the transaction."""
        columns = (self._effects.c.state, self._effects.c.fact)
        query = select(*columns).where(self._effects.c.idempotency_key == str(key)).with_for_update()
        row = db.execute(query).one_or_none()
        return None if row is None else _Recorded(row.state, row.fact)

    def _is_begun(self, db: Connection, key: EffectKey, answer: BaseModel) -> bool:
        """Whether the key is held by this very try's effect: not by that of another order that has the id since."""
        return self._recorded(db, key) == _Recorded(BEGUN, answer.model_dump_json())

    def _state(self, db: Connection, key: EffectKey) -> str | None:
        row = self._effects.c.idempotency_key == str(key)
        return db.execute(select(self._effects.c.state).where(row)).scalar_one_or_none()

    def _was_done_before(self, db: Connection, key: EffectKey, at_us: int) -> bool:
        row = self._effects.c.idempotency_key == str(key)
        found = db.execute(select(self._effects.c.state, self._effects.c.at_us).where(row)).one_or_none()
        return found is not None and found.state != CLOSED and found.at_us < at_us

    def _answer_again(
        self, db: Connection, key: EffectKey, fact: type[Fact], *, undoing: EffectKey | None
    ) -> tuple[Fact, str]:
        """What the key's effect answered or is to answer, and whether it is done or only begun.

        Raises:
            SupersededError: it was compensated, before it happened or since.
            NotDoneError: whoever held the key has just given it back.
        """
        if undoing is not None and self._state(db, undoing) in {BEGUN, DONE}:
            raise SupersededError(f"order {key.order_id} was cancelled before: {key.effect} was undone")
        recorded = self._recorded(db, key)
        if recorded is None:
            raise NotDoneError(f"{key.effect} of order {key.order_id} failed just now for another who tried it")
        if recorded.state in {CLOSED, POSSIBLE}:
            raise SupersededError(f"order {key.order_id} was cancelled before: {key.effect} will not happen any more")
        return fact.model_validate_json(recorded.fact or ""), recorded.state


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
    certain: bool = True
    """False where nobody knows whether it happened; it was undone as if it had."""


def read_effects(url: URL | str, order_id: str | None = None) -> list[EffectRecord]:
    """Every effect in a service's database, oldest first; closed keys are no effects, and those begun are none yet.

    Args:
        url: SQLAlchemy URL of the service's database.
        order_id: only those of this order.
    """
    table = effects_table(MetaData())
    query = select(table).where(table.c.state.in_([DONE, POSSIBLE])).order_by(table.c.at_us, table.c.idempotency_key)
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
                    certain=row.state == DONE,
                )
                for row in db.execute(query)
            ]
    finally:
        engine.dispose()


def read_last_change(url: URL | str) -> dict[tuple[Style, str], int]:
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
