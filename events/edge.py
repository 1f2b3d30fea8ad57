"""The edge: what a person or another system hands in becomes an event here, or is refused before anything is stored."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, JsonValue, ValidationError

from events.attributes import check_attributes, check_name, present
from events.catalogue import CATALOGUE, OWNERS, CancelRequested
from events.envelope import Event
from events.readable import UnreadableEventError, prove_readable
from events.speaking import is_ours
from faults.dice import Dice
from orders.cancelling import BY_THE_CUSTOMER
from orders.loader import first_complaint, why_unfit
from orders.model import Order
from runtime.documents import json_of, text_of
from runtime.errors import InputError
from runtime.moments import in_utc


def parse_event(text: bytes, *, where: str, by_hand: str | None = None) -> Event:
    """Read one event in the JSON format of CloudEvents.

    Args:
        text: the JSON document.
        where: how to call it in an error message.
        by_hand: the person who tells it in place of the service whose fact it is.

    Raises:
        InputError: not JSON, not a CloudEvent, data that breaks the catalogue's schema, larger than Temporal takes,
            what would not be read back as it is, a fact that belongs to a service without a person who tells it in
            place of that, or such a person with a fact that needs none; in one line.
    """
    given = json_of(text_of(text, where=where), where=where)
    if not isinstance(given, dict):
        raise InputError(f"{where} is no CloudEvent: a JSON object is needed")
    document = present(given)
    check_attributes(document, where=where)
    _check_binary_data(document, where=where)
    try:
        event = Event.model_validate({"time": datetime.now(UTC), **document})
    except ValidationError as error:
        raise InputError(f"{where} is no CloudEvent: {first_complaint(error)}") from error
    try:
        in_utc(event.time)
    except ValueError as error:
        raise InputError(f"{where} is no CloudEvent: time {error} (given: {document['time']!r})") from error
    _check_speaker(event, by_hand, where=where)
    told = check_against_catalogue(event, where=where).model_copy(update={"byhand": by_hand})
    return _readable(told, where=where)


def _check_speaker(event: Event, by_hand: str | None, *, where: str) -> None:
    """Refuse what passes for ours, and what only a service can tell, unless a person answers for that one."""
    if is_ours(event.source):
        raise InputError(f"{where}: the source {event.source!r} is orderlab's own: give that of your system")
    owner = OWNERS.get(event.type)
    if by_hand is not None:
        check_name(by_hand, "--by-hand")
        if owner is None:
            raise InputError(f"{where}: {event.type} belongs to no service: publish it without --by-hand")
    elif owner is not None:
        raise InputError(
            f"{where}: {event.type} is for {owner} to tell; --by-hand YOUR-NAME tells it in its place, as your act"
        )


def check_against_catalogue(event: Event, *, where: str) -> Event:
    """Hold an event of a known type to its schema; other types may carry anything.

    Returns:
        The event, with its data written as we write it ourselves, so that equal facts have equal fingerprints.

    Raises:
        InputError: the data breaks the schema, or speaks of another order than the subject does.
    """
    model = CATALOGUE.get(event.type)
    if model is None:
        return event
    try:
        fact = model.model_validate(event.data)
    except ValidationError as error:
        raise InputError(f"{where}: data of {event.type}: {first_complaint(error)}") from error
    _check_text(fact, where=f"{where}: data of {event.type}")
    order_id = getattr(fact, "order_id", None)
    if event.subject != order_id:
        raise InputError(
            f"{where}: the subject of {event.type} must be the order id {order_id!r}, not {event.subject!r}"
        )
    unfit = why_unfit(fact) if isinstance(fact, Order) else None
    if unfit is not None:
        raise InputError(f"{where}: data of {event.type}: {unfit}")
    content = fact.fingerprint if isinstance(fact, Order) else None
    return event.model_copy(update={"data": _data(fact), "ordercontent": content})


def order_placed(order: Order, *, rehearsal: bool = False, dice: Dice | None = None) -> Event:
    """The fact that an order was placed. Its id is derived from the order's, so placing twice tells one fact.

    Raises:
        InputError: the order is larger than an event can be.
    """
    event = Event(
        id=f"{order.order_id}/order.placed",
        source="orderlab/shop",
        type="order.placed",
        subject=order.order_id,
        time=datetime.now(UTC),
        datacontenttype="application/json",
        data=_data(order),
        rehearsal=rehearsal,
        dice=None if dice is None else _as_attribute(dice),
        ordercontent=order.fingerprint,
    )
    return _readable(event, where=f"order {order.order_id}")


def cancel_requested(order_id: str, *, dice: Dice | None = None) -> Event:
    """The fact that the customer wants an order cancelled. Its id is derived from the order's: there is one answer."""
    fact = CancelRequested(order_id=order_id, reason=BY_THE_CUSTOMER)
    event = Event(
        id=f"{order_id}/order.cancel_requested",
        source="orderlab/shop",
        type="order.cancel_requested",
        subject=order_id,
        time=datetime.now(UTC),
        datacontenttype="application/json",
        data=_data(fact),
        dice=None if dice is None else _as_attribute(dice),
    )
    return _readable(event, where=f"order {order_id}")


def _check_text(fact: BaseModel, *, where: str) -> None:
    """Refuse the one character that a service could not store: PostgreSQL's texts hold no U+0000."""
    for name in type(fact).model_fields:
        value = getattr(fact, name)
        if isinstance(value, str) and "\0" in value:
            raise InputError(f"{where}: {name}: character {value.index(chr(0)) + 1} is U+0000, which no database holds")


def _as_attribute(dice: Dice) -> str:
    return dice.model_dump_json(exclude_defaults=True)


def _check_binary_data(document: Mapping[str, object], *, where: str) -> None:
    encoded = document.get("data_base64")
    if encoded is None:
        return
    if "data" in document:
        raise InputError(f"{where} is no CloudEvent: it has both data and data_base64, where one is allowed")
    if not isinstance(encoded, str):
        raise InputError(f"{where} is no CloudEvent: data_base64: it must be a text in base64")
    try:
        base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise InputError(f"{where} is no CloudEvent: data_base64: {error}") from error


def _data(fact: BaseModel) -> JsonValue:
    # A field without a value is left out, as patterns ask whether one is there (`exists`): a guest has no customer id.
    own = set(type(fact).model_fields)
    data: dict[str, JsonValue] = fact.model_dump(mode="json", include=own, exclude_none=True)
    # What the schema does not name is kept as it was told.
    return data | (fact.model_extra or {})


def _readable(event: Event, *, where: str) -> Event:
    try:
        prove_readable(event)
    except UnreadableEventError as error:
        raise InputError(f"{where} {error}") from error
    return event
