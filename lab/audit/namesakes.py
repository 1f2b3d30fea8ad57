"""Guarantee 1, where two orders were given one id: what was done for the one is not the other's.

Temporal forgets an order some time after its end, and then takes another one under the same id. The services forget
nothing: each keeps the content that it first met under an id, and must do nothing for another, nor undo anything.
"""

from collections.abc import Collection, Iterator

from lab.audit.cancelling import has_request, is_called_off
from lab.audit.databases import Books
from lab.audit.orders import PlacedOrder


def services_of_another(order: PlacedOrder, books: Books) -> frozenset[str]:
    """The services whose rows under the order's id are those of an order with other content."""
    known = books.of("order_contents", order.key)
    return frozenset(row["service"] for row in known if row["content"] != order.content.fingerprint)


def namesake_violations(order: PlacedOrder, books: Books, services: Collection[str]) -> Iterator[str]:
    """What was done or undone of another order under the same id since this one was placed, or not told.

    Args:
        order: in one style; nothing of it should have been done by these services.
        books: all that is stored.
        services: those to whom the id is another order's.
    """
    if has_request(order):  # a customer may have meant the other one, which is undone then
        return
    cancelled = order.has_ended_as("refused") or order.has_ended_as("superseded") or is_called_off(order.last.shown)
    if services and not cancelled:
        yield f"{', '.join(sorted(services))} keep this id for an order with other content, but nobody refused this one"
    for row in books.of("effects", order.key):
        if row["service"] in services and row["at_us"] > order.placed_us:
            happened = "was closed" if row["state"] == "closed" else "happened"
            yield f"{row['effect']} of another order under this id {happened} after this one was placed"
