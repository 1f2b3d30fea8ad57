"""Orders as a run could have drawn them."""

from typing import Literal

from lab.compare.comparison import Mark, Timeline
from orders.model import Style

Kind = Literal["publish", "delivery", "effect", "retry", "compensation", "failure", "end"]


def mark(lane: str, kind: Kind, what: str, from_ms: float, to_ms: float | None = None) -> Mark:
    return Mark(lane=lane, kind=kind, what=what, from_ms=from_ms, to_ms=from_ms if to_ms is None else to_ms)


_WORK = {
    "shipping": ("begin_fulfilment", "shipment.created", "shipment.cancelled"),
    "invoicing": ("issue_invoice", "invoice.issued", "credit_note.issued"),
    "marketing": ("thank_customer", "confirmation.sent", "cancellation.sent"),
    "analytics": ("record_sale", "sale.recorded", "sale.reversed"),
}


def good_order(style: Style, factor: float = 1) -> Timeline:
    """Completed at the first try.

    Args:
        style: in which style.
        factor: how much slower than the some 35 ms of a real one.
    """
    lane = "order" if style == "saga" else "bus"
    marks = [mark(lane, "publish", "start" if style == "saga" else "publish", 0)]
    for index, (service, (activity, effect, _)) in enumerate(_WORK.items()):
        start = 6.2 + 1.3 * index
        what = activity if style == "saga" else "on_order_placed"
        marks.append(mark(service, "delivery", f"{service}.{what}", start * factor, (start + 14) * factor))
        marks.append(mark(service, "effect", effect, (start + 9) * factor))
        if service == "marketing":
            marks.append(mark(service, "effect", "campaign.left", (start + 12.5) * factor))
    marks.append(mark(lane, "end", "completed", 34.1 * factor))
    return Timeline(
        order_id="536365", style=style, title="a good order", state="completed", marks=sorted(marks, key=_at)
    )


def broken_order(style: Style) -> Timeline:
    """Cancelled, as invoicing fails for good after marketing had been retried for some seconds."""
    good = good_order(style)
    lane = good.marks[0].lane
    marks = [one for one in good.marks if one.kind != "end" and one.lane not in {"invoicing", "marketing"}]
    for attempt, (start, end) in enumerate(((9, 17), (218, 229), (640, 652), (1490, 1511)), start=1):
        marks.append(mark("marketing", "delivery", "marketing.thank_customer", start, end))
        if attempt > 1:
            marks.append(mark("marketing", "retry", f"marketing.thank_customer, attempt {attempt}", start))
        done: Kind = "failure" if attempt < 4 else "effect"
        marks.append(mark("marketing", done, "marketing.thank_customer" if attempt < 4 else "confirmation.sent", end))
    marks.append(mark("invoicing", "delivery", "invoicing.issue_invoice", 7.5, 19))
    marks.append(mark("invoicing", "failure", "invoicing.issue_invoice", 19))
    for index, (service, (_, _, undone)) in enumerate(reversed(_WORK.items())):
        start = 1520 + 14 * index if style == "saga" else 24 + index
        start = max(start, 1516) if service == "marketing" else start
        marks.append(mark(service, "delivery", f"{service}.on_order_cancelled", start, start + 11))
        marks.append(mark(service, "compensation", undone, start + 8))
    marks.append(mark(lane, "end", "completed" if style == "choreography" else "cancelled", 1590))
    return Timeline(
        order_id="536371", style=style, title="a broken order", state="cancelled", marks=sorted(marks, key=_at)
    )


def slow_order(style: Style) -> Timeline:
    """Completed after seven retries of shipping, ever further apart: some ten seconds."""
    lane = "order" if style == "saga" else "bus"
    marks = [mark(lane, "publish", "start", 0)]
    for service, (activity, effect, _) in _WORK.items():
        marks.append(mark(service, "delivery", f"{service}.{activity}", 5, 13))
        marks.append(mark(service, "failure" if service == "shipping" else "effect", effect, 12))
    start = 100.0
    for attempt in range(2, 9):
        marks.append(mark("shipping", "delivery", "shipping.begin_fulfilment", start, start + 8))
        marks.append(mark("shipping", "retry", f"shipping.begin_fulfilment, attempt {attempt}", start))
        if attempt < 8:
            marks.append(mark("shipping", "failure", "shipping.begin_fulfilment", start + 8))
        start *= 2
    marks.append(mark("shipping", "effect", "shipment.created", start / 2 + 7))
    marks.append(mark(lane, "end", "completed", start / 2 + 15))
    return Timeline(
        order_id="536390", style=style, title="a broken order", state="completed", marks=sorted(marks, key=_at)
    )


def _at(mark: Mark) -> float:
    return mark.from_ms
