"""Guarantee 2, where a customer wants an order cancelled: shipping decides, and the order follows.

And guarantee 3: whether both styles have to end an order alike that somebody wanted to stop.
"""

from collections.abc import Iterator

from lab.audit.databases import Books
from lab.audit.orders import PlacedOrder
from lab.audit.scenario import (
    ANSWERS,
    CANCEL_REQUESTED,
    CANCELLING,
    CRITICAL,
    CRITICAL_STEPS,
    FAILURES,
    ORDER_CANCELLATION,
    ORDER_SAGA,
    SERVICE_OF,
    UNDO_OF,
)
from lab.audit.speaking import counts, facts_about, is_from_outside


def is_called_off(order: PlacedOrder) -> bool:
    """Whether an event cancels the order, by the log that its latest run shows."""
    content = order.content.fingerprint
    cancelling = [fact for fact in order.last.shown if fact.type in CANCELLING and counts(fact)]
    return any(fact.content in {None, content} for fact in cancelling)


def is_cancelled_from_outside(order: PlacedOrder) -> bool:
    """Whether another system, or a person, has cancelled it, by an event, which only the choreography has.

    It names no more than an order id, so it is about whatever order the services keep under that.
    """
    return any(fact.type in CANCELLING and is_from_outside(fact) for fact in facts_about(order))


def was_off_before(order: PlacedOrder, books: Books) -> bool:
    """Whether critical work of it was undone, or closed, before it was placed: it was cancelled in an earlier life.

    Temporal may have forgotten that; the services have not, and refuse it.
    """
    return any(
        row["at_us"] < order.placed_us and (row["state"] == "closed" or row["effect"] in UNDO_OF.values())
        for row in books.of("effects", order.key)
        if row["service"] in CRITICAL
    )


def has_request(order: PlacedOrder) -> bool:
    """Whether the histories hold a customer's wish to cancel the order; one that was turned away leaves no trace."""
    in_a_saga = any(run.asked or run.workflow_type == ORDER_CANCELLATION for run in order.runs)
    return in_a_saga or bool(_requests(order))


def must_end_alike(saga: PlacedOrder, choreography: PlacedOrder, books: Books) -> bool:
    """Whether both styles have to leave the same behind of an order.

    Not where somebody has stopped it on its way, in any of them: each style is then at another place, whatever the
    clock says. Nor where another system's event has cancelled it in the one style that has events. But what was
    cancelled before it was placed can only end in one way, and so can what shipping refused to stop.

    Nor where its run was broken off in one style: repaired, it goes on without the dice that it was placed with, and
    may be kept where the other is not. If both are kept, or both cancelled, they have to be alike.

    Args:
        saga: the order in one style.
        choreography: the same in the other.
        books: the services' databases.
    """
    if _was_placed_late(saga) and _was_placed_late(choreography):
        return True
    if (saga.was_broken_off or choreography.was_broken_off) and _was_undone(saga) != _was_undone(choreography):
        return False
    is_off = _was_called_off(saga, books) or _was_called_off(choreography, books)
    return not (is_off or is_cancelled_from_outside(choreography) or _was_stopped(saga))


def _was_called_off(order: PlacedOrder, books: Books) -> bool:
    """Whether a customer's wish to cancel it was accepted, or may have been: all that is known to be refused is not."""
    if not has_request(order):
        return False
    decisions = [bool(row["accepted"]) for row in books.of("cancellations", order.key)]
    return any(decisions) or any(_answers(order)) or not decisions


def cancelling_violations(order: PlacedOrder, state: str, books: Books) -> Iterator[str]:
    """Where an order, or what its customer was told, is not as shipping decided, which alone can.

    Args:
        order: in one style.
        state: how it stands, by the databases.
        books: the services' databases.
    """
    is_off = state in {"cancelled", "attention"}
    decision = next((bool(row["accepted"]) for row in books.of("cancellations", order.key)), None)
    if decision and not is_off:
        yield f"shipping has accepted its cancellation, but it is {state}"
    was_off = was_off_before(order, books) and not has_request(order)  # of a request that is known, shipping must know
    if is_off and not decision and not _can_not_be_kept(order) and not was_off:
        yield f"it is {state}, but nothing critical failed, and shipping has {_named(decision)} that"
    for told in sorted(set(_answers(order))):
        # Who asks for the end of an order that is undone anyway is told so, whatever shipping decided before.
        is_off_anyway = told and is_off and _can_not_be_kept(order)
        if told != decision and not is_off_anyway:
            yield f"the customer was told that cancelling is {_named(told)}, which shipping has {_named(decision)}"


def unclosed_violations(order: PlacedOrder, books: Books) -> Iterator[str]:
    """What a service has neither undone nor closed, though its compensation came to an end: it could still be done.

    Args:
        order: in one style; of one that was refused, what is another order's stays as it is.
        books: the services' databases, with what is another order's.
    """
    if order.was_refused:
        return
    undone, compensated = set(books.effects(order.key)), order.compensated()
    closed = {row["effect"] for row in books.of("effects", order.key) if row["state"] == "closed"}
    for effect, service in SERVICE_OF.items():
        if service in compensated and effect not in closed and UNDO_OF[effect] not in undone:
            yield f"{effect} is neither undone nor closed, though {service} has compensated"


def _answers(order: PlacedOrder) -> Iterator[bool]:
    """What customers who wanted to cancel were told: whether the order is cancelled."""
    for run in order.runs:
        yield from run.answers
    requests = _requests(order)
    told = [fact for fact in facts_about(order) if not fact.by_hand]  # a person may tell what shipping has not decided
    yield from (ANSWERS[fact.type] for fact in told if fact.type in ANSWERS and fact.cause in requests)


def _can_not_be_kept(order: PlacedOrder) -> bool:
    """Whether the order has to be cancelled for another reason than that its customer wants it."""
    requests = _requests(order)
    off = [fact for fact in facts_about(order) if fact.type in CANCELLING]
    told = any(fact.type in FAILURES or fact.cause not in requests for fact in off)
    return told or _was_stopped(order) or order.has_given_up(CRITICAL_STEPS) or order.has_ended_as("refused")


def _was_stopped(order: PlacedOrder) -> bool:
    """Whether Temporal itself was asked to cancel the saga, and that came before its end."""
    return any(run.workflow_type == ORDER_SAGA and run.stopped and run.closed != "completed" for run in order.runs)


def _was_undone(order: PlacedOrder) -> bool:
    """Whether its workflow says that it ended cancelled."""
    result = order.last.result
    if order.key.style == "saga":
        return order.last.closed == "cancelled" or (isinstance(result, dict) and result.get("state") == "cancelled")
    return is_called_off(order) or order.has_ended_as("superseded")


def _was_placed_late(order: PlacedOrder) -> bool:
    """Whether it was cancelled before it was placed; that it was only asked for before lets services begin."""
    if order.key.style == "saga":
        return all(run.workflow_type == ORDER_CANCELLATION for run in order.runs)
    requests = _requests(order)
    sequence = [
        fact.type for fact in order.log if fact.type == "order.placed" or (counts(fact) and fact.cause in requests)
    ]
    return sequence[:1] == ["order.cancelled"]


def _requests(order: PlacedOrder) -> set[str]:
    """Names of the events by which a customer asked for the order to be cancelled."""
    requests = [fact for fact in order.log if fact.type == CANCEL_REQUESTED]
    return {fact.name for fact in requests} | {fact.event_id for fact in requests}  # as older logs name them


def _named(decision: bool | None) -> str:
    if decision is None:
        return "never decided"
    return "accepted" if decision else "refused"
