"""Guarantee 5: an event that was accepted stays, also when its run has closed; and the log agrees with the effects."""

import base64
import hashlib
from collections.abc import Iterator, Sequence

from lab.audit.databases import Books
from lab.audit.history import Identity, Json, Run
from lab.audit.orders import BROKEN_OFF, PlacedOrder
from lab.audit.scenario import EFFECTS, SERVICE_OF_EFFECT

_REMEMBERED = 1_000
"""Events that a log knows at least, the latest ones; of those before them it need not know."""


def lost_events(runs: Sequence[Run]) -> Iterator[str]:
    """Events that were put on a bus and that its latest run does not know of.

    What a person has broken off goes with its run.

    Args:
        runs: all runs of one bus, oldest first.
    """
    last = runs[-1]
    if last.closed is None:
        log, known = last.inherited_log, {fact.identity for fact in last.shown}
    elif isinstance(last.result, dict):
        log, known = last.result, {fact.identity for fact in last.shown}
    else:
        return  # it was broken off, which is told elsewhere
    fingerprints = set(_fingerprints(log))
    kept = [run for run in runs if run.closed not in BROKEN_OFF]
    accepted = list(dict.fromkeys(fact.identity for run in kept for fact in run.own_facts))
    for identity in accepted[-_REMEMBERED:]:
        if identity not in known and _fingerprint(identity) not in fingerprints:
            yield f"{identity} was accepted, but is lost from the log"


def untold_effects(order: PlacedOrder, books: Books) -> Iterator[str]:
    """Effects of which the log does not tell, and the other way round.

    A service that gave up may have done its work and failed to say so, and so may one whose bus was broken off.

    Args:
        order: in the choreographed style.
        books: the services' databases.
    """
    told = {fact.type for fact in order.last.shown} & EFFECTS
    done = set(books.effects(order.key)) & EFFECTS
    for effect in sorted(told - done):
        yield f"its log tells of {effect}, which never happened"
    if not order.was_broken_off:
        silent = order.services_that_gave_up()
        for effect in sorted(done - told):
            if SERVICE_OF_EFFECT[effect] not in silent:
                yield f"{effect} was done, but its log does not tell of it"


def _fingerprints(log: Json) -> Iterator[bytes]:
    """By which a log knows the events that have left it: eight bytes each."""
    packed = base64.b64decode(log.get("earlier", {}).get("fingerprints", "")) if isinstance(log, dict) else b""
    yield from (packed[at : at + 8] for at in range(0, len(packed), 8))


def _fingerprint(identity: Identity) -> bytes:
    return hashlib.sha256("\0".join(identity).encode()).digest()[:8]
