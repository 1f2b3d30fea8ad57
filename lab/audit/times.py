"""Guarantee 1: what is dated lies within the life of its order, and shipping's dates follow from each other."""

import time
from collections.abc import Iterator

from lab.audit.databases import Books, Record
from lab.audit.orders import HANDOVER_US, PlacedOrder
from lab.audit.scenario import HANDED_OVER, UNDO_OF

_SKEW_US = 1_000_000
"""By how much the clocks of services and server may differ."""

_ATTEMPT_US = 5_000_000
"""How long making up a shipment may take: the handover counts from its beginning, the effect is dated at its end."""

_DECISION = "shipping's decision of its cancellation"

_EARLIER_LIFE = 2
"""What is left of an earlier life of an order, which Temporal has forgotten, is never a single row."""


def time_violations(order: PlacedOrder, books: Books, everything: Books) -> Iterator[str]:
    """What of an order is dated before it was placed, or after its end, or otherwise than by the rule of the handover.

    Args:
        order: in one style.
        books: the services' databases, without what is another order's.
        everything: the same with that.
    """
    early = list(_early(order, books))
    if len(early) == len(list(_early(order, everything))) < _EARLIER_LIFE:
        yield from (f"{name} is dated before the order was placed" for name in early)
    yield from _late(order, books)
    for shipment in books.of("shipments", order.key):
        yield from _handover_violations(order, shipment, books)
    for decision in books.of("cancellations", order.key):
        # it is about whatever order the id stands for
        yield from _decision_violations(order, decision, everything)


def _early(order: PlacedOrder, books: Books) -> Iterator[str]:
    """What is dated before the order was placed."""
    # what an order was cancelled by before it was placed is older than its placing, but not than all of its runs
    first_run_us = min(run.started_us for run in order.runs)
    for row in books.of("effects", order.key):
        is_forward = row["state"] == "done" and row["effect"] in UNDO_OF
        if row["at_us"] < (order.placed_us if is_forward else first_run_us) - _SKEW_US:
            yield row["effect"]
    for row in books.of("cancellations", order.key):
        if row["at_us"] < first_run_us - _SKEW_US:
            yield _DECISION


def _late(order: PlacedOrder, books: Books) -> Iterator[str]:
    """What is dated after the end of the order."""
    closed_us, now_us = order.last.closed_us, time.time_ns() // 1_000
    silent = order.services_that_fell_silent()  # whose attempt may have gone on when nobody waited for it any more
    for row in books.of("effects", order.key):
        may_be_late = closed_us is None or row["service"] in silent or order.was_broken_off
        yield from _after(now_us if may_be_late or closed_us is None else closed_us, row["effect"], row)
    for row in books.of("cancellations", order.key):
        yield from _after(now_us if closed_us is None else closed_us, _DECISION, row)


def _after(end_us: int, name: str, row: Record) -> Iterator[str]:
    if row["at_us"] > end_us + _SKEW_US:
        yield f"{name} is dated after all that was done for the order had ended"


def _handover_violations(order: PlacedOrder, shipment: Record, books: Books) -> Iterator[str]:
    if not books.has("handovers"):
        return
    handovers = books.where("handovers", "shipment_id", shipment["id"])
    if len(handovers) != 1:
        yield f"handovers has {len(handovers)} rows of one shipment"
        return
    created = [
        row["at_us"]
        for row in books.of("effects", order.key)
        if row["effect"] == "shipment.created" and row["at_us"] >= order.placed_us  # before that, by another plan
    ]
    # repaired, an order that was broken off goes on without the plan
    agreed_us = (order.handover_us, HANDOVER_US) if order.was_broken_off else (order.handover_us,)
    for at_us in created:
        late_us = min((at_us + agreed - handovers[0]["at_us"] for agreed in agreed_us), key=abs)
        if not -_SKEW_US <= late_us <= _ATTEMPT_US:
            off_s, agreed_s = abs(late_us) / 1e6, order.handover_us / 1e6
            yield f"the parcel is handed over {off_s:,.1f} s off the {agreed_s:,.1f} s that the plan says"


def _decision_violations(order: PlacedOrder, decision: Record, books: Books) -> Iterator[str]:
    accepted, at_us = bool(decision["accepted"]), decision["at_us"]
    if not accepted and decision["reason"] != HANDED_OVER:
        yield f"shipping has refused the cancellation, as {decision['reason']!r}, which is no reason to"
    asked_for = {wish.reason for wish in order.wishes}
    is_known = bool(asked_for) and at_us >= min(run.started_us for run in order.runs) - _SKEW_US
    if accepted and is_known and decision["reason"] not in asked_for:
        yield f"shipping has accepted the cancellation, as {decision['reason']!r}, which nobody asked for"
    handover_us = _handover_us(order, at_us, books)
    if accepted and handover_us is not None and at_us >= handover_us:
        yield "shipping has accepted the cancellation of a parcel that had been handed over"
    if not accepted and (handover_us is None or at_us < handover_us):
        yield "shipping has refused the cancellation, though no parcel had been handed over"


def _handover_us(order: PlacedOrder, by_us: int, books: Books) -> int | None:
    """When the parcel is handed over of which shipping knew then; None where there was none, or it was called back."""
    at_us = {row["effect"]: row["at_us"] for row in books.of("effects", order.key) if row["state"] == "done"}
    if at_us.get("shipment.created", by_us + 1) > by_us or at_us.get("shipment.cancelled", by_us) < by_us:
        return None
    for shipment in books.of("shipments", order.key):
        for handover in books.where("handovers", "shipment_id", shipment["id"]):
            return int(handover["at_us"])
    return None
