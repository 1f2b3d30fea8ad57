"""Proves that an event can be read back, before anything takes it in.

Temporal's client, the bus and the handlers read an event by one and the same parser, which has limits of its own: it
takes so many levels, and writes a number beyond a double as null. A workflow that can't read a signal drops it, and one
that can't read what it starts with is at work on it for ever. So what may not be asked later is tried out now.
"""

from pydantic import ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter

from events.envelope import Event
from runtime.temporal import MAX_PAYLOAD_BYTES

MAX_EVENT_BYTES = MAX_PAYLOAD_BYTES // 16
"""A payload may have 2 MiB, but a message to the server 4 MiB, in which an event goes to all its subscribers at once:
this leaves room for thirty. It is also what a bus run can hand on to the next one while subscribers are away.
"""

_INSTEAD = {"order.placed": "place it as several orders, each under an id of its own"}
"""What to do with an event of this type that is too large, where its data can't be a link."""

_CONVERTER = pydantic_data_converter.payload_converter
_Deepest = dict[str, list[dict[str, Event]]]
"""As deep as an event ever lies: `events` of a handler's answer, and what a run starts with, hold routed events."""


class UnreadableEventError(ValueError):
    """The event would not be read as it was told; the message says what it is about."""


def prove_readable(event: Event) -> None:
    """Write an event as it will be written, and read it back.

    Raises:
        UnreadableEventError: it is larger than Temporal takes, can't be written, or does not come back as it was.
    """
    try:
        written = _CONVERTER.to_payload({"events": [{"event": event}]})
    except ValueError as error:  # the serializer's own, too
        raise UnreadableEventError(why_unreadable(error)) from error
    size = len(written.data)
    if size > MAX_EVENT_BYTES:
        raise UnreadableEventError(
            f"has {size:,} bytes; an event can have {MAX_EVENT_BYTES:,} (Temporal's payload limit, shared by all "
            f"subscribers): {_INSTEAD.get(event.type, 'put the bulk elsewhere and publish a link to it')}"
        )
    try:
        read = _CONVERTER.from_payload(written, _Deepest)["events"][0]["event"]
    except ValidationError as error:
        raise UnreadableEventError(why_unreadable(error)) from error
    if read != event:
        changed = next((name for name, value in event if getattr(read, name) != value), "it")
        raise UnreadableEventError(f"would not be read back as it is: {changed} holds what JSON can't")


def why_unreadable(error: Exception) -> str:
    """What a converter complains of, as it is told to a person."""
    told = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
    if any(limit in told for limit in ("recursion limit", "depth exceeded")):
        return "is nested too deeply to be read back: flatten its data"
    return f"can't be read back: {' '.join(told.split())}"
