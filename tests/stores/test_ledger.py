"""The ledger against a model of it: whatever is called in whatever sequence, each effect happens once."""

import tempfile
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, MetaData

from events.catalogue import SaleReversed
from runtime.errors import SupersededError
from stores.ledger import EffectKey, Ledger, effects_table, read_effects

Call = tuple[Literal["do", "undo", "rehearse", "crash"], int]


def key(order: int, effect: str) -> EffectKey:
    return EffectKey("saga", str(order), "test", effect)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["do", "undo", "rehearse", "crash"]), st.integers(0, 2)), max_size=12))
def test_effects_are_those_of_a_simple_model(calls: list[Call]) -> None:
    metadata = MetaData()
    effects_table(metadata)
    states: dict[int, str] = {}
    performed: dict[tuple[int, str], int] = {}
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'test.db'}"
        ledger = Ledger(url, metadata)
        for what, order in calls:

            def act(_db: Connection, order: int = order, what: str = what) -> SaleReversed:
                if what == "crash":
                    raise RuntimeError("crashed in the middle")
                count = performed[order, what] = performed.get((order, what), 0) + 1
                return SaleReversed(order_id=str(order), total_pence=count)

            if what == "undo":
                answer = ledger.undo(key(order, "done"), key(order, "undone"), act, SaleReversed)
                assert (answer is None) is (states.get(order) in {None, "closed"})
                states[order] = {None: "closed", "closed": "closed"}.get(states.get(order), "undone")
                continue
            try:
                ledger.perform(key(order, "done"), act, SaleReversed, rehearsal=what == "rehearse")
                if what != "rehearse":
                    states[order] = states.get(order, "done")
            except SupersededError:
                assert states[order] == "closed"
            except RuntimeError:
                assert order not in states
        ledger.engine.dispose()

        effects = {(record.order_id, record.effect) for record in read_effects(url)}
    expected = {(str(order), "done") for order, state in states.items() if state in {"done", "undone"}}
    expected |= {(str(order), "undone") for order, state in states.items() if state == "undone"}
    assert effects == expected
    assert all(count == 1 for (_, what), count in performed.items() if what in {"do", "undo"})
