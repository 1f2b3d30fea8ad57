"""What is taken in as an event, what is refused, and that the refusal names what is wrong."""

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from activities.reacting import Reporter, cancellation_of
from events.attributes import MAX_NAME_BYTES, MAX_NAME_CHARS, check_name
from events.bus import bus_id
from events.catalogue import CATALOGUE, OWNERS
from events.edge import order_placed, parse_event
from events.envelope import Event
from events.log import LogEntry
from orders.model import Order
from runtime.errors import InputError
from runtime.temporal import MAX_ID_BYTES, MAX_ID_CHARS
from services.order_placed import registry

EVENT: dict[str, Any] = {"specversion": "1.0", "id": "e1", "source": "/desk", "type": "ticket.created"}
CANCELLED: dict[str, Any] = {
    **EVENT,
    "type": "order.cancelled",
    "subject": "extra-1",
    "data": {
        "order_id": "extra-1",
        "reason": "fraud",
        "cancelled_by": "agent-7",
        "refund": {"amount": "12.00", "to": None},
        "approved_by": None,
    },
}


def taken(document: object, *, encoding: str = "utf-8") -> Event:
    """What is made of an event; a service's fact is told by a person in its place."""
    by_hand = "ann" if isinstance(document, dict) and document.get("type") in [*OWNERS] else None
    return parse_event(json.dumps(document).encode(encoding), where="my.json", by_hand=by_hand)


def refused(document: object) -> str:
    """Why it is; in one line."""
    with pytest.raises(InputError) as error:
        taken(document)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    return str(error.value)


# Attributes that are null


@pytest.mark.parametrize(
    "name", ["subject", "time", "datacontenttype", "dataschema", "data", "data_base64", "causationid", "tenant", "dice"]
)
def test_a_null_attribute_is_an_absent_one(name: str) -> None:
    at = "2026-11-24T12:00:00Z"
    with_null, without = taken({"time": at, **EVENT, name: None}), taken({"time": at, **EVENT})

    assert with_null.model_dump(exclude={"time"}) == without.model_dump(exclude={"time"})
    assert not with_null.model_extra


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_required_attribute_that_is_null_is_missing(name: str) -> None:
    assert f"the attribute {name!r} is missing" in refused({**EVENT, name: None})


def test_data_that_is_null_leaves_room_for_binary_data() -> None:
    assert taken({**EVENT, "data": None, "data_base64": "AAAA"}).data_base64 == "AAAA"


# Names


@pytest.mark.parametrize("name", ["id", "source", "type", "subject"])
@pytest.mark.parametrize(
    "value",
    [
        "/blobServices/default/containers/exports/blobs/" + "x" * (239 - 47),
        "x" * MAX_NAME_CHARS,
        "\U0001f4e6" * (MAX_NAME_BYTES // 4),
        "order \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f4\U000e0067\U000e0062\U000e007f",
        "注文\u3000四七一一",
        'o\'brien "x" \\ %5B <b> [red]',
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_name_may_be_any_text_that_can_be_seen_and_fits_a_workflow_id(name: str, value: str) -> None:
    event = taken({**EVENT, name: value})

    assert getattr(event, name) == value
    assert len(bus_id(event.correlation_key)) <= MAX_ID_CHARS
    assert len(bus_id(event.correlation_key).encode()) <= MAX_ID_BYTES


@pytest.mark.parametrize("name", ["id", "source", "type", "subject"])
@pytest.mark.parametrize("value", ["x" * (MAX_NAME_CHARS + 1), "\U0001f4e6" * (MAX_NAME_BYTES // 4 + 1)], ids=ascii)
def test_a_name_that_is_too_long_for_a_workflow_id_is_refused_with_the_limit(name: str, value: str) -> None:
    told = refused({**EVENT, name: value})

    assert f"{name} has {len(value)} characters" in told
    assert str(MAX_NAME_CHARS) in told
    assert str(MAX_NAME_BYTES) in told


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "causationid"])
@pytest.mark.parametrize("character", "\x00\n\x1b\x7f\x9b\u202e\u2066\u200f\u2028\ufeff\ue000\u0378\ufffe", ids=ascii)
def test_a_character_that_can_t_be_seen_is_refused_by_its_place_and_codepoint(name: str, character: str) -> None:
    told = refused({**EVENT, name: f"ab{character}c"})

    assert f"{name}: character 3 is U+{ord(character):04X}" in told


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "causationid"])
@pytest.mark.parametrize("value", ["\u200d", "a\u200db", "\U000e007f", "\u3164", " ", "\u3000"], ids=ascii)
def test_a_name_of_which_nothing_or_not_all_can_be_seen_is_refused(name: str, value: str) -> None:
    assert re.search(
        rf"{name}: (character \d is U\+\w+, which can't|nothing of it can) be seen", refused({**EVENT, name: value})
    )


@pytest.mark.parametrize(
    ("character", "kind"),
    [("\ufffe", "a noncharacter"), ("\ufdd0", "a noncharacter"), ("\x07", "a control")],
    ids=ascii,
)
def test_what_the_specification_allows_in_no_text_is_called_what_it_is(character: str, kind: str) -> None:
    for name in ("subject", "tenant"):
        assert f"{name}: character 2 is U+{ord(character):04X}, {kind}," in refused({**EVENT, name: f"a{character}"})


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "datacontenttype", "dataschema"])
@pytest.mark.parametrize("value", ["", 1, True, ["x"], {"x": 1}], ids=ascii)
def test_an_attribute_of_the_specification_is_a_text_with_something_in_it(name: str, value: object) -> None:
    assert name in refused({**EVENT, name: value})


def test_what_an_event_follows_from_may_be_named_by_source_and_id() -> None:
    cause = taken({**EVENT, "id": "i" * MAX_NAME_CHARS, "source": "%" * MAX_NAME_CHARS})

    assert taken({**EVENT, "causationid": cause.name}).causationid == cause.name


def test_a_key_is_held_to_the_same_rule_on_the_command_line() -> None:
    with pytest.raises(InputError, match=r"ORDER: character 2 is U\+DCFF"):
        check_name("a\udcff", "ORDER")


# Extension attributes


@pytest.mark.parametrize("value", ["", "x" * 1_000, "ab\u202ec", True, False, 0, -(2**31), 2**31 - 1], ids=ascii)
def test_an_extension_may_hold_what_the_specification_has_a_type_for(value: object) -> None:
    assert taken({**EVENT, "tenant": value}).model_extra == {"tenant": value}


@pytest.mark.parametrize("value", [1.5, 1.0, 2**31, -(2**31) - 1, 10**30, {}, {"a": 1}, [], ["a"]], ids=ascii)
def test_an_extension_of_another_type_is_refused(value: object) -> None:
    assert "'tenant' must be a text, true or false, or a whole number of 32 bits" in refused({**EVENT, "tenant": value})


@pytest.mark.parametrize("value", ["a\x00", "\x1b[2J", "\x85", "\ufffe", "\ufdd0"], ids=ascii)
def test_an_extension_with_what_the_specification_allows_in_no_text_is_refused(value: str) -> None:
    assert "tenant: character" in refused({**EVENT, "tenant": value})


@pytest.mark.parametrize("name", ["Tenant", "tenant_id", "tenant-id", "tenant\n", "", "ténant", "a b", "data2_base64"])
def test_an_attribute_that_is_not_named_as_the_specification_names_them_is_refused(name: str) -> None:
    assert repr(name) in refused({**EVENT, name: "x"})


@pytest.mark.parametrize("name", ["digest", "reason", "copy", "json", "dict", "redriven", "x" * 30, "7"])
def test_an_extension_may_be_named_like_something_of_ours(name: str) -> None:
    assert taken({**EVENT, name: "x"}).model_dump()[name] == "x"


@pytest.mark.parametrize("name", ["dice", "rehearsal"])
def test_what_only_the_lab_may_say_is_refused(name: str) -> None:
    assert "own use" in refused({**EVENT, name: "true"})


# Time and data


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("2026-11-24T12:00:00Z", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("2026-11-24t12:00:00z", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("2026-11-24T07:00:00-05:00", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("2019-11-18T15:13:39.4589254Z", datetime(2019, 11, 18, 15, 13, 39, 458925, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_rfc_3339_writes_it(time: str, read: datetime) -> None:
    assert taken({**EVENT, "time": time}).time == read


@pytest.mark.parametrize(
    "time",
    [
        1764000000,
        1764000000.5,
        "1764000000",
        True,
        [],
        "",
        "yesterday",
        "2026-11-24",
        "2026-11-24T12:00:00",
        "20261124T120000Z",
        "2026-11-24T12:00Z",
        "2026-13-24T12:00:00Z",
        "2026-11-24T25:00:00Z",
        "2026-11-24T12:00:00Z ",
    ],
    ids=ascii,
)
def test_a_time_that_is_written_otherwise_is_refused_by_its_name(time: object) -> None:
    assert "time" in refused({**EVENT, "time": time}).removeprefix("my.json is no CloudEvent: ")[:10]


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:59+00:01",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59.999999-00:01",
    ],
)
def test_a_moment_that_utc_has_not_is_refused_with_what_was_given(time: str) -> None:
    told = refused({**EVENT, "time": time})

    assert "time is no moment of the years 1 to 9999 in UTC" in told
    assert time in told


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "0001-01-01T23:59:00+23:59", "9999-12-31T23:59:59.999999Z"])
def test_the_first_and_the_last_moment_are_taken_as_they_are_told(time: str) -> None:
    assert taken({**EVENT, "time": time}).time == datetime.fromisoformat(time)


@pytest.mark.parametrize("data", [1, 0, "", False, [], {}, "x"], ids=ascii)
def test_data_beside_binary_data_is_refused_by_both_names(data: object) -> None:
    assert "data and data_base64" in refused({**EVENT, "data": data, "data_base64": "AAAA"})


@pytest.mark.parametrize("encoded", ["!!!!", "AAA", "AA-_", "AAAA\n", 5, ["AAAA"], {}], ids=ascii)
def test_binary_data_that_is_no_base64_is_refused_by_its_name(encoded: object) -> None:
    assert "data_base64" in refused({**EVENT, "data_base64": encoded})


@pytest.mark.parametrize("document", [3, "x", [EVENT], None, True, [], {}], ids=ascii)
def test_what_is_no_object_or_an_empty_one_is_no_event(document: object) -> None:
    assert "CloudEvent" in refused(document)


def test_an_event_with_a_byte_order_mark_is_taken() -> None:
    assert taken(EVENT, encoding="utf-8-sig").id == "e1"


def test_an_event_in_utf_16_is_refused_by_the_name_of_the_encoding() -> None:
    with pytest.raises(InputError, match="UTF-16; save it as UTF-8"):
        taken(EVENT, encoding="utf-16")


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'id' is there twice"):
        parse_event(json.dumps(EVENT).replace('"id": "e1"', '"id": "e1", "id": "e2"').encode(), where="my.json")


# Facts


def test_what_a_fact_says_beyond_its_schema_is_kept() -> None:
    event = taken(CANCELLED)

    assert event.data == CANCELLED["data"]
    assert LogEntry.of(event, ()).digest != LogEntry.of(taken({**CANCELLED, "data": {}} | _short()), ()).digest


def _short() -> dict[str, Any]:
    return {"data": {"order_id": "extra-1", "reason": "fraud"}}


@pytest.mark.parametrize("event_type", sorted(set(CATALOGUE) - {"order.placed"}))
def test_every_fact_keeps_what_it_says_beyond_its_schema(event_type: str) -> None:
    schema = CATALOGUE[event_type].model_json_schema()["properties"]
    told = {name: 1 if field["type"] == "integer" else "x" for name, field in schema.items()} | {"order_id": "o-1"}
    more = {"model_fields": [1], "a b": None, "Δ": {"x": None}, "": 1.5, "data": True}

    assert taken({**EVENT, "type": event_type, "subject": "o-1", "data": told | more}).data == told | more


def test_an_order_that_says_more_than_an_order_is_refused(order: Order) -> None:
    placed = order_placed(order)
    data = {**json.loads(order.model_dump_json()), "gift_wrap": True}

    assert "gift_wrap" in refused({**EVENT, "type": placed.type, "subject": placed.subject, "data": data})


def test_what_a_fact_says_beyond_its_schema_goes_to_the_handler_and_is_no_part_of_what_follows() -> None:
    event = Event.model_validate_json(taken(CANCELLED).model_dump_json())
    undone = CATALOGUE["shipment.cancelled"].model_validate({"order_id": "extra-1", "tracking_number": "RR1"})

    told = Reporter("shipping", registry("")).tell(event, shipment__cancelled=undone).events[0].event

    assert isinstance(event.data, dict)
    assert event.data["cancelled_by"] == "agent-7"
    assert cancellation_of(event).reason == "fraud"
    assert told.data == {"order_id": "extra-1", "tracking_number": "RR1"}


@pytest.mark.parametrize("event_type", ["order.cancel_requested", "order.cancelled", "cancellation.refused"])
def test_a_reason_that_no_database_holds_is_refused_by_its_place(event_type: str) -> None:
    data = {"order_id": "extra-1", "reason": "a\0b"}

    assert "reason: character 2 is U+0000" in refused({**CANCELLED, "type": event_type, "data": data})


def test_a_wish_to_cancel_whose_reason_is_longer_than_shipping_keeps_is_refused() -> None:
    data = {"order_id": "extra-1", "reason": "x" * 501}

    assert "reason" in refused({**CANCELLED, "type": "order.cancel_requested", "data": data})


def test_the_same_order_published_in_other_words_is_the_same_fact(order: Order) -> None:
    document = json.loads(order.model_dump_json(exclude_none=True))
    for line in document["lines"]:
        line["unit_price"] = f"{line['unit_price']}00" if "." in line["unit_price"] else f"{line['unit_price']}.0"

    published = taken({**EVENT, "type": "order.placed", "subject": order.order_id, "data": document})

    assert published.digest == order_placed(order).digest


@given(st.dictionaries(st.text(max_size=12), st.none() | st.booleans() | st.integers() | st.text(), max_size=4))
def test_whatever_is_said_beside_what_is_needed_it_is_taken_or_refused_in_one_line(more: dict[str, object]) -> None:
    document = {**EVENT, **more}
    try:
        event = taken(document)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert {name: value for name, value in document.items() if value is not None}.items() <= {
            **event.model_dump(mode="json"),
            "time": document.get("time"),
        }.items()


# Numbers


def digest_of(data: str) -> str:
    return parse_event(json.dumps({**EVENT, "data": "<data>"}).replace('"<data>"', data).encode(), where="E").digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", "1e0"),
        ("100", "1e2"),
        ("0", "-0.0"),
        ("2.5", "25e-1"),
        ("10000000000000000000000", "1e22"),
        ('{"a": [1, {"b": 2}]}', '{"a": [1.0, {"b": 2.0}]}'),
    ],
)
def test_data_whose_numbers_are_written_otherwise_is_the_same_data(one: str, other: str) -> None:
    assert digest_of(one) == digest_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("1", "true"), ("0", "false"), ("1", '"1"'), ("1", "1.5"), ("1", "-1"), ("[1]", "1")]
)
def test_data_that_says_something_else_is_other_data(one: str, other: str) -> None:
    assert digest_of(one) != digest_of(other)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_data_of_texts_and_whole_numbers_keeps_the_fingerprint_that_it_had(data: JsonValue) -> None:
    event = Event(id="e1", source="/desk", type="ticket.created", time=datetime.now(UTC), data=data)
    former = json.dumps([data, None], sort_keys=True, separators=(",", ":"))

    assert event.digest == hashlib.sha256(former.encode()).hexdigest()[:32]


PENCE = ["invoice.issued", "credit_note.issued", "sale.recorded", "sale.reversed"]


@pytest.mark.parametrize("pence", [True, False, "5", 5.0, 5.5, None, [5]])
@pytest.mark.parametrize("event_type", PENCE)
def test_an_amount_that_is_no_whole_number_is_refused_and_not_made_one(event_type: str, pence: object) -> None:
    fact = dict.fromkeys(CATALOGUE[event_type].model_fields, "x")

    told = refused({**EVENT, "type": event_type, "subject": "x", "data": {**fact, "total_pence": pence}})

    assert "total_pence: Input should be a valid integer" in told


@pytest.mark.parametrize("event_type", CATALOGUE.keys() - {"order.placed"})
def test_a_fact_is_kept_as_it_is_told(event_type: str) -> None:
    fact: dict[str, Any] = dict.fromkeys(CATALOGUE[event_type].model_fields, "x")
    fact |= {"total_pence": 5} if "total_pence" in fact else {}

    for name in fact:
        for value in ("y", 1, 1.0, True, None, ["y"]):
            data = fact | {name: value}
            try:
                told = taken({**EVENT, "type": event_type, "subject": str(data["order_id"]), "data": data}).data
            except InputError:
                continue
            assert json.dumps(told, sort_keys=True) == json.dumps(data, sort_keys=True)
