"""What the dice say, at the one place where effects are performed: whatever befalls one, it happens once."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, MetaData

from events.catalogue import SaleReversed
from faults.dice import AcknowledgementLostError, Dice, PermanentFaultError, TransientFaultError
from faults.plan import FaultPlan
from stores.ledger import EffectKey, Ledger, effects_table, read_effects
from stores.outside import Outside

DONE, UNDONE = (EffectKey("saga", "1", "test", effect) for effect in ("done", "undone"))


def dice(action: str, **faults: Any) -> Dice:  # noqa: ANN401 - fields of a model
    return Dice(plan=FaultPlan.model_validate({"name": "test", "services": {"test": {action: faults}}}), seed=1)


class Book:
    """A ledger of its own, which counts what is really done."""

    def __init__(self, directory: Path, *, outside: bool = False) -> None:
        metadata = MetaData()
        effects_table(metadata)
        self.url = f"sqlite:///{directory / 'test.db'}"
        self.ledger = Ledger(self.url, metadata)
        self.acts = 0
        self._way: Callable[[Connection], SaleReversed] | Outside[SaleReversed] = self._act
        if outside:
            self._way = Outside(
                note=lambda _: SaleReversed(order_id="1", total_pence=1),
                act=self._act_outside,
                withdraw=lambda _db, _fact: None,
                pause_s=lambda _: 0,
            )

    def _act(self, _: object) -> SaleReversed:
        self.acts += 1
        return SaleReversed(order_id="1", total_pence=self.acts)

    def _act_outside(self, _: SaleReversed) -> None:
        self.acts += 1

    def do(self, thrown: Dice | None = None) -> SaleReversed:
        return self.ledger.perform(DONE, self._way, SaleReversed, content="a", undone_by="undone", dice=thrown)

    def undo(self, thrown: Dice | None = None) -> SaleReversed | None:
        return self.ledger.undo(DONE, UNDONE, self._way, SaleReversed, content="a", dice=thrown)

    def effects(self) -> list[str]:
        return [record.effect for record in read_effects(self.url)]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def test_a_transient_fault_ends_after_its_attempts_and_a_restart_of_the_service_forgets_none(tmp_path: Path) -> None:
    thrown = dice("done", transient=1, transient_attempts=2)

    for _ in range(2):
        with pytest.raises(TransientFaultError):
            Book(tmp_path).do(thrown)
    Book(tmp_path).do(thrown)

    assert Book(tmp_path).effects() == ["done"]


def test_a_lost_acknowledgement_is_lost_once_and_the_effect_is_there(book: Book) -> None:
    with pytest.raises(AcknowledgementLostError):
        book.do(dice("done", ack_lost=1))
    before = book.effects()
    book.do(dice("done", ack_lost=1))

    assert before == book.effects() == ["done"]
    assert book.acts == 1


@pytest.mark.parametrize(("kind", "effects"), [("permanent", []), ("permanent_after", ["done"])])
def test_a_permanent_fault_stays_whatever_the_attempt(book: Book, kind: str, effects: list[str]) -> None:
    for _ in range(3):
        with pytest.raises(PermanentFaultError):
            book.do(dice("done", **{kind: 1}))

    assert book.effects() == effects


def test_what_is_delivered_twice_is_done_once(book: Book) -> None:
    assert book.do(dice("done", twice=1)) == book.do(None)
    assert book.acts == 1


def test_a_redrive_without_dice_does_what_they_kept_from_being_done(book: Book) -> None:
    with pytest.raises(PermanentFaultError):
        book.do(dice("done", permanent=1))
    book.do(None)

    assert book.effects() == ["done"]


def test_undoing_what_never_happened_is_befallen_by_nothing(book: Book) -> None:
    assert book.undo(dice("undone", permanent=1)) is None


def test_an_undoing_that_fails_leaves_the_effect_to_be_undone_later(book: Book) -> None:
    book.do()
    with pytest.raises(PermanentFaultError):
        book.undo(dice("undone", permanent=1))
    before = book.effects()
    book.undo(None)

    assert (before, book.effects()) == (["done"], ["done", "undone"])


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries({kind: st.booleans() for kind in ("transient", "ack_lost", "twice", "permanent_after")}),
    st.lists(st.sampled_from(["do", "undo"]), max_size=8),
    st.booleans(),
)
def test_whatever_befalls_it_an_effect_happens_at_most_once(
    faults: dict[str, bool], calls: list[str], outside: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        book = Book(Path(directory), outside=outside)
        thrown = dice("done", **{kind: int(hit) for kind, hit in faults.items()})
        for call in calls:
            with contextlib.suppress(Exception):
                book.do(thrown) if call == "do" else book.undo(dice("undone", **dict.fromkeys(faults, 1)))
        effects = book.effects()
        book.ledger.engine.dispose()

    assert sorted(effects) in ([], ["done"], ["done", "undone"])
    assert book.acts == len(effects)
