"""Guarantee 2: an order ends completed, cancelled, parked or in need of attention, and nowhere in between."""

from collections.abc import Iterator

from lab.audit.cancelling import cancelling_violations, is_called_off
from lab.audit.databases import Books
from lab.audit.logs import untold_effects
from lab.audit.once import expected_effects
from lab.audit.orders import PlacedOrder
from lab.audit.scenario import ORDER_CANCELLATION, ORDER_SAGA, SERVICE_OF, UNDO_OF


def ending_violations(order: PlacedOrder, books: Books, everything: Books | None = None) -> list[str]:
    """What is wrong with how an order stands.

    How it stands is read from the databases. Then Temporal has to agree: its workflow is closed, or open with what is
    parked named; and a compensation gave up only where the history says so. Last, shipping has to agree, which decides
    whether a customer can still cancel.

    Args:
        order: must have had its time to come to an end.
        books: the services' databases, read after the order's histories, without what is another order's.
        everything: the same with that; None where there is nothing of that kind.
    """
    closed = order.last.closed
    may_close = {"completed", "cancelled"} if order.last.workflow_type == ORDER_SAGA else {"completed"}
    if closed is not None and closed not in may_close:
        return [f"its workflow {closed if closed == 'failed' else f'was {closed}'}{mended(order)}"]
    if closed is None and (order.last.under_way or not order.last.parked):
        waits = ", ".join(order.last.under_way) or "nothing"
        return [f"stuck: its workflow is open with {waits} under way and {_names(order.last.parked)} parked"]
    standing = _Standing(order, books)
    found = [*standing.what_is_missing(), *standing.what_is_left(), *standing.what_is_not_parked()]
    claimed, derived = _claimed(order), standing.state()
    if not found and claimed != derived:
        found.append(f"its workflow says {claimed}, the databases say {derived}{mended(order)}")
    if not found and order.key.style == "choreography":
        found += untold_effects(order, books, everything or books)
    return [*found, *cancelling_violations(order, derived, books)]


def mended(order: PlacedOrder) -> str:
    """What a person can do about an order that was left half done."""
    return f": `orderlab repair {order.key.order_id}` finishes it"


class _Standing:
    """How an order stands by the databases, and by what the history says of compensations."""

    def __init__(self, order: PlacedOrder, books: Books) -> None:
        self._order = order
        done = set(books.effects(order.key))
        self._missing = expected_effects(order.content, books) - done
        self._in_doubt = books.in_doubt(order.key)
        self._left = {
            effect for effect, undo in UNDO_OF.items() if effect in done | self._in_doubt and undo not in done
        }
        self._gave_up = order.compensations_given_up()
        undone = done & set(UNDO_OF.values())
        # A key is closed where something was to be undone that had never happened.
        closed = any(row["state"] in {"closed", "possible"} for row in books.of("effects", order.key))
        never_begun = not done and _claimed(order) == "cancelled"
        self._is_cancelled = bool(undone or closed or self._gave_up or never_begun)

    def state(self) -> str:
        if self._is_cancelled:
            return "attention" if self._gave_up else "cancelled"
        return "parked" if self._order.last.closed is None else "completed"

    def what_is_missing(self) -> Iterator[str]:
        if self._is_cancelled:
            return
        parked = self._order.last.parked if self._order.last.closed is None else frozenset()
        for effect in sorted(self._missing):
            if SERVICE_OF[effect] not in parked:
                if effect in self._in_doubt:
                    yield f"nobody knows whether {effect} happened, and it is not parked"
                else:
                    yield f"{effect} never happened, and is not parked"

    def what_is_left(self) -> Iterator[str]:
        if not self._is_cancelled:
            return
        for effect in sorted(self._left):
            if SERVICE_OF[effect] not in self._gave_up:
                may = "may be" if effect in self._in_doubt else "is"
                told = f"{effect} {may} left of a cancelled order, and no compensation of it gave up"
                yield f"{told}{mended(self._order)}"

    def what_is_not_parked(self) -> Iterator[str]:
        """The dead-letter queue has to name exactly the services whose work was given up.

        Not those of which something is missing: a service may have done its work and failed to say so.
        """
        listed = self._order.last.parked if self._order.last.closed is None else frozenset()
        # A saga that compensates has no more use for steps that it had parked.
        compensates = self._order.key.style == "saga" and self._is_cancelled
        given_up = self._gave_up if compensates else self._order.given_up_for_now()
        if listed != given_up:
            yield f"{_names(given_up)} gave up, but {_names(listed)} is listed as parked"


def _claimed(order: PlacedOrder) -> str | None:
    """How the workflow itself says that the order stands."""
    run = order.last
    if order.key.style == "choreography":  # the bus knows nothing of orders: its log says so
        if is_called_off(order) or order.has_ended_as("superseded"):
            return "attention" if order.compensations_given_up() else "cancelled"
        return "completed" if run.closed else "parked"
    if run.closed == "cancelled":
        return "cancelled"
    if run.closed is None:
        return "attention" if order.compensations_given_up() else "parked"
    if run.workflow_type == ORDER_CANCELLATION and order.has_ended_as("refused"):
        return "cancelled"  # the run is about the order that the services keep
    state: str | None = run.result.get("state") if isinstance(run.result, dict) else None
    return state


def _names(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
