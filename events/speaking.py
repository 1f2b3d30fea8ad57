"""Who may tell a fact: what belongs to a service counts only from that service, or as a person's open act in its place.

An event comes to a bus in one of three ways, and the bus alone knows in which: as a signal from outside, as the answer
of a subscriber's handler, or made by the bus itself for a subscriber that gave up. The log keeps that (`told_by`), and
nothing that an event says of itself can change it. Where no bus stands in between, and in the logs of versions that
kept nothing of it, the source has to do: nobody from outside is let in with one of ours (`events/edge.py`).

It is no authentication: who has access to the Temporal server itself can write whatever they like.
"""

import unicodedata
from typing import NamedTuple

from events.catalogue import OWNERS
from events.envelope import OWN_SOURCES, Event, source_of

OUTSIDE = ""
"""In place of a subscriber's name: the event came from outside."""


class Told(NamedTuple):
    """What is known of an event's way, and what matters of the event."""

    type: str
    source: str
    told_by: str | None
    """The subscriber, or `OUTSIDE`; None where nobody has kept it."""
    by_hand: str | None
    """The person who has told it in the owner's place."""
    acted_on: bool = False
    """It was handed to somebody, by a bus that kept nothing of who told it: so what it asked for was done."""


_SERVICE_OF_SOURCE = {source_of(service): service for service in OWNERS.values()}


def counts(told: Told) -> bool:
    """Whether an event says anything about its order.

    One that belongs to no service counts, whoever tells it. What belongs to one, by its type or by its source, counts
    from that one, and from a person whose name is on it; that mark is worth something only on what came from outside,
    as no handler is a person.
    """
    owner = OWNERS.get(told.type) or _SERVICE_OF_SOURCE.get(told.source)
    if owner is None:
        return True
    if told.told_by is None:
        return told.by_hand is not None or told.source == source_of(owner) or told.acted_on
    return told.told_by == owner or (told.told_by == OUTSIDE and told.by_hand is not None)


def why_not_believed(event: Event) -> str | None:
    """Why a handler does nothing about an event, by what the event says of itself; None where it believes it."""
    owner = OWNERS.get(event.type)
    if owner is None or event.byhand is not None or event.source == source_of(owner):
        return None
    return f"{event.type} is for {owner} to tell, and this one is from {event.source}: nothing was done"


def why_not_to_tell(subscriber: str, event: Event) -> str | None:
    """Why a subscriber's handler may not answer this event; None where it may."""
    owner = OWNERS.get(event.type, subscriber)
    if owner != subscriber:
        return f"{event.type} is for {owner} to tell, not for {subscriber}"
    if event.byhand is not None:
        return f"{event.type} is marked as a person's act, and {subscriber} is none"
    if event.source.startswith(OWN_SOURCES) and event.source != source_of(subscriber):
        return f"{event.type} has the source {event.source}, which is not {subscriber}'s"
    return None


def is_ours(source: str) -> bool:
    """Whether a source is one of ours, or would be taken for one: in other case, or in letters of another width."""
    plain = unicodedata.normalize("NFKC", source).casefold().strip()
    return plain.startswith(OWN_SOURCES) or plain == OWN_SOURCES.rstrip("/")
