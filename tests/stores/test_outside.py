"""Effects outside the database: whatever is heard of them, and whoever is killed when, they are never forgotten."""

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, MetaData, String, Table, event, select, text

import stores.ledger
from events.catalogue import SaleReversed
from runtime.errors import NotDoneError, OrderIdTakenError, OutcomeUnknownError, SupersededError
from stores.ledger import EffectKey, Ledger, effects_table, now_us, read_effects
from stores.outside import Outside

FORWARD, BACK = (EffectKey("saga", "1", "test", effect) for effect in ("done", "undone"))

Outcome = Literal["done", "refused", "unheard", "lost", "killed"]
"""Of an attempt: `unheard` was done, `lost` was not, and neither is heard of; `killed` was done by who then died."""

OUTCOMES: list[Outcome] = ["done", "refused", "unheard", "lost", "killed"]
PAUSE_S = 3600.0


class KilledError(BaseException):
    """Stands for a SIGKILL: no handler is to catch it."""


@dataclass
class World:
    """What is outside the database: it is told to do things, and keeps what it has done."""

    happened: list[str] = field(default_factory=list)

    def do(self, what: str, outcome: Outcome) -> None:
        if outcome in {"done", "unheard", "killed"}:
            self.happened.append(what)
        if outcome == "refused":
            raise NotDoneError("refused")
        if outcome in {"unheard", "lost"}:
            raise OutcomeUnknownError("no answer")
        if outcome == "killed":
            raise KilledError


class Shop:
    """A ledger with one effect outside the database, and its undoing."""

    def __init__(self, directory: Path) -> None:
        metadata = MetaData()
        effects_table(metadata)
        self._notes = Table("notes", metadata, Column("effect", String))
        self.url = f"sqlite:///{directory / 'test.db'}"
        self.ledger = Ledger(self.url, metadata)
        self.world = World()

    def way(self, key: EffectKey, act: Callable[[], None]) -> Outside[SaleReversed]:
        def note(db: Connection) -> SaleReversed:
            db.execute(self._notes.insert().values(effect=key.effect))
            return SaleReversed(order_id=key.order_id, total_pence=7)

        def withdraw(db: Connection, _fact: SaleReversed) -> None:
            db.execute(self._notes.delete().where(self._notes.c.effect == key.effect))

        return Outside(
            note=note,
            act=lambda _: act(),
            withdraw=withdraw,
            pause_s=lambda tries: PAUSE_S * 2 ** (tries - 1),
        )

    def do(
        self, outcome: Outcome = "done", *, act: Callable[[], None] | None = None, content: str = "a", dry: bool = False
    ) -> SaleReversed:
        way = self.way(FORWARD, act or (lambda: self.world.do("done", outcome)))
        return self.ledger.perform(FORWARD, way, SaleReversed, content=content, undone_by="undone", rehearsal=dry)

    def undo(self, outcome: Outcome = "done", *, content: str | None = "a") -> SaleReversed | None:
        way = self.way(BACK, lambda: self.world.do("undone", outcome))
        return self.ledger.undo(FORWARD, BACK, way, SaleReversed, content=content)

    def let_pass(self, seconds: float = 1_000_000) -> None:
        """As if the last tries had been made so long ago; or the clock been set back since, where it is negative."""
        with self.ledger.engine.begin() as db:
            db.execute(text("UPDATE outside_tries SET at_us = at_us - :us"), {"us": int(seconds * 1_000_000)})

    def states(self) -> dict[str, str]:
        with self.ledger.engine.begin() as db:
            return {row.effect: row.state for row in db.execute(text("SELECT effect, state FROM effects"))}

    def notes(self) -> list[str]:
        with self.ledger.engine.begin() as db:
            return sorted(db.execute(select(self._notes.c.effect)).scalars())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def unknown(call: Callable[[], object]) -> OutcomeUnknownError:
    with pytest.raises(OutcomeUnknownError) as raised:
        call()
    return raised.value


def test_while_an_effect_is_under_way_outside_the_database_serves_everybody_else(shop: Shop) -> None:
    other = EffectKey("saga", "2", "test", "done")

    def serve_another() -> None:
        shop.ledger.perform(
            other, lambda _: SaleReversed(order_id="2", total_pence=1), SaleReversed, content="b", undone_by="undone"
        )

    shop.do(act=serve_another)

    assert [record.order_id for record in read_effects(shop.url)] == ["2", "1"]


def test_an_effect_that_nobody_heard_of_is_repeated_after_pauses_that_grow_and_recorded_once(shop: Shop) -> None:
    waits = []
    for _ in range(3):
        waits.append(unknown(lambda: shop.do("unheard")).look_again_s)
        assert unknown(shop.do).look_again_s is not None  # too early
        shop.let_pass()
    shop.do()
    shop.do()

    assert [round((wait or 0) / PAUSE_S) for wait in waits] == [1, 2, 4]
    assert shop.world.happened == ["done"] * 4
    assert [record.effect for record in read_effects(shop.url)] == shop.notes() == ["done"]


def test_who_finds_an_effect_begun_looks_soon_whether_it_is_done_and_then_ever_more_rarely(shop: Shop) -> None:
    with pytest.raises(KilledError):
        shop.do("killed")

    looks = []
    for ago_s in (0, 100, 400):
        shop.let_pass(ago_s)
        looks.append(unknown(shop.do).look_again_s)

    assert looks == [pytest.approx(seconds, rel=0.2) for seconds in (5, 100, 500)]


def test_a_clock_that_is_set_back_makes_a_pause_begin_anew_and_no_more_looks(shop: Shop) -> None:
    with pytest.raises(KilledError):
        shop.do("killed")
    shop.let_pass(-10 * PAUSE_S)

    waited_s: list[float] = []
    while shop.states() == {"done": "begun"} and len(waited_s) < 100:
        try:
            shop.do()
        except OutcomeUnknownError as too_early:
            waited_s.append(too_early.look_again_s or 0)
            shop.let_pass(waited_s[-1])

    assert sum(waited_s) == pytest.approx(PAUSE_S, rel=0.1)
    assert len(waited_s) < 15
    assert shop.world.happened == ["done", "done"]


def test_a_clock_that_is_set_forward_lets_nobody_repeat_what_is_still_under_way_here(shop: Shop) -> None:
    looks: list[float | None] = []

    def set_the_clock_forward() -> None:
        shop.let_pass()
        looks.extend(unknown(shop.do).look_again_s for _ in range(2))

    late = meanwhile(shop, set_the_clock_forward)
    late()

    assert shop.do() is not None
    assert looks == [pytest.approx(5, rel=0.2)] * 2
    assert shop.world.happened == ["done"]


@pytest.mark.parametrize("step_s", [-10 * PAUSE_S, 10 * PAUSE_S], ids=["back", "forward"])
def test_a_clock_that_is_set_while_an_effect_is_under_way_changes_no_pause(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    def act() -> None:
        monkeypatch.setattr(stores.ledger, "now_us", lambda: now_us() + int(step_s * 1e6))
        raise OutcomeUnknownError

    first = unknown(lambda: shop.do(act=act)).look_again_s
    second = unknown(shop.do).look_again_s

    assert first == pytest.approx(PAUSE_S, rel=0.1)
    assert second == pytest.approx(5, rel=0.2)
    assert shop.world.happened == []


def test_an_effect_that_was_refused_leaves_no_trace_and_may_be_tried_at_once(shop: Shop) -> None:
    with pytest.raises(NotDoneError):
        shop.do("refused")
    before = (shop.states(), shop.notes())
    shop.do()

    assert before == ({}, [])
    assert (shop.states(), shop.notes()) == ({"done": "done"}, ["done"])


def test_a_refused_repetition_says_nothing_about_the_first_try(shop: Shop) -> None:
    unknown(lambda: shop.do("lost"))
    shop.let_pass()
    with pytest.raises(NotDoneError):
        shop.do("refused")

    assert shop.states() == {"done": "begun"}
    shop.do()  # and the pause need not be waited for again
    assert shop.states() == {"done": "done"}


@pytest.mark.parametrize("outcome", ["unheard", "lost", "killed"])
def test_an_effect_that_may_have_happened_is_undone_and_never_tried_again(shop: Shop, outcome: Outcome) -> None:
    with pytest.raises((OutcomeUnknownError, KilledError)):
        shop.do(outcome)
    happened = list(shop.world.happened)

    assert shop.undo() is not None
    shop.let_pass()
    with pytest.raises(SupersededError):
        shop.do()
    assert shop.undo() is not None

    assert shop.world.happened == [*happened, "undone"]
    assert [(record.effect, record.certain) for record in read_effects(shop.url)] == [("done", False), ("undone", True)]


def test_an_effect_is_not_tried_again_when_its_undoing_was_refused_or_not_heard_of(shop: Shop) -> None:
    unknown(lambda: shop.do("lost"))
    for outcome, raised in (("refused", NotDoneError), ("lost", OutcomeUnknownError)):
        with pytest.raises(raised):
            shop.undo(outcome)  # type: ignore[arg-type] # one of them
        shop.let_pass()
        with pytest.raises(SupersededError):
            shop.do()

    assert shop.world.happened == []
    assert shop.states() == {"done": "possible", "undone": "begun"}


def test_what_is_being_undone_is_not_answered_as_done(shop: Shop) -> None:
    shop.do()
    unknown(lambda: shop.undo("unheard"))

    with pytest.raises(SupersededError):
        shop.do()


def meanwhile(shop: Shop, do: Callable[[], object]) -> Callable[[], SaleReversed]:
    """Begin the effect, do something while it is under way, and then let it come back, done; answers its result."""
    under_way, goes_on = Event(), Event()

    def act() -> None:
        under_way.set()
        assert goes_on.wait(30)
        shop.world.do("done", "done")

    with ThreadPoolExecutor(1) as thread:
        late = thread.submit(shop.do, act=act)
        assert under_way.wait(30)
        try:
            do()
        finally:
            goes_on.set()
        return late.result


def test_who_comes_back_late_does_not_make_an_undone_effect_stand(shop: Shop) -> None:
    late = meanwhile(shop, shop.undo)

    with pytest.raises(SupersededError, match="cancelled while done was under way"):
        late()
    with pytest.raises(SupersededError):
        shop.do()
    assert shop.states() == {"done": "possible", "undone": "done"}


def test_who_comes_back_late_is_answered_what_another_process_has_recorded(shop: Shop, tmp_path: Path) -> None:
    def take_over() -> None:
        shop.let_pass()
        Shop(tmp_path).do()

    late = meanwhile(shop, take_over)

    assert late() == shop.do()
    assert shop.states() == {"done": "done"}


def test_who_comes_back_late_records_nothing_for_the_order_that_has_the_id_since(shop: Shop) -> None:
    def give_the_id_away() -> None:
        shop.undo()
        shop.ledger.let_go("saga", "1", "test", "a")
        way = replace(
            shop.way(FORWARD, lambda: shop.world.do("done", "lost")),
            note=lambda _: SaleReversed(order_id="1", total_pence=8),
        )
        unknown(lambda: shop.ledger.perform(FORWARD, way, SaleReversed, content="b", undone_by="undone"))

    late = meanwhile(shop, give_the_id_away)

    with pytest.raises(SupersededError):
        late()
    unknown(lambda: shop.do(content="b"))  # still begun


def test_a_rehearsal_notes_nothing_and_does_nothing_outside(shop: Shop) -> None:
    shop.do(dry=True)

    assert (shop.world.happened, shop.states(), shop.notes()) == ([], {}, [])


def test_a_refused_order_s_effect_that_may_have_happened_is_undone_and_filed(shop: Shop) -> None:
    unknown(lambda: shop.do("unheard"))
    shop.undo()
    shop.ledger.let_go("saga", "1", "test", "a")

    assert shop.undo() is not None  # asked once more
    with pytest.raises(OrderIdTakenError):
        shop.do()
    assert [record.effect for record in read_effects(shop.url, "1|a")] == ["done", "undone"]
    assert shop.world.happened == ["done", "undone"]


def test_an_outcome_that_was_unknown_before_a_refused_order_was_placed_again_stays(shop: Shop) -> None:
    unknown(lambda: shop.do("unheard"))
    way = shop.way(BACK, lambda: shop.world.do("undone", "done"))

    undone = shop.ledger.undo(FORWARD, BACK, way, SaleReversed, content="a", since_us=2**62)

    assert undone is None
    assert shop.states() == {"done": "begun"}


def test_a_database_of_a_version_that_knew_no_effects_outside_goes_on(shop: Shop) -> None:
    shop.do()
    with shop.ledger.engine.begin() as db:
        db.execute(text("DROP TABLE outside_tries"))

    again = Ledger(shop.url, shop.ledger._metadata)  # noqa: SLF001 - as a restart does
    shop.ledger.engine.dispose()
    shop.ledger = again

    shop.do()
    assert shop.undo() is not None
    assert shop.world.happened == ["done", "undone"]


# A real SIGKILL, between any two steps

Moment = Literal["commit 1", "before", "after", "commit 2"]


def attempt_and_die(directory: Path, moment: Moment) -> None:
    """In a process of its own: do the effect, and die at this moment."""
    shop = Shop(directory)
    commits = 0

    def die_at(now: str) -> None:
        if now == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def count(_db: Connection) -> None:
        nonlocal commits
        commits += 1
        die_at(f"commit {commits}")

    def act() -> None:
        die_at("before")
        (directory / "world").write_text("done")
        die_at("after")

    way = shop.way(FORWARD, act)
    event.listen(shop.ledger.engine, "commit", count)
    shop.ledger.perform(FORWARD, way, SaleReversed, content="a", undone_by="undone")


@pytest.mark.parametrize("moment", ["commit 1", "before", "after", "commit 2"])
def test_killed_between_any_two_steps_it_is_undone_or_repeated_and_never_both(tmp_path: Path, moment: Moment) -> None:
    # given an attempt that was killed
    killed = tmp_path / "killed"
    killed.mkdir()
    dying = multiprocessing.get_context("fork").Process(target=attempt_and_die, args=(killed, moment))
    dying.start()
    dying.join(30)
    was_begun = moment != "commit 1"
    assert dying.exitcode == -signal.SIGKILL
    assert (killed / "world").exists() is (moment in {"after", "commit 2"})

    # when one lab does it again, and another one undoes it
    redone, undone = (Shop(shutil.copytree(killed, tmp_path / name)) for name in ("redone", "undone"))
    if was_begun:
        unknown(redone.do)
        redone.let_pass()
    redone.do()
    fact = undone.undo()

    # then it is done in the one, and in the other it is undone, if it was begun, and not done any more
    assert (redone.world.happened, redone.states()) == (["done"], {"done": "done"})
    assert (fact is not None) is was_begun
    with pytest.raises(SupersededError):
        undone.do()
    assert undone.world.happened == (["undone"] if was_begun else [])
    assert undone.states() == ({"done": "possible", "undone": "done"} if was_begun else {"done": "closed"})


# Anything in any sequence

Call = tuple[Literal["do", "undo", "rehearse", "wait", "let go"], Outcome]
CALLS = st.tuples(st.sampled_from(["do", "do", "undo", "rehearse", "wait", "let go"]), st.sampled_from(OUTCOMES))


@dataclass
class Key:
    """What a key's state has to be, by a model of it."""

    state: Literal["free", "begun", "done", "closed", "possible"] = "free"
    waited: bool = False
    """Whether an effect that was begun may be tried again."""

    def attempt(self, outcome: Outcome) -> bool:
        """Attempt the effect; tells whether the world was asked."""
        if self.state == "done" or (self.state == "begun" and not self.waited):
            return False
        if outcome == "done":
            self.state = "done"
        elif outcome != "refused":
            self.state, self.waited = "begun", False
        return True


class Model:
    """The effect and its undoing, and what the world should have seen of them."""

    def __init__(self) -> None:
        self.forward, self.back = Key(), Key()
        self.let_go = False
        self.happened: list[str] = []

    def call(self, what: str, outcome: Outcome) -> None:
        if what == "wait":
            self.forward.waited = self.back.waited = True
        elif self.let_go:
            return
        elif what == "do":
            if self.back.state == "free" and self.forward.state not in {"closed", "possible"}:
                self._attempt(self.forward, "done", outcome)
        elif what in {"undo", "let go"}:
            after = {"free": "closed", "begun": "possible"}
            self.forward.state = after.get(self.forward.state, self.forward.state)  # type: ignore[assignment]
            if self.forward.state != "closed":
                self._attempt(self.back, "undone", outcome)
            if what == "let go":
                self.let_go = self.forward.state == "closed" or self.back.state == "done"

    def _attempt(self, key: Key, what: str, outcome: Outcome) -> None:
        if key.attempt(outcome) and outcome in {"done", "unheard", "killed"}:
            self.happened.append(what)


@settings(max_examples=100, deadline=None)
@given(st.lists(CALLS, max_size=10))
def test_effects_outside_are_those_of_a_simple_model(calls: list[Call]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as directory:
        shop = Shop(Path(directory))
        for what, outcome in calls:
            try:
                if what == "wait":
                    shop.let_pass()
                elif what in {"do", "rehearse"}:
                    shop.do(outcome, dry=what == "rehearse")
                else:
                    shop.undo(outcome)
                    if what == "let go":
                        shop.ledger.let_go("saga", "1", "test", "a")
            except (NotDoneError, OutcomeUnknownError, KilledError, SupersededError, OrderIdTakenError):
                pass
            model.call(what, outcome)
        states, notes = shop.states(), shop.notes()
        shop.ledger.engine.dispose()

    assert shop.world.happened == model.happened
    expected = {"done": model.forward.state, "undone": model.back.state}
    assert states == {effect: state for effect, state in expected.items() if state != "free"}
    assert notes == sorted(effect for effect, state in states.items() if state != "closed")
