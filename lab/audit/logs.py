"""Guarantee 5: an event that was accepted stays, also when its run has closed; and the log agrees with the effects."""

import base64
import hashlib
from collections.abc import Iterator, Sequence

from lab.audit.databases import Books
from lab.audit.history import Identity, Json, Run
from lab.audit.namesakes import refused_key
from lab.audit.orders import BROKEN_OFF, PlacedOrder
from lab.audit.scenario import EFFECTS, FAILURES, SERVICE_OF_EFFECT
from lab.audit.speaking import counts, is_from_outside

_REMEMBERED = 1_000
"""Events that a log knows at least, the latest ones; of those before them it need not know."""


def lost_events(runs: Sequence[Run], remedy: str = "") -> Iterator[str]:
    """Events that were put on a bus and that its latest run does not know of.

    That a service has given up is no such event where a person has reset the run since: its work is tried once more.

    Args:
        runs: all runs of one bus, oldest first.
        remedy: what a person can do about it.
    """
    last = runs[-1]
    if last.is_taking_over or (last.closed is not None and not isinstance(last.result, dict)):
        return  # how it stands is not known yet, or it was broken off, which is told elsewhere
    log = last.inherited_log if last.closed is None else last.result
    known = {fact.identity for fact in last.shown if counts(fact) or fact.told_by is None}
    fingerprints = set(_fingerprints(log))
    lasting = {run.original_run: run for run in runs}
    accepted = list(
        dict.fromkeys(
            fact.identity
            for run in runs
            for fact in run.own_facts
            if counts(fact) and (run is lasting[run.original_run] or fact.type not in FAILURES or is_from_outside(fact))
        )
    )
    for identity in accepted[-_REMEMBERED:]:
        if identity not in known and _fingerprint(identity) not in fingerprints:
            yield f"{identity} was accepted, but is lost from the log{remedy}"


def broken_off(runs: Sequence[Run]) -> Iterator[str]:
    """Whether a bus that carries no order was broken off: whose events are not delivered until the next one comes.

    Args:
        runs: all runs of one bus, oldest first.
    """
    if runs[-1].closed in BROKEN_OFF:
        yield f"its bus was {runs[-1].closed}"


def untold_effects(order: PlacedOrder, books: Books, everything: Books) -> Iterator[str]:
    """Effects of which the log does not tell, and the other way round.

    A service that gave up may have done its work and failed to say so, and so may one whose bus was broken off. What
    was done before the order was placed is from an earlier life of it, which Temporal has forgotten. What a person has
    told in a service's place need not have happened, but if it has, it is told: a repair gives a log back what it lost.

    Args:
        order: in the choreographed style.
        books: the services' databases, without what they did for another order under the id.
        everything: the same with that: the log may tell of it, as where its customer has cancelled.
    """
    believed = [fact for fact in order.last.shown if counts(fact) and fact.type in EFFECTS]
    told = {fact.type for fact in believed}
    told_by_services = {fact.type for fact in believed if not fact.by_hand}
    rows = [row for row in books.of("effects", order.key) if row["state"] == "done" and row["effect"] in EFFECTS]
    lately_done = {row["effect"] for row in rows if row["at_us"] >= order.placed_us}
    ever_done = {effect for key in (order.key, refused_key(order)) for effect in everything.effects(key)}
    for effect in sorted(told_by_services - ever_done):
        yield f"its log tells of {effect}, which never happened"
    if not order.was_broken_off:
        silent = order.services_that_fell_silent()
        for effect in sorted(lately_done - told):
            if SERVICE_OF_EFFECT[effect] not in silent:
                yield f"{effect} was done, but its log does not tell of it"


def _fingerprints(log: Json) -> Iterator[bytes]:
    """By which a log knows the events that have left it: eight bytes each."""
    packed = base64.b64decode(log.get("earlier", {}).get("fingerprints", "")) if isinstance(log, dict) else b""
    yield from (packed[at : at + 8] for at in range(0, len(packed), 8))


def _fingerprint(identity: Identity) -> bytes:
    return hashlib.sha256("\0".join(identity).encode()).digest()[:8]
