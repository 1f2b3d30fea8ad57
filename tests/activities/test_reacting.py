"""What a service tells of its effects."""

from datetime import UTC, datetime

from activities.reacting import Reporter
from events.catalogue import OrderFailed, SaleReversed
from events.edge import order_placed
from orders.model import Order
from services.order_placed import registry


def test_two_events_that_cause_one_effect_are_answered_by_one_fact(order: Order) -> None:
    # given an order that two services gave up
    placed = order_placed(order)
    failures = [
        placed.follow_up(
            f"{placed.id}/{event_type}",
            event_type,
            source="test",
            time=datetime.now(UTC),
            data=OrderFailed(order_id=order.order_id, service="test", reason="test"),
        )
        for event_type in ("shipment.failed", "invoice.failed")
    ]
    # when a third one undoes its work once, and tells of it in its answer to each
    reporter = Reporter("analytics", registry(""))
    undone = SaleReversed(order_id=order.order_id, total_pence=1)
    told = [reporter.tell(failure, sale__reversed=undone).events[0].event for failure in failures]

    # then the bus can tell that it is the same
    assert told[0].id == told[1].id
