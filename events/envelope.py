"""The event envelope: CloudEvents 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)."""

import hashlib
import json
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

OWN_ATTRIBUTES = frozenset({"dice", "rehearsal", "ordercontent", "byhand"})
"""Extension attributes that say how an event is to be run, and who has told it; nobody else may set them."""

OWN_SOURCES = "orderlab/"
"""Begins the source of each event that orderlab itself tells of; nobody else's may begin so."""

_LONGEST_REASON = 500


def source_of(service: str) -> str:
    """The source of what a service of ours tells."""
    return f"{OWN_SOURCES}{service}"


def event_name(source: str, event_id: str) -> str:
    """Names an event in one text, to people and in ids that are made from it.

    That is its id, with the source before it where that is not one of ours, as two sources may use the same id:
    `536365/order.placed`, `/erp#1`.
    """
    if source.startswith(OWN_SOURCES):
        return event_id
    return f"{source.replace('%', '%25').replace('#', '%23')}#{event_id}"  # as it is read, the first # ends the source


def _canonical(data: JsonValue) -> JsonValue:
    """The same data, in which 1.0, 1e0 and 1 are written alike: JSON knows one kind of number only."""
    if isinstance(data, dict):
        return {name: _canonical(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_canonical(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


class Event(BaseModel):
    """A fact, past tense. Attributes that CloudEvents does not name are kept as its extension attributes."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str | None = None
    """What the event is about; for everything about an order, its id: the correlation key."""
    time: datetime
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: JsonValue = None
    data_base64: str | None = None
    causationid: str | None = None
    """Extension: names the event that this one follows from (`event_name`)."""
    rehearsal: bool = False
    """Extension: part of a warm-up that leaves nothing behind."""
    dice: str | None = None
    """Extension: what goes wrong on the way, as JSON; it goes on to all that follows from the event."""
    ordercontent: str | None = None
    """Extension: fingerprint of the order that was placed. It goes on to all that follows: whoever undoes an order has
    to know which, as its id may stand for another one."""
    byhand: str | None = None
    """Extension: the person who tells this in place of the service whose fact it is. It goes on to nothing."""

    @property
    def correlation_key(self) -> str:
        """Events with the same key share one log: the subject, or the event's own id where there is none."""
        return self.subject or self.id

    @property
    def identity(self) -> tuple[str, str]:
        """What an event is known by: its source and its id (CloudEvents 1.0, `id`)."""
        return self.source, self.id

    @property
    def name(self) -> str:
        """The same in one text."""
        return event_name(self.source, self.id)

    @property
    def digest(self) -> str:
        """Fingerprint of the data: equal where that is, however its numbers were written."""
        canonical = json.dumps([_canonical(self.data), self.data_base64], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]

    @property
    def reason(self) -> str | None:
        """Why it happened, where the data says so; at most 500 characters."""
        told = self.data.get("reason") if isinstance(self.data, dict) else None
        return told[:_LONGEST_REASON] if isinstance(told, str) else None

    def follow_up(self, event_id: str, event_type: str, *, source: str, time: datetime, data: BaseModel) -> "Event":
        """A fact that follows from this event.

        Args:
            event_id: the same whenever the same fact is told, so that a handler that runs twice tells no second one.
            event_type: what happened.
            source: who tells it.
            time: when it happened.
            data: the fact itself.
        """
        return Event(
            id=event_id,
            source=source,
            type=event_type,
            subject=self.correlation_key,
            time=time,
            datacontenttype="application/json",
            data=data.model_dump(mode="json"),
            causationid=self.name,
            rehearsal=self.rehearsal,
            dice=self.dice,
            ordercontent=self.ordercontent,
        )

    def redriven(self) -> "Event":
        """The same event as a redrive hands it over: no dice are thrown."""
        return self.model_copy(update={"dice": None})
