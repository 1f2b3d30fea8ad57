"""The ledger against a model of it: whatever is called in whatever sequence, each effect happens once."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, MetaData

from events.catalogue import SaleReversed
from runtime.errors import OrderIdTakenError, SupersededError
from stores.ledger import EffectKey, Ledger, effects_table, read_effects
from stores.outside import Outside

What = Literal["do", "undo", "rehearse", "crash", "close", "refuse"]
Content = Literal["a", "b"]
Call = tuple[What, int, Content, bool]
"""What, of which of the orders, of which content, and whether an undoing says which content it means."""

CALLS = st.tuples(
    st.sampled_from(["do", "undo", "rehearse", "crash", "close", "refuse"]),
    st.integers(0, 1),
    st.sampled_from(["a", "b"]),
    st.booleans(),
)


def key(order: int, effect: str) -> EffectKey:
    return EffectKey("saga", str(order), "test", effect)


@dataclass
class Expected:
    """What a ledger has to know of one order id."""

    content: Content | None = None
    state: Literal["done", "undone", "closed"] | None = None
    closed_for: Content | None = None
    refused: dict[Content, bool] = field(default_factory=dict)
    """Orders that were refused, and whether anything had been done for them."""

    def is_of_another(self, content: Content | None) -> bool:
        return content is not None and self.content not in {None, content}

    def let_go(self, content: Content) -> None:
        if self.content != content:
            return
        self.refused[content] = self.state == "undone"
        self.content = None
        if self.state == "undone" or self.closed_for == content:
            self.state = self.closed_for = None


class Driver:
    """Calls a ledger and its model, and holds the one against the other."""

    def __init__(self, ledger: Ledger, *, outside: bool = False) -> None:
        self.ledger = ledger
        self._outside = outside
        self.orders = [Expected(), Expected()]
        self.acts: dict[tuple[int, str], int] = {}

    def call(self, what: What, order: int, content: Content, says: bool) -> None:
        model = self.orders[order]
        if what == "undo":
            self._undo(model, order, content if says else None)
        elif what == "refuse":
            self._undo(model, order, content)
            self.ledger.let_go("saga", str(order), "test", content)
            model.let_go(content)
        elif what == "close":
            with self.ledger.engine.begin() as db:
                assert self.ledger.close(db, key(order, "done")) is (model.state in {None, "closed"})
            model.state = model.state or "closed"
        else:
            self._perform(what, model, order, content)

    def _undo(self, model: Expected, order: int, content: Content | None) -> None:
        undone = self.ledger.undo(
            key(order, "done"),
            key(order, "undone"),
            self._way(self._act(order, "undone")),
            SaleReversed,
            content=content,
        )
        if content in model.refused:
            assert (undone is not None) is model.refused[content]
            return
        if model.is_of_another(content):
            assert undone is None
            return
        if model.state is None:
            model.closed_for = content
        assert (undone is None) is (model.state in {None, "closed"})
        model.content = model.content or content
        model.state = "undone" if model.state in {"done", "undone"} else "closed"

    def _perform(self, what: What, model: Expected, order: int, content: Content) -> None:
        act = self._crash if what == "crash" else self._act(order, "rehearsed" if what == "rehearse" else "done")
        way = self._way(act)

        def perform() -> None:
            self.ledger.perform(
                key(order, "done"), way, SaleReversed, content=content, undone_by="undone", rehearsal=what == "rehearse"
            )

        if content in model.refused or model.is_of_another(content):
            with pytest.raises(OrderIdTakenError):
                perform()
        elif model.state in {"closed", "undone"}:
            with pytest.raises(SupersededError):
                perform()
        elif what == "crash" and model.state is None:
            with pytest.raises(RuntimeError):
                perform()
            model.content = content  # it was met
        else:
            perform()
            if what == "do":
                model.content, model.state = content, "done"

    def _way(
        self, act: Callable[[Connection], SaleReversed]
    ) -> Callable[[Connection], SaleReversed] | Outside[SaleReversed]:
        """In the database; or outside of it, where all goes well (`test_outside.py` is about all else)."""
        if not self._outside:
            return act
        return Outside(note=act, act=lambda _: None, withdraw=lambda _db, _fact: None, pause_s=lambda _: 0)

    def _act(self, order: int, what: str) -> Callable[[Connection], SaleReversed]:
        def act(_db: Connection) -> SaleReversed:
            self.acts[order, what] = self.acts.get((order, what), 0) + 1
            return SaleReversed(order_id=str(order), total_pence=self.acts[order, what])

        return act

    @staticmethod
    def _crash(_db: Connection) -> SaleReversed:
        raise RuntimeError("crashed in the middle")


@settings(max_examples=100, deadline=None)
@given(st.lists(CALLS, max_size=12), st.booleans())
def test_effects_are_those_of_a_simple_model(calls: list[Call], outside: bool) -> None:
    metadata = MetaData()
    effects_table(metadata)
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'test.db'}"
        driver = Driver(Ledger(url, metadata), outside=outside)
        for call in calls:
            driver.call(*call)
        driver.ledger.engine.dispose()
        effects = {(record.order_id, record.effect) for record in read_effects(url)}

    states: list[tuple[str, str | None]] = [
        (str(number), expected.state) for number, expected in enumerate(driver.orders)
    ]
    states += [
        (f"{number}|{content}", "undone")
        for number, expected in enumerate(driver.orders)
        for content, was_done in expected.refused.items()
        if was_done
    ]
    done = {(order, "done") for order, state in states if state in {"done", "undone"}}
    assert effects == done | {(order, "undone") for order, state in states if state == "undone"}
    lives = [sum(expected.refused.values()) + 1 for expected in driver.orders]
    assert all(count <= lives[order] for (order, what), count in driver.acts.items() if what != "rehearsed")


def test_a_database_made_before_there_were_contents_is_given_their_table(tmp_path: Path) -> None:
    metadata = MetaData()
    effects_table(metadata)
    url = f"sqlite:///{tmp_path / 'test.db'}"
    driver = Driver(Ledger(url, metadata))
    driver.call("do", 0, "a", says=True)
    with driver.ledger.engine.begin() as db:
        db.exec_driver_sql("DROP TABLE order_contents")
    driver.ledger.engine.dispose()

    driver.ledger = Ledger(url, metadata)
    driver.call("do", 0, "a", says=True)
    driver.call("do", 0, "b", says=True)
    driver.ledger.engine.dispose()

    assert [record.effect for record in read_effects(url)] == ["done"]
