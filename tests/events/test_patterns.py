"""Event patterns: what matches, and what is refused instead of being ignored."""

import operator
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from events.patterns import Pattern, PatternError

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
        "boxes": [["A1"], ["B2", []]],
        "returns": [],
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
    {"data": {"boxes": ["B2"]}},
    {"data": {"lines": {"quantity": [8]}}},
    {"data": {"lines": {"code": ["71053"], "quantity": [8]}}},
    {"type": [{"prefix": "order."}]},
    {"type": [{"prefix": ""}]},
    {"type": [{"suffix": ".placed"}]},
    {"data": {"country": [{"anything-but": ["France", "Germany"]}]}},
    {"data": {"country": [{"anything-but": {"prefix": "Fr"}}]}},
    {"data": {"total": [{"anything-but": 5}]}},
    {"data": {"note": [{"anything-but": "gift wrap"}]}},
    {"data": {"codes": [{"anything-but": "85123A"}]}},
    {"data": {"total": [{"numeric": [">", 100, "<=", 139.5]}]}},
    {"data": {"total": [{"numeric": ["=", 139.5]}]}},
    {"data": {"customer_id": [{"exists": True}]}},
    {"data": {"note": [{"exists": True}]}},
    {"data": {"coupon": [{"exists": False}]}},
    {"payment": {"card": [{"exists": False}]}},
    {"type": {"card": [{"exists": False}]}},
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
    {"data": {"note": [""]}},
    {"data": {"note": [{"exists": False}]}},
    {"data": {"coupon": [None]}},
    {"data": {"coupon": [{"anything-but": "X"}]}},
    {"data": {"returns": [{"anything-but": "X"}]}},
    {"data": {"country": [{"anything-but": ["United Kingdom"]}]}},
    {"data": {"country": [{"anything-but": {"suffix": "Kingdom"}}]}},
    {"data": {"total": [{"prefix": "139"}]}},
    {"data": {"total": [{"prefix": ""}]}},
    {"data": {"customer_id": [{"numeric": [">", 0]}]}},
    {"data": {"gift": [{"numeric": ["=", 1]}]}},
    {"data": {"total": [{"numeric": [">", 139.5]}]}},
    {"data": {"coupon": [{"exists": True}]}},
    {"data": {"customer_id": [{"exists": False}]}},
    {"data": {"codes": ["85123"]}},
    {"data": {"codes": [{"exists": False}]}},
    {"type": {"name": ["order.placed"]}},
    {"$or": [{"type": ["order.cancelled"]}, {"data": {"gift": [False]}}]},
    {"type": ["order.placed"], "$or": [{"source": ["elsewhere"]}, {"data": {"gift": [False]}}]},
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "the pattern is empty"),
    ({"type": "order.placed"}, "type must be a list"),
    ({"data": {"gift": True}}, "data.gift must be a list"),
    ({"type": []}, "type is an empty list"),
    ({"data": {}}, "data is empty"),
    ({"type": [["order.placed"]]}, "list inside a list"),
    ({"type": ("order.placed",)}, "type: a pattern is a JSON object"),
    ({"type": [{"Prefix": "order"}]}, "'Prefix' is not supported"),
    ({"type": [{"$or": ["a", "b"]}]}, "'$or' is not supported"),
    ({"type": [{"prefix": "a", "suffix": "b"}]}, "one operator per object"),
    ({"type": [{"exists": True, "prefix": "a"}]}, "one operator per object"),
    ({"type": [{}]}, "one operator per object"),
    ({"type": [{"prefix": None}]}, "prefix takes a text"),
    ({"type": [{"suffix": 5}]}, "suffix takes a text"),
    ({"type": [{"exists": "yes"}]}, "exists takes true or false"),
    ({"type": [{"exists": 1}]}, "exists takes true or false"),
    ({"type": [{"anything-but": []}]}, "anything-but takes"),
    ({"type": [{"anything-but": None}]}, "anything-but takes"),
    ({"type": [{"anything-but": True}]}, "anything-but takes"),
    ({"type": [{"anything-but": [None]}]}, "anything-but takes"),
    ({"type": [{"anything-but": ["a", 1]}]}, "anything-but takes"),
    ({"type": [{"anything-but": {"prefix": ""}}]}, "anything-but takes"),
    ({"type": [{"anything-but": {"prefix": "a", "suffix": "b"}}]}, "anything-but takes"),
    ({"type": [{"anything-but": {"suffix": 5}}]}, "suffix takes a text"),
    ({"type": [{"anything-but": {"numeric": ["=", 1]}}]}, "anything-but takes"),
    ({"type": [{"anything-but": {"prefix": []}}]}, "anything-but takes"),
    ({"type": [{"anything-but": {"suffix": ["a", ""]}}]}, "anything-but takes"),
    ({"type": [{"anything-but": {"exactly": "a"}}]}, "anything-but takes"),
    (
        {"type": [{"anything-but": {"equals-ignore-case": ["a", 5]}}]},
        "type: anything-but: equals-ignore-case takes a text",
    ),
    ({"type": [{"anything-but": {"wildcard": ["a*", "b**"]}}]}, "type: anything-but: wildcard takes no two * in a row"),
    ({"type": [{"anything-but": {"prefix": {"equals-ignore-case": "a"}}}]}, "type: anything-but: prefix takes a text"),
    ({"type": [{"anything-but": 10**20 + 1}]}, "anything-but takes"),
    ({"type": [{"wildcard": "a**b"}]}, "wildcard takes no two * in a row"),
    ({"type": [{"wildcard": "a\\b"}]}, "a backslash stands only before"),
    ({"type": [{"wildcard": "a\\"}]}, "a backslash stands only before"),
    ({"type": [{"wildcard": ["a*"]}]}, "wildcard takes a text"),
    ({"type": [{"equals-ignore-case": 5}]}, "equals-ignore-case takes a text"),
    ({"type": [{"prefix": {"suffix": "a"}}]}, 'prefix takes a text or {"equals-ignore-case": a text}'),
    ({"type": [{"suffix": {"equals-ignore-case": ["a"]}}]}, "suffix with equals-ignore-case takes a text"),
    ({"type": [{"exactly": 5}]}, "exactly takes a text"),
    ({"data": {"ip": [{"cidr": "10.0.0.0"}]}}, "data.ip: cidr takes an address"),
    ({"data": {"ip": [{"cidr": "10.0.0.0/32"}]}}, "data.ip: cidr takes an address"),
    ({"data": {"ip": [{"cidr": "10.0.0/8"}]}}, "data.ip: cidr takes an address"),
    ({"data": {"ip": [{"cidr": "::/128"}]}}, "data.ip: cidr takes an address"),
    ({"data": {"ip": [{"cidr": "::/-1"}]}}, "data.ip: cidr takes an address"),
    ({"data": {"ip": [{"cidr": "shop/8"}]}}, "data.ip: cidr takes an address"),
    ({"data": {"ip": [{"cidr": 8}]}}, "data.ip: cidr takes an address"),
    ({"total": [{"numeric": []}]}, "numeric takes"),
    ({"total": [{"numeric": 5}]}, "numeric takes"),
    ({"total": [{"numeric": [">"]}]}, "numeric takes"),
    ({"total": [{"numeric": [">", "5"]}]}, "numeric takes"),
    ({"total": [{"numeric": ["!=", 5]}]}, "numeric takes"),
    ({"total": [{"numeric": [">", True]}]}, "numeric takes"),
    ({"total": [{"numeric": ["<", float("inf")]}]}, "numeric takes"),
    ({"total": [{"numeric": [">", 1, "<", 2, "<", 3]}]}, "numeric takes"),
    ({"total": [{"numeric": [">", 5, "<", 1]}]}, "a lower bound and then a higher upper bound"),
    ({"total": [{"numeric": [">=", 5, "<=", 5]}]}, "a lower bound and then a higher upper bound"),
    ({"total": [{"numeric": ["<", 5, ">", 1]}]}, "a lower bound and then a higher upper bound"),
    ({"total": [{"numeric": [">", 1, "=", 5]}]}, "a lower bound and then a higher upper bound"),
    ({"total": [{"numeric": [">", 10**400]}]}, "numbers, of at most 17 digits"),
    ({"total": [{"numeric": ["=", 2**60]}]}, "numbers, of at most 17 digits"),
    ({"total": [float("nan")]}, "no number in JSON"),
    ({"$or": []}, "two or more patterns"),
    ({"$or": [{"type": ["a"]}]}, "two or more patterns"),
    ({"$or": {"type": ["a"]}}, "two or more patterns"),
    ({"$or": [{"type": ["a"]}, ["b"]]}, "two or more patterns"),
    ({"$or": [{"type": ["a"]}, {}]}, "$or.1 is empty"),
    ({"data": {"$or": [{"gift": [True]}, {"note": "x"}]}}, "data.$or.1.note must be a list"),
    (
        {"$or": [{"type": ["a"]}, {"prefix": ["b"]}]},
        "$or.1.prefix: inside $or no field can have the name of an operator",
    ),
    ({"data": {"$or": [{"gift": [True]}, {"x": {"=": [1]}}]}}, "data.$or.1.x.=: inside $or no field"),
    ({f"f{n}": ["x"] for n in range(257)}, "more than 256 fields"),
    ({"a": {f"{n}.x": {"$or": [{"b": [n]}, {"c": [n]}]} for n in range(30)}}, "more than 1000 ways"),
]

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"detail": {"state": {"status": ["running"]}}}, {"detail": {"state.status": "running"}}),
    ({"detail": {"state.status": ["running"]}}, {"detail": {"state": {"status": "running"}}}),
    ({"name": ["a", "b"], "$or": [{"name": [{"anything-but": "a"}]}, {"condition1": ["x"]}]}, {"name": "c"}),
    ({"detail": {"state": [{"anything-but": {"prefix": ["init", "error"]}}]}}, {"detail": {"state": "running"}}),
]
"""What AWS takes for a match, by others' tests: two of LocalStack, two of AWS's engine."""

OPERATORS = {
    *("prefix", "suffix", "anything-but", "numeric", "exists"),
    *("cidr", "equals-ignore-case", "exactly", "wildcard"),
}

numbers = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)
addresses = st.ip_addresses().filter(lambda address: address.version == 4 or not address.ipv4_mapped)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=8)
names = st.sampled_from(["a", "b", "c", "data", "type"])
events = st.dictionaries(
    names,
    st.recursive(scalars | st.lists(scalars, min_size=1, max_size=3), lambda inner: st.dictionaries(names, inner)),
    min_size=1,
)


Address = IPv4Address | IPv6Address


class Wish(BaseModel):
    """A model with a pattern in it, as a subscription is."""

    pattern: Pattern


def as_pattern(event: dict[str, Any]) -> dict[str, Any]:
    """The pattern that asks for every leaf of an event."""
    return {
        name: (as_pattern(value) or [{"exists": False}])
        if isinstance(value, dict)
        else (value if isinstance(value, list) else [value])
        for name, value in event.items()
    }


@pytest.mark.parametrize("pattern", MATCHING, ids=str)
def test_an_event_that_fits_matches(pattern: dict[str, Any]) -> None:
    assert Pattern.parse(pattern).matches(EVENT)


@pytest.mark.parametrize(("pattern", "event"), CASES, ids=str)
def test_what_matches_in_aws_matches_here(pattern: dict[str, Any], event: dict[str, Any]) -> None:
    assert Pattern.parse(pattern).matches(event)


@pytest.mark.parametrize("pattern", OTHER, ids=str)
def test_an_event_that_does_not_fit_does_not_match(pattern: dict[str, Any]) -> None:
    assert not Pattern.parse(pattern).matches(EVENT)


@pytest.mark.parametrize(("pattern", "told"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_not_supported_is_refused_with_its_place_in_one_line(pattern: dict[str, Any], told: str) -> None:
    with pytest.raises(PatternError, match=re.escape(told)) as refusal:
        Pattern.parse(pattern)

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("raw", [None, [], "type", 5])
def test_what_is_no_json_object_is_refused(raw: Any) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(PatternError, match="a pattern is a JSON object"):
        Pattern.parse(raw)


def test_a_pattern_nested_without_end_is_refused() -> None:
    raw: dict[str, Any] = {"a": ["x"]}
    for _ in range(5_000):
        raw = {"a": raw}

    with pytest.raises(PatternError):
        Pattern.parse(raw)


def test_lists_nested_without_end_in_an_event_do_no_harm() -> None:
    value: Any = "x"
    for _ in range(5_000):
        value = [value]

    assert Pattern.parse({"a": ["x"]}).matches({"a": value})


def test_objects_nested_without_end_in_an_event_do_no_harm() -> None:
    event: dict[str, Any] = {"a": "x"}
    for _ in range(5_000):
        event = {"a": [event]}

    assert not Pattern.parse({"a": {"a": ["x"]}}).matches(event)


@pytest.mark.parametrize("field", ["b", "x"])
def test_lists_of_many_objects_side_by_side_are_matched_in_no_time(field: str) -> None:
    """Given two lists of 5,000 objects, when two fields of each are asked for, then no pair of them is looked at."""
    many = [{"b": number, "c": number} for number in range(5_000)]
    two = {"b": [{"exists": True}], field: [{"exists": field == "b"}], "c": [{"exists": True}]}
    started = process_time()

    assert Pattern.parse({"one": two, "two": two}).matches({"one": many, "two": many})
    assert not Pattern.parse({"one": two, "two": {**two, "c": ["no"]}}).matches({"one": many, "two": many})

    assert process_time() - started < 10


def test_one_object_of_a_list_must_meet_all_that_is_asked_of_it() -> None:
    """Given two lines, when the code of one is asked for with the quantity of the other, then neither is enough."""
    pattern = Pattern.parse({"data": {"lines": {"code": ["85123A"], "quantity": [8]}}})

    assert not pattern.matches(EVENT)


@pytest.mark.parametrize("field", ["lines", "returns", "coupon"])
def test_objects_and_empty_lists_are_no_leaves_and_as_good_as_absent(field: str) -> None:
    """Given objects, an empty list, or nothing, when `exists` asks for a leaf there, then there is none."""
    assert not Pattern.parse({"data": {field: [{"exists": True}]}}).matches(EVENT)
    assert Pattern.parse({"data": {field: [{"exists": False}]}}).matches(EVENT)


@pytest.mark.parametrize("number", [10**400, 2**60, 2**53 + 1])
def test_a_number_with_more_digits_than_a_double_equals_itself_and_compares_with_none(number: int) -> None:
    """Given whole numbers that no double tells from others, when they are compared, then as texts are."""
    event = {"a": number}

    assert Pattern.parse({"a": [number]}).matches(event)
    assert not Pattern.parse({"a": [number + 2]}).matches(event)
    assert not Pattern.parse({"a": [{"numeric": [">", 1.5]}]}).matches(event)
    assert not Pattern.parse({"a": [{"numeric": ["<", 1.5]}]}).matches(event)
    assert Pattern.parse({"a": [{"anything-but": [1.5]}]}).matches(event)


def test_a_pattern_does_not_change_with_what_it_was_made_from() -> None:
    """Given a pattern, when the JSON it was made from is changed, then it still matches what it did."""
    raw = {"type": ["order.placed"]}
    pattern = Pattern.parse(raw)
    raw["type"].append("order.cancelled")

    assert pattern.model_dump() == {"type": ["order.placed"]}
    assert not pattern.matches({"type": "order.cancelled"})
    with pytest.raises(ValidationError, match="frozen"):
        pattern.root = {"type": ["order.cancelled"]}  # type: ignore[misc] # that is the point


def test_patterns_are_equal_if_they_are_the_same_json() -> None:
    """Given equal and unequal JSON, when patterns are compared, then as JSON is: 1 is not true, order is nothing."""
    pattern = Pattern.parse({"a": [1], "b": [2]})
    same = Pattern.parse({"b": [2], "a": [1]})

    assert pattern == same
    assert hash(pattern) == hash(same)
    assert pattern != Pattern.parse({"a": [True], "b": [2]})
    assert pattern != {"a": [1], "b": [2]}


def test_patterns_that_write_a_path_twice_are_equal_only_in_the_same_sequence() -> None:
    """Given a field beside and inside `$or`, when their sequence is changed, then the other one counts."""
    fields: list[tuple[str, Any]] = [("x", ["a"]), ("$or", [{"x": ["b"]}, {"y": [2]}])]
    before, after = Pattern.parse(dict(fields)), Pattern.parse(dict(reversed(fields)))

    assert before != after
    assert before.matches({"x": "b"})
    assert not after.matches({"x": "b"})


def test_a_model_with_a_pattern_that_can_not_be_used_is_refused() -> None:
    """Given an unsupported operator, when the model around the pattern is validated, then that says what is wrong."""
    with pytest.raises(ValidationError, match="type: the operator 'regex' is not supported"):
        Wish.model_validate({"pattern": {"type": [{"regex": "x"}]}})
    with pytest.raises(ValidationError, match="the pattern is empty"):
        Wish.model_validate_json('{"pattern": {}}')


@given(events)
def test_every_event_matches_the_pattern_made_of_its_own_leaves(event: dict[str, Any]) -> None:
    assert Pattern.parse(as_pattern(event)).matches(event)


@given(scalars, st.text(max_size=3) | st.integers(-3, 3))
def test_anything_but_is_the_opposite_of_exactly(value: Any, unwanted: str | int) -> None:  # noqa: ANN401 - JSON
    exactly = Pattern.parse({"a": [unwanted]}).matches({"a": value})
    anything_but = Pattern.parse({"a": [{"anything-but": unwanted}]}).matches({"a": value})

    assert anything_but is not exactly


@given(scalars, st.lists(st.text(max_size=2), min_size=1) | st.lists(st.integers(-3, 3), min_size=1))
def test_anything_but_a_list_is_the_opposite_of_its_alternatives(value: Any, unwanted: list[Any]) -> None:  # noqa: ANN401 - JSON
    any_of = Pattern.parse({"a": unwanted}).matches({"a": value})

    assert Pattern.parse({"a": [{"anything-but": unwanted}]}).matches({"a": value}) is not any_of


@given(scalars, st.sampled_from(["prefix", "suffix"]), st.text(min_size=1, max_size=2))
def test_anything_but_an_affix_is_the_opposite_of_the_affix(value: Any, affix: str, text: str) -> None:  # noqa: ANN401 - JSON
    has_it = Pattern.parse({"a": [{affix: text}]}).matches({"a": value})

    assert Pattern.parse({"a": [{"anything-but": {affix: text}}]}).matches({"a": value}) is not has_it


@given(st.lists(st.sampled_from(MATCHING + OTHER), min_size=2, max_size=5))
def test_or_is_any_and_two_fields_are_all(patterns: list[dict[str, Any]]) -> None:
    each = [Pattern.parse(pattern).matches(EVENT) for pattern in patterns]

    assert Pattern.parse({"$or": patterns}).matches(EVENT) is any(each)
    one, two = patterns[:2]
    if not set(one) & set(two) and "$or" not in {**one, **two}:  # a field in it would take the place of its namesake
        assert Pattern.parse({**one, **two}).matches(EVENT) is all(each[:2])


@given(events, st.lists(scalars, min_size=1, max_size=4), names)
def test_alternatives_are_any(event: dict[str, Any], wanted: list[Any], name: str) -> None:
    each = [Pattern.parse({name: [one]}).matches(event) for one in wanted]

    assert Pattern.parse({name: wanted}).matches(event) is any(each)


@given(st.text(), st.text(max_size=3))
def test_prefix_and_suffix_are_those_of_texts(value: str, affix: str) -> None:
    assert Pattern.parse({"a": [{"prefix": affix}]}).matches({"a": value}) is value.startswith(affix)
    assert Pattern.parse({"a": [{"suffix": affix}]}).matches({"a": value}) is value.endswith(affix)


@given(st.text(max_size=5), st.text(max_size=5))
def test_a_text_has_its_own_begin_and_end(begin: str, end: str) -> None:
    assert Pattern.parse({"a": [{"prefix": begin}]}).matches({"a": begin + end})
    assert Pattern.parse({"a": [{"suffix": end}]}).matches({"a": begin + end})


@given(st.lists(st.text("ab*\\\n", max_size=2), min_size=1, max_size=4), st.text("ab*\\\n", max_size=6))
def test_a_wildcard_is_any_text_between_its_pieces(pieces: list[str], value: str) -> None:
    """Given pieces of text, when a wildcard joins them, then it is met by whatever has them in this sequence."""
    pieces = [pieces[0], *(piece or "b" for piece in pieces[1:-1]), *pieces[1:][-1:]]  # of nothing, two * were in a row
    wildcard = "*".join(piece.replace("\\", "\\\\").replace("*", "\\*") for piece in pieces)
    fits = re.fullmatch(".*".join(map(re.escape, pieces)), value, re.DOTALL) is not None

    assert Pattern.parse({"a": [{"wildcard": wildcard}]}).matches({"a": value}) is fits
    assert Pattern.parse({"a": [{"anything-but": {"wildcard": wildcard}}]}).matches({"a": value}) is not fits
    assert Pattern.parse({"a": [{"wildcard": wildcard}]}).matches({"a": "any".join(pieces)})


def test_a_wildcard_with_many_pieces_takes_no_time() -> None:
    """Given a text that almost has all pieces, when they are looked for, then not in every place that there is."""
    started = process_time()

    assert not Pattern.parse({"a": [{"wildcard": "*a" * 200 + "*b*"}]}).matches({"a": "a" * 100_000})

    assert process_time() - started < 10


@given(addresses, st.integers(0, 127), addresses)
def test_a_network_holds_the_addresses_that_begin_like_it(base: Address, bits: int, other: Address) -> None:
    bits %= base.max_prefixlen
    network = ip_network((base, bits), strict=False)
    pattern = Pattern.parse({"a": [{"cidr": f"{base}/{bits}"}]})

    assert pattern.matches({"a": str(network[0])})
    assert pattern.matches({"a": str(network[-1])})
    assert pattern.matches({"a": str(other)}) is (other in network)


@given(st.ip_addresses(v=4))
def test_an_address_in_another_spelling_is_the_same_but_for_exactly(address: IPv4Address) -> None:
    """Given an address with zeros, and mapped into IPv6, when it is asked for, then it is found, but to the letter."""
    zeros = ".".join(f"{int(part):03}" for part in str(address).split("."))
    mapped = f"0:0::FFFF:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}"

    for spelled in (zeros, mapped):
        assert Pattern.parse({"a": [str(address)]}).matches({"a": spelled})
        assert Pattern.parse({"a": [spelled]}).matches({"a": str(address)})
        assert Pattern.parse({"a": [{"cidr": f"{spelled}/31"}]}).matches({"a": str(address)})
    assert not Pattern.parse({"a": [{"exactly": str(address)}]}).matches({"a": mapped})


@given(st.text(max_size=4), st.text(max_size=4))
def test_ignoring_case_a_text_has_its_own_capitals_and_its_own_begin_and_end(begin: str, end: str) -> None:
    capitals = "".join(one.upper() for one in begin + end)

    for text in (begin + end, capitals):
        assert Pattern.parse({"a": [{"equals-ignore-case": begin + end}]}).matches({"a": text})
        assert Pattern.parse({"a": [{"prefix": {"equals-ignore-case": begin}}]}).matches({"a": text})
        assert Pattern.parse({"a": [{"suffix": {"equals-ignore-case": end}}]}).matches({"a": text})
        assert not Pattern.parse({"a": [{"anything-but": {"equals-ignore-case": begin + end}}]}).matches({"a": text})


SIGNS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@given(st.integers(-5, 5) | st.floats(-5, 5), st.sampled_from(list(SIGNS)), st.integers(-5, 5) | st.floats(-5, 5))
def test_numeric_compares_as_numbers_do(value: float, sign: str, bound: float) -> None:
    assert Pattern.parse({"a": [{"numeric": [sign, bound]}]}).matches({"a": value}) is SIGNS[sign](value, bound)


@given(
    st.integers(-5, 5),
    st.sampled_from([">", ">="]),
    st.integers(-5, 5),
    st.sampled_from(["<", "<="]),
    st.integers(-5, 5),
)
def test_a_range_is_both_comparisons_or_refused_if_nothing_is_in_it(
    value: int, lower: str, bottom: int, upper: str, top: int
) -> None:
    raw = {"a": [{"numeric": [lower, bottom, upper, top]}]}

    if bottom >= top:
        with pytest.raises(PatternError, match="numeric takes"):
            Pattern.parse(raw)
    else:
        both = SIGNS[lower](value, bottom) and SIGNS[upper](value, top)
        assert Pattern.parse(raw).matches({"a": value}) is both


@given(st.none() | st.booleans() | st.text(), st.sampled_from(list(SIGNS)), numbers)
def test_what_is_no_number_meets_no_comparison(value: Any, sign: str, bound: float) -> None:  # noqa: ANN401 - JSON
    assert not Pattern.parse({"a": [{"numeric": [sign, bound]}]}).matches({"a": value})


@given(events, names)
def test_a_field_either_exists_or_does_not(event: dict[str, Any], name: str) -> None:
    there = Pattern.parse({name: [{"exists": True}]}).matches(event)

    assert there is (name in event and not isinstance(event[name], dict))
    assert Pattern.parse({name: [{"exists": False}]}).matches(event) is not there


@given(st.sampled_from(MATCHING + OTHER), st.dictionaries(st.sampled_from(["x", "y"]), scalars, min_size=1))
def test_what_a_pattern_does_not_name_changes_nothing(raw: dict[str, Any], more: dict[str, Any]) -> None:
    pattern = Pattern.parse(raw)
    richer = {**EVENT, **more, "data": {**EVENT["data"], **more}}

    assert pattern.matches(richer) is pattern.matches(EVENT)


@given(st.text().filter(lambda name: name not in OPERATORS), scalars | st.lists(scalars))
def test_an_operator_of_any_other_name_is_refused(name: str, operand: Any) -> None:  # noqa: ANN401 - JSON
    with pytest.raises(PatternError, match="not supported"):
        Pattern.parse({"a": [{name: operand}]})
    with pytest.raises(PatternError, match="not supported"):
        Pattern.parse({"a": ["x", {name: operand}]})


@given(st.sampled_from(MATCHING + OTHER) | events.map(as_pattern))
def test_a_pattern_is_written_and_read_as_the_json_that_it_is(raw: dict[str, Any]) -> None:
    wish = Wish.model_validate({"pattern": raw})
    again = Wish.model_validate_json(wish.model_dump_json())

    assert wish.model_dump() == {"pattern": raw}
    assert again == wish
    assert again.pattern.matches(EVENT) is wish.pattern.matches(EVENT)
