"""The attributes of a CloudEvent that somebody hands in, held to the specification and to what Temporal's ids allow.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#context-attributes
"""

import re
import unicodedata
from collections.abc import Mapping

from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.v1.event import CloudEvent

from events.bus import bus_id
from events.envelope import OWN_ATTRIBUTES
from runtime.errors import InputError
from runtime.printable import codepoint, why_unseen
from runtime.temporal import MAX_ID_BYTES, MAX_ID_CHARS

MAX_NAME_CHARS = MAX_ID_CHARS - len(bus_id(""))
MAX_NAME_BYTES = MAX_ID_BYTES - len(bus_id(""))
"""Of an id, source, type or subject: the id of the workflow that keeps an event's log is `bus/` and the subject.

Of the others no id on the server is made, but they name the event in the log and in the list of what is parked, which
both have to stay small.
"""

NAMES = ("id", "source", "type", "subject")
"""What an event is known by: shown in every list, so all of it must be seen as what it is."""

DATA = ("data", "data_base64")
"""Members of the JSON that are no attributes."""

_NAME = re.compile(r"[a-z0-9]+")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_INTEGERS = range(-(2**31), 2**31)
_NONCHARACTERS = frozenset(chr(plane + end) for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF)) | {
    chr(point) for point in range(0xFDD0, 0xFDF0)
}


def present(document: Mapping[str, object]) -> dict[str, object]:
    """Without the attributes that are null: the specification takes those for absent, and so the data."""
    return {name: value for name, value in document.items() if value is not None}


def check_attributes(document: Mapping[str, object], *, where: str) -> None:
    """Hold the attributes to the specification.

    Args:
        document: the event, without what is null.
        where: how to call it in an error message.

    Raises:
        InputError: an attribute is missing, is not ours to take, has no name or value that the specification allows, or
            is longer than the ids that are made from it can be; the message names it.
    """
    attributes = {name: value for name, value in document.items() if name not in DATA}
    for required in ("specversion", "id", "source", "type"):
        if required not in attributes:
            raise InputError(f"{where} is no CloudEvent: the attribute {required!r} is missing")
    for own in sorted(OWN_ATTRIBUTES & attributes.keys()):
        raise InputError(f"{where}: the attribute {own!r} is for orderlab's own use: leave it out")
    for name, value in attributes.items():
        trouble = _trouble_with(name, value)
        if trouble is not None:
            raise InputError(f"{where} is no CloudEvent: {trouble}")
    try:
        CloudEvent({name: value for name, value in attributes.items() if name != "time"})
    except CloudEventValidationError as error:
        name, problems = next(iter(error.errors.items()))
        raise InputError(f"{where} is no CloudEvent: {name}: {problems[0]}") from error
    for name in NAMES:
        value = attributes.get(name)
        if isinstance(value, str):
            check_name(value, f"{where}: {name}")
    cause = attributes.get("causationid")
    if isinstance(cause, str):  # made of both a source and an id, so it may be longer
        _check_seen(cause, f"{where}: causationid")


def check_name(value: str, called: str) -> None:
    """Make sure that a name can be shown, and be part of an id on the server.

    Raises:
        InputError: it can't; the message begins by what the name is called.
    """
    _check_seen(value, called)
    size = len(value.encode())
    if len(value) > MAX_NAME_CHARS or size > MAX_NAME_BYTES:
        raise InputError(
            f"{called} has {len(value)} characters in {size:,} bytes; it can have {MAX_NAME_CHARS} in "
            f"{MAX_NAME_BYTES}, as the ids of Temporal that are made of such names can't be longer"
        )


def _check_seen(value: str, called: str) -> None:
    why = why_unseen(value)
    if why is not None:
        raise InputError(f"{called}: {why}")


def _trouble_with(name: str, value: object) -> str | None:
    """What is wrong with an attribute by the specification's naming rules and types; None if nothing is."""
    if not _NAME.fullmatch(name):
        return f"the attribute {name!r} must be named by small letters a to z and digits alone"
    if name == "time":
        if isinstance(value, str) and _RFC_3339.fullmatch(value):
            return None
        return f"time must be a text as RFC 3339 writes it, such as '2026-11-24T12:00:00Z', not {_shown(value)}"
    if isinstance(value, str):
        return _trouble_with_text(name, value)
    if isinstance(value, bool) or (isinstance(value, int) and value in _INTEGERS):
        return None
    return f"the attribute {name!r} must be a text, true or false, or a whole number of 32 bits, not {_shown(value)}"


def _trouble_with_text(name: str, value: str) -> str | None:
    for at, character in enumerate(value, start=1):
        kind = _disallowed(character)
        if kind is not None:
            return f"{name}: character {at} is {codepoint(character)}, {kind}, which no attribute may hold"
    return None


def _disallowed(character: str) -> str | None:
    """What a character is that the specification's type String has no room for; None for the others."""
    if character in _NONCHARACTERS:
        return "a noncharacter"
    return {"Cc": "a control", "Cs": "half a surrogate pair"}.get(unicodedata.category(character))


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."  # noqa: PLR2004 - enough to know it by
