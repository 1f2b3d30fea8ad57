"""The edge: what a person or another system hands in becomes an event here, or is refused before anything is stored."""

import base64
from datetime import UTC, datetime

from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import from_json

from events.catalogue import CATALOGUE, CancelRequested
from events.envelope import OWN_ATTRIBUTES, Event
from faults.dice import Dice
from orders.cancelling import BY_THE_CUSTOMER
from orders.loader import first_complaint
from orders.model import Order
from runtime.errors import InputError
from runtime.temporal import MAX_PAYLOAD_BYTES

MAX_EVENT_BYTES = MAX_PAYLOAD_BYTES // 16
"""A payload may have 2 MiB, but a message to the server 4 MiB, in which an event goes to all its subscribers at once:
this leaves room for thirty. It is also what a bus run can hand on to the next one while subscribers are away.
"""

MAX_NAME_CHARS = 200
"""Ids of follow-up events and of parked deliveries are made from an event's id, and the server keeps at most 255."""


def parse_event(text: bytes, *, where: str) -> Event:
    """Read one event in the JSON format of CloudEvents.

    Args:
        text: the JSON document.
        where: how to call it in an error message.

    Raises:
        InputError: not JSON, not a CloudEvent, data that breaks the catalogue's schema, or larger than Temporal takes;
            in one line.
    """
    _check_size(text, where=where)
    try:
        # Unlike the standard library's, this parser refuses what no JSON can hold (NaN, half a surrogate pair).
        document = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{where} is no CloudEvent: a JSON object is needed")
    for attribute in ("specversion", "id", "source", "type"):
        if attribute not in document:
            raise InputError(f"{where} is no CloudEvent: the attribute {attribute!r} is missing")
    for attribute in OWN_ATTRIBUTES & document.keys():
        raise InputError(f"{where}: the attribute {attribute!r} is for orderlab's own use: leave it out")
    try:
        event = Event.model_validate({"time": datetime.now(UTC), **document})
        JSONFormat().read(CloudEvent, text)  # the library's own checks, of the names of attributes above all
    except CloudEventValidationError as error:
        attribute, problems = next(iter(error.errors.items()))
        raise InputError(f"{where} is no CloudEvent: {attribute}: {problems[0]}") from error
    except ValidationError as error:
        raise InputError(f"{where} is no CloudEvent: {first_complaint(error)}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{where} is no CloudEvent: {error}") from error
    _check_names(event, where=where)
    _check_binary_data(event, where=where)
    return check_against_catalogue(event, where=where)


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
    order_id = getattr(fact, "order_id", None)
    if event.subject != order_id:
        raise InputError(
            f"{where}: the subject of {event.type} must be the order id {order_id!r}, not {event.subject!r}"
        )
    content = fact.fingerprint if isinstance(fact, Order) else None
    return event.model_copy(update={"data": _data(fact), "ordercontent": content})


def order_placed(order: Order, *, rehearsal: bool = False, dice: Dice | None = None) -> Event:
    """The fact that an order was placed. Its id is derived from the order's, so placing twice tells one fact.

    Raises:
        InputError: the order is larger than a Temporal payload can be.
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
    _check_size(event.model_dump_json().encode(), where=f"order {order.order_id}")
    return event


def cancel_requested(order_id: str, *, dice: Dice | None = None) -> Event:
    """The fact that the customer wants an order cancelled. Its id is derived from the order's: there is one answer."""
    fact = CancelRequested(order_id=order_id, reason=BY_THE_CUSTOMER)
    return Event(
        id=f"{order_id}/order.cancel_requested",
        source="orderlab/shop",
        type="order.cancel_requested",
        subject=order_id,
        time=datetime.now(UTC),
        datacontenttype="application/json",
        data=_data(fact),
        dice=None if dice is None else _as_attribute(dice),
    )


def _as_attribute(dice: Dice) -> str:
    return dice.model_dump_json(exclude_defaults=True)


def _check_names(event: Event, *, where: str) -> None:
    """Refuse what can't be part of a workflow id or of a search attribute, which both are made from."""
    for attribute in ("id", "source", "type", "subject"):
        value: str = getattr(event, attribute) or ""
        if len(value) > MAX_NAME_CHARS or not value.isprintable():
            raise InputError(
                f"{where}: {attribute} must have at most {MAX_NAME_CHARS} characters, all of them printable"
            )


def _check_binary_data(event: Event, *, where: str) -> None:
    if event.data_base64 is None:
        return
    try:
        base64.b64decode(event.data_base64, validate=True)
    except ValueError as error:
        raise InputError(f"{where} is no CloudEvent: data_base64: {error}") from error
    if event.data is not None:
        raise InputError(f"{where} is no CloudEvent: it has both data and data_base64, where one is allowed")


def _data(fact: BaseModel) -> JsonValue:
    # A field without a value is left out, as patterns ask whether one is there (`exists`): a guest has no customer id.
    data: JsonValue = fact.model_dump(mode="json", exclude_none=True)
    return data


def _check_size(text: bytes, *, where: str) -> None:
    if len(text) > MAX_EVENT_BYTES:
        raise InputError(
            f"{where} has {len(text):,} bytes; an event can have {MAX_EVENT_BYTES:,} (Temporal's payload limit, shared "
            "by all subscribers): put the bulk elsewhere and publish a link to it"
        )
