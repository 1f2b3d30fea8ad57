"""Event patterns: what matches, and what is refused instead of being ignored."""

import operator
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from events.patterns import Pattern

EVENT: dict[str, Any] = {
    "type": "order.placed",
    "source": "orderlab/shop",
    "data": {
        "country": "United Kingdom",
        "customer_id": "17850",
        "total": 139.5,
        "gift": True,
        "note": None,
        "codes": ["85123A", "71053"],
        "lines": [{"code": "85123A", "quantity": 6}, {"code": "71053", "quantity": 8}],
    },
}

MATCHING: list[dict[str, Any]] = [
    {"type": ["order.placed"]},
    {"type": ["order.cancelled", "order.placed"]},
    {"type": ["order.placed"], "data": {"gift": [True]}},
    {"data": {"note": [None]}},
    {"data": {"total": [139.5]}},
    {"data": {"codes": ["71053"]}},
    {"data": {"lines": {"quantity": [8]}}},
    {"type": [{"prefix": "order."}]},
    {"type": [{"suffix": ".placed"}]},
    {"data": {"country": [{"anything-but": ["France", "Germany"]}]}},
    {"data": {"country": [{"anything-but": {"prefix": "Fr"}}]}},
    {"data": {"total": [{"anything-but": 5}]}},
    {"data": {"total": [{"numeric": [">", 100, "<=", 139.5]}]}},
    {"data": {"total": [{"numeric": ["=", 139.5]}]}},
    {"data": {"customer_id": [{"exists": True}]}},
    {"data": {"coupon": [{"exists": False}]}},
    {"payment": {"card": [{"exists": False}]}},
    {"data": {"coupon": ["X", {"exists": False}]}},
    {"$or": [{"type": ["order.cancelled"]}, {"data": {"gift": [True]}}]},
    {"data": {"$or": [{"gift": [False]}, {"country": [{"prefix": "United"}]}]}},
]

OTHER: list[dict[str, Any]] = [
    {"type": ["order.cancelled"]},
    {"type": ["Order.Placed"]},
    {"type": ["order.placed"], "data": {"gift": [False]}},
    {"data": {"gift": [1]}},
    {"data": {"customer_id": [17850]}},
    {"data": {"note": ["null"]}},
    {"data": {"coupon": [None]}},
    {"data": {"coupon": [{"anything-but": "X"}]}},
    {"data": {"country": [{"anything-but": ["United Kingdom"]}]}},
    {"data": {"country": [{"anything-but": {"suffix": "Kingdom"}}]}},
    {"data": {"total": [{"prefix": "139"}]}},
    {"data": {"customer_id": [{"numeric": [">", 0]}]}},
    {"data": {"gift": [{"numeric": ["=", 1]}]}},
    {"data": {"total": [{"numeric": [">", 139.5]}]}},
    {"data": {"coupon": [{"exists": True}]}},
    {"data": [{"exists": True}]},
    {"data": {"customer_id": [{"exists": False}]}},
    {"data": {"codes": ["85123"]}},
    {"type": {"name": ["order.placed"]}},
    {"$or": [{"type": ["order.cancelled"]}, {"data": {"gift": [False]}}]},
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "empty"),
    ({"type": "order.placed"}, "type must be a list"),
    ({"type": []}, "type is an empty list"),
    ({"data": {}}, "data is empty"),
    ({"type": [["order.placed"]]}, "list inside a list"),
    ({"type": [{"wildcard": "order.*"}]}, "'wildcard' is not supported"),
    ({"type": [{"equals-ignore-case": "x"}]}, "'equals-ignore-case' is not supported"),
    ({"data": {"ip": [{"cidr": "10.0.0.0/24"}]}}, "data.ip: the operator 'cidr' is not supported"),
    ({"type": [{"Prefix": "order"}]}, "'Prefix' is not supported"),
    ({"type": [{"prefix": "a", "suffix": "b"}]}, "one operator per object"),
    ({"type": [{}]}, "one operator per object"),
    ({"type": [{"prefix": ""}]}, "prefix takes a text"),
    ({"type": [{"suffix": 5}]}, "suffix takes a text"),
    ({"type": [{"exists": "yes"}]}, "exists takes true or false"),
    ({"type": [{"anything-but": []}]}, "anything-but takes"),
    ({"type": [{"anything-but": [None]}]}, "anything-but takes"),
    ({"type": [{"anything-but": {"numeric": ["=", 1]}}]}, "anything-but takes"),
    ({"total": [{"numeric": []}]}, "numeric takes"),
    ({"total": [{"numeric": [">"]}]}, "numeric takes"),
    ({"total": [{"numeric": [">", "5"]}]}, "numeric takes"),
    ({"total": [{"numeric": ["!=", 5]}]}, "numeric takes"),
    ({"total": [{"numeric": [">", True]}]}, "numeric takes"),
    ({"$or": [{"type": ["a"]}]}, "two or more patterns"),
    ({"$or": {"type": ["a"]}}, "two or more patterns"),
    ({"$or": [{"type": ["a"]}, ["b"]]}, "two or more patterns"),
]

scalars = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8)
names = st.sampled_from(["a", "b", "c", "data", "type"])
events = st.dictionaries(
    names,
    st.recursive(scalars | st.lists(scalars, min_size=1, max_size=3), lambda inner: st.dictionaries(names, inner)),
)


@pytest.mark.parametrize("pattern", MATCHING, ids=str)
def test_an_event_that_fits_matches(pattern: dict[str, Any]) -> None:
    assert Pattern.parse(pattern).matches(EVENT)


@pytest.mark.parametrize("pattern", OTHER, ids=str)
def test_an_event_that_does_not_fit_does_not_match(pattern: dict[str, Any]) -> None:
    assert not Pattern.parse(pattern).matches(EVENT)


@pytest.mark.parametrize(("pattern", "told"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_not_supported_is_refused_with_its_place(pattern: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(told)):
        Pattern.parse(pattern)


def as_pattern(event: dict[str, Any]) -> dict[str, Any]:
    """The pattern that asks for every leaf of an event."""
    return {
        name: (as_pattern(value) or [{"exists": False}])
        if isinstance(value, dict)
        else (value if isinstance(value, list) else [value])
        for name, value in event.items()
    }


@given(events.filter(bool))
def test_every_event_matches_the_pattern_made_of_its_own_leaves(event: dict[str, Any]) -> None:
    assert Pattern.parse(as_pattern(event)).matches(event)


@given(st.text() | st.integers(), st.text(max_size=3) | st.integers(-3, 3))
def test_anything_but_is_the_opposite_of_exactly(value: str | int, unwanted: str | int) -> None:
    exactly = Pattern.parse({"a": [unwanted]}).matches({"a": value})
    anything_but = Pattern.parse({"a": [{"anything-but": unwanted}]}).matches({"a": value})

    assert anything_but is not exactly


@given(st.lists(st.sampled_from(MATCHING + OTHER), min_size=2, max_size=5))
def test_or_is_any_and_two_fields_are_all(patterns: list[dict[str, Any]]) -> None:
    each = [Pattern.parse(pattern).matches(EVENT) for pattern in patterns]

    assert Pattern.parse({"$or": patterns}).matches(EVENT) is any(each)
    one, two = patterns[:2]
    if not set(one) & set(two):
        assert Pattern.parse({**one, **two}).matches(EVENT) is all(each[:2])


@given(st.text(), st.text(min_size=1, max_size=3))
def test_prefix_and_suffix_are_those_of_texts(value: str, affix: str) -> None:
    assert Pattern.parse({"a": [{"prefix": affix}]}).matches({"a": value}) is value.startswith(affix)
    assert Pattern.parse({"a": [{"suffix": affix}]}).matches({"a": value}) is value.endswith(affix)


SIGNS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@given(st.integers(-5, 5) | st.floats(-5, 5), st.sampled_from(list(SIGNS)), st.integers(-5, 5))
def test_numeric_compares_as_numbers_do(value: float, sign: str, bound: int) -> None:
    assert Pattern.parse({"a": [{"numeric": [sign, bound]}]}).matches({"a": value}) is SIGNS[sign](value, bound)


@given(events.filter(bool), st.dictionaries(st.sampled_from(["x", "y"]), scalars, min_size=1))
def test_what_a_pattern_does_not_name_changes_nothing(event: dict[str, Any], more: dict[str, Any]) -> None:
    pattern = Pattern.parse(as_pattern(event))

    assert pattern.matches({**event, **more}) is pattern.matches(event)


@given(st.text().filter(lambda name: name not in {"prefix", "suffix", "anything-but", "numeric", "exists"}))
def test_an_operator_of_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not supported"):
        Pattern.parse({"a": [{name: "x"}]})


def test_a_pattern_in_a_model_is_checked_and_written_as_it_was() -> None:
    class Wish(BaseModel):
        pattern: Pattern

    raw = {"type": [{"prefix": "order."}]}

    assert Wish.model_validate({"pattern": raw}).model_dump() == {"pattern": raw}
    assert Wish.model_validate_json(Wish.model_validate({"pattern": raw}).model_dump_json()).pattern.matches(EVENT)
    with pytest.raises(ValidationError, match="wildcard"):
        Wish.model_validate({"pattern": {"type": [{"wildcard": "x"}]}})
