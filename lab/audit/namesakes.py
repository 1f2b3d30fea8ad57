"""Guarantee 1, where two orders were given one id: what was done for the one is not the other's.

Temporal forgets an order some time after its end, and then takes another one under the same id. The services forget
nothing: each keeps the content that it first met under an id, and must do nothing for another, nor undo anything.
"""

from collections.abc import Collection, Iterator

from lab.audit.cancelling import has_request, is_called_off, is_cancelled_from_outside
from lab.audit.databases import Books
from lab.audit.orders import PlacedOrder
from lab.audit.scenario import UNDO_OF, Key


def services_of_another(order: PlacedOrder, books: Books) -> frozenset[str]:
    """The services whose rows under the order's id are not of this placing of it.

    They are those of an order with other content; or, where such a service has refused this one, of an earlier placing
    of it, which Temporal has forgotten: that one stays as it was.
    """
    known = books.of("order_contents", order.key)
    another = {row["service"] for row in known if row["content"] != order.content.fingerprint}
    if not another or not _was_refused(order):
        return frozenset(another)
    rows = books.of("effects", order.key)
    touched_since = {row["service"] for row in rows if row["at_us"] >= order.placed_us}
    met_before = {row["service"] for row in known} & {row["service"] for row in rows} - touched_since
    return frozenset(another | met_before)


def _was_refused(order: PlacedOrder) -> bool:
    return order.has_ended_as("refused") or order.has_ended_as("superseded") or is_called_off(order)


def services_that_know_none(key: Key, books: Books) -> frozenset[str]:
    """The services that have rows under an id, and kept no content: no order that was forgotten explains those."""
    named = {row["service"] for row in books.of("order_contents", key)}
    return frozenset(books.services(key) - named)


def refused_key(order: PlacedOrder) -> Key:
    """Under which the services have filed what they did and undid for this order, should they have refused it."""
    return Key(order.key.style, f"{order.key.order_id[:71]}|{order.content.fingerprint[:8]}")


def left_of_refused(key: Key, books: Books) -> Iterator[str]:
    """What was filed as done for a refused order, and was never undone."""
    if "|" not in key.order_id:
        return
    done = set(books.effects(key))
    for effect, undo in UNDO_OF.items():
        if effect in done | books.in_doubt(key) and undo not in done:
            yield f"{effect} is left of an order that was refused"


def namesake_violations(order: PlacedOrder, books: Books, services: Collection[str]) -> Iterator[str]:
    """What was done or undone of another order under the same id since this one was placed, or not told.

    Args:
        order: in one style; nothing of it should have been done by these services.
        books: all that is stored.
        services: those to whom the id is another order's.
    """
    # A customer, or another system, means the other one then, which is undone; but nothing more is done for it.
    is_wanted_off = has_request(order) or is_cancelled_from_outside(order)
    if services and not is_wanted_off and not _was_refused(order):
        yield f"{', '.join(sorted(services))} keep this id for an order with other content, but nobody refused this one"
    for row in books.of("effects", order.key):
        is_allowed = is_wanted_off and not (row["state"] == "done" and row["effect"] in UNDO_OF)
        if row["service"] in services and row["at_us"] > order.placed_us and not is_allowed:
            happened = "was closed" if row["state"] == "closed" else "happened"
            yield f"{row['effect']} of another order under this id {happened} after this one was placed"
