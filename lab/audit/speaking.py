"""Who has told a fact: what belongs to a service counts from that one alone, or as a person's act in its place.

How an event came to a bus is read from the history, as far as the server has it, and not from what the log says.
"""

from collections.abc import Iterator, Sequence

from lab.audit.history import OUTSIDE, Fact, Identity, Run
from lab.audit.orders import PlacedOrder
from lab.audit.report import Act
from lab.audit.scenario import SERVICE_OF_FACT, SERVICES, Key


def counts(fact: Fact) -> bool:
    """Whether it says anything about its order.

    Of what older logs hold nobody has kept who told it: that counts where its source is the service's, or where it was
    handed to somebody, who has believed it.
    """
    of_source = fact.source.removeprefix("orderlab/") if fact.source.startswith("orderlab/") else ""
    owner = SERVICE_OF_FACT.get(fact.type) or (of_source if of_source in SERVICES else None)
    if owner is None:
        return True
    if fact.told_by is None:
        return bool(fact.by_hand) or of_source == owner or fact.acted_on
    return fact.told_by == owner or (fact.told_by == OUTSIDE and bool(fact.by_hand))


def is_from_outside(fact: Fact) -> bool:
    """Whether a person or another system has told it."""
    return not fact.source.startswith("orderlab/") if fact.told_by is None else fact.told_by == OUTSIDE


def facts_about(order: PlacedOrder) -> tuple[Fact, ...]:
    """The events that say anything about an order, in sequence; not those that name another one under its id."""
    content = order.content.fingerprint
    return tuple(fact for fact in order.log if counts(fact) and fact.content in {None, content})


def acts(key: Key, runs: Sequence[Run]) -> Iterator[Act]:
    """What persons have told about an order in place of a service, each act once.

    Args:
        key: of the bus.
        runs: all of it, oldest first.
    """
    found: dict[Identity, Fact] = {}
    for run in runs:
        for fact in (*run.inherited, *run.own_facts):
            if fact.by_hand and counts(fact):
                found.setdefault(fact.identity, fact)
    for fact in found.values():
        yield Act(order_id=key.order_id, what=f"{fact.type} ({fact.identity})", by=str(fact.by_hand))


def misattributed(runs: Sequence[Run]) -> Iterator[str]:
    """Events of which the latest log says that they came in another way than they did.

    Args:
        runs: all runs of one bus, oldest first.
    """
    came: dict[Identity, set[str]] = {}
    for run in runs:
        for fact in run.own_facts:
            if fact.told_by is not None:
                came.setdefault(fact.identity, set()).add(fact.told_by)
    for fact in runs[-1].shown:
        ways = came.get(fact.identity)
        if fact.told_by is not None and ways is not None and fact.told_by not in ways:
            really = " and ".join(sorted(way or "outside" for way in ways))
            yield f"its log says that {fact.identity} came from {fact.told_by or 'outside'}, but it came from {really}"
