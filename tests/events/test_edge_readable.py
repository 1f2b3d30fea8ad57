"""What is accepted can be read back by whatever reads it: a signal, what a run starts with, a handler's answer."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter

from events.bus import BusStart
from events.edge import cancel_requested, order_placed, parse_event
from events.envelope import Event
from events.readable import MAX_EVENT_BYTES, UnreadableEventError, prove_readable
from events.subscriptions import Reaction, RoutedEvent
from faults.dice import Dice
from faults.plan import FaultPlan
from orders.model import Order
from runtime.errors import InputError
from runtime.temporal import MAX_PAYLOAD_BYTES

EVENT: dict[str, Any] = {"specversion": "1.0", "id": "e1", "source": "/desk", "type": "tree.changed"}
CONVERTER = pydantic_data_converter.payload_converter

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
attributes = st.dictionaries(
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(),
    max_size=3,
)


def nested(levels: int, kind: str, leaf: JsonValue = 1) -> JsonValue:
    data = leaf
    for level in range(levels):
        as_list = kind == "lists" or (kind == "both" and level % 2)
        data = [data] if as_list else {"a": data}
    return data


def parsed(data: object, **more: object) -> Event:
    return parse_event(json.dumps({**more, **EVENT, "data": data}).encode(), where="my.json")


def event_of(data: Any) -> Event:  # noqa: ANN401 - what a handler's author may put there
    """An event that nobody has checked, as the code of a subscriber may make one."""
    return Event.model_construct(
        id="f1", source="test", type="leaf.fallen", subject="k", time=datetime.now(UTC), data=data
    )


def read_back(event: Event) -> list[Event]:
    """The event as each of those that read it sees it."""
    routed = RoutedEvent(event=event, recipients=())
    signal = CONVERTER.from_payload(CONVERTER.to_payload(routed), RoutedEvent)
    start = CONVERTER.from_payload(CONVERTER.to_payload(BusStart(pending=[routed])), BusStart)
    answer = Reaction.model_validate(CONVERTER.from_payload(CONVERTER.to_payload(Reaction(events=(routed,)))))
    handed = CONVERTER.from_payload(CONVERTER.to_payload(event), Event)
    return [signal.event, start.pending[0].event, answer.events[0].event, handed]


def same(one: JsonValue, other: JsonValue) -> bool:
    """Equal and written alike: 1, 1.0 and true are equal in Python, and no other sees them so."""
    return one == other and json.dumps(one) == json.dumps(other)


@given(documents, attributes)
def test_any_event_that_is_accepted_is_read_back_as_it_was_told(data: JsonValue, more: dict[str, object]) -> None:
    try:
        event = parsed(data, **more)
    except InputError:
        return

    assert same(event.data, data)
    for again in read_back(event):
        assert again == event
        assert same(again.data, data)
        assert again.digest == event.digest


@pytest.mark.parametrize("kind", ["lists", "objects", "both"])
def test_as_deep_as_an_event_may_be_it_is_read_back_and_one_level_more_is_refused(kind: str) -> None:
    deepest = max(levels for levels in range(150, 260) if is_accepted(nested(levels, kind)))

    assert all(again.data == nested(deepest, kind) for again in read_back(parsed(nested(deepest, kind))))
    assert all(is_accepted(nested(levels, kind)) for levels in (1, 100, deepest - 1))
    with pytest.raises(ValidationError, match=r"recursion limit|nested too deeply"):
        read_back(event_of(nested(deepest + 1, kind)))
    with pytest.raises(InputError, match=r"my\.json is nested too deeply"):
        parsed(nested(deepest + 1, kind))


def is_accepted(data: JsonValue) -> bool:
    try:
        parsed(data)
    except InputError:
        return False
    return True


@pytest.mark.parametrize("levels", [199, 200, 201, 255, 1_000, 50_000])
def test_an_event_that_is_nested_far_too_deeply_is_refused_in_one_line(levels: int) -> None:
    text = json.dumps({**EVENT, "data": "<data>"}).replace('"<data>"', "[" * levels + "]" * levels)

    with pytest.raises(InputError, match="nested too deeply"):
        parse_event(text.encode(), where="my.json")


@pytest.mark.parametrize("number", [10**30, -(10**300), 2**64, 1e308, 5e-324, -0.0, 1.0, 0.1, 1e16, 9007199254740993])
def test_a_number_that_json_can_hold_is_kept_to_the_last_digit(number: float) -> None:
    assert all(repr(again.data) == repr(number) for again in read_back(parsed(number)))


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1E309", "[1e999]", '{"a": 1e400}', "1e-400", "9" * 4_500])
def test_a_number_that_would_become_another_one_is_refused(number: str) -> None:
    text = json.dumps({**EVENT, "data": "<data>"}).replace('"<data>"', number)

    with pytest.raises(InputError, match=r"beyond what a double can hold|out of range"):
        parse_event(text.encode(), where="my.json")


@pytest.mark.parametrize("text", ["\0", "\x1b[2J", "\uffff", "\U0010ffff", "é", "e\u0301", "\u202e"], ids=ascii)
def test_data_may_hold_any_text_of_unicode(text: str) -> None:
    assert all(again.data == {text: text} for again in read_back(parsed({text: text})))


def test_a_text_of_numbers_that_grow_as_they_are_written_is_measured_as_it_will_be_written() -> None:
    numbers = ",".join(["1e15"] * 20_000)
    text = json.dumps({**EVENT, "data": "<data>"}).replace('"<data>"', f"[{numbers}]")

    assert len(text) < MAX_EVENT_BYTES
    with pytest.raises(InputError, match="bytes; an event can have 131,072"):
        parse_event(text.encode(), where="my.json")


def test_the_blanks_of_a_document_count_for_nothing() -> None:
    text = json.dumps({**EVENT, "data": ["x"] * 10_000}, indent=12)

    assert len(text) > MAX_EVENT_BYTES
    assert parse_event(text.encode(), where="my.json").data == ["x"] * 10_000


@pytest.mark.parametrize("room", [0, 1])
def test_an_event_may_have_exactly_as_many_bytes_as_is_said(room: int) -> None:
    empty = len(CONVERTER.to_payload({"events": [{"event": parsed("")}]}).data)
    longest = MAX_EVENT_BYTES - empty

    prove_readable(parsed("").model_copy(update={"data": "x" * (longest - room)}))
    with pytest.raises(UnreadableEventError, match="bytes"):
        prove_readable(parsed("").model_copy(update={"data": "x" * (longest + 1)}))


# What handlers answer


UNREADABLE = [
    (nested(197, "lists"), "nested too deeply"),
    (nested(252, "objects"), "nested too deeply"),
    (float("nan"), "data holds what JSON can't"),
    ({"a": [float("inf")]}, "data holds what JSON can't"),
    ("\ud800", "can't be read back"),
    ("x" * MAX_EVENT_BYTES, "bytes; an event can have"),
    (object(), "can't be read back"),
]


@pytest.mark.parametrize(("data", "told"), UNREADABLE, ids=lambda given: ascii(given)[:20])
def test_an_answer_that_the_bus_could_not_read_fails_as_it_is_made(data: object, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Reaction(events=(RoutedEvent.model_construct(event=event_of(data), recipients=()),))


def test_an_answer_that_is_larger_than_a_message_fails_as_it_is_made() -> None:
    events = [
        RoutedEvent(event=event_of("x" * 100_000).model_copy(update={"id": f"f{number}"}), recipients=())
        for number in range(MAX_PAYLOAD_BYTES // 100_000 + 1)
    ]

    assert len(Reaction(events=tuple(events[:20])).events) == 20
    with pytest.raises(ValidationError, match="an answer can have"):
        Reaction(events=tuple(events))


# What the shop tells


def test_the_largest_order_that_is_taken_is_read_back(order: Order) -> None:
    size = len(order_placed(order.model_copy(update={"lines": order.lines[:1] * 2})).model_dump_json())
    size -= len(order_placed(order.model_copy(update={"lines": order.lines[:1]})).model_dump_json())
    lines = MAX_EVENT_BYTES // size - 10

    event = order_placed(order.model_copy(update={"lines": order.lines[:1] * lines}))

    assert all(again == event for again in read_back(event))
    with pytest.raises(InputError, match=r"order .* has .* bytes"):
        order_placed(order.model_copy(update={"lines": order.lines[:1] * (lines + 20)}))


def test_an_order_is_refused_that_has_no_room_for_its_dice(order: Order) -> None:
    actions = {f"effect-{number}": {"service_time_ms": 1} for number in range(4_000)}
    plan = FaultPlan.model_validate({"name": "long", "services": {"shipping": actions}})

    with pytest.raises(InputError, match="bytes"):
        order_placed(order, dice=Dice(plan=plan, seed=1))
    with pytest.raises(InputError, match="bytes"):
        cancel_requested(order.order_id, dice=Dice(plan=plan, seed=1))
