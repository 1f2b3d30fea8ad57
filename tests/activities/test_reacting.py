"""What a service tells of its effects."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from activities.reacting import Reporter
from events.catalogue import OWNERS, OrderFailed, SaleReversed
from events.edge import order_placed
from hosting.composition import activities_of
from lab.effects import all_effects
from orders.model import Order
from runtime.settings import Settings
from services.order_placed import SERVICES, registry
from tests.labs import type_of


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


async def test_no_handler_of_what_belongs_to_a_service_believes_a_stranger(order: Order, tmp_path: Path) -> None:
    # given all handlers of all services, whichever of them subscribes to whatever a service tells
    placed = order_placed(order)
    async with contextlib.AsyncExitStack() as stack:
        settings = Settings(data=tmp_path)
        hosted = [one for service in SERVICES for one in activities_of(service.name, settings, "", stack)]
        handlers = {type_of(one): one for one in hosted}
        heard = 0
        for event_type in OWNERS:
            forged = placed.model_copy(update={"id": "f", "source": "/erp", "type": event_type})
            for recipient in registry("").route(forged).recipients:
                heard += 1
                # when a stranger tells it
                answer = handlers[recipient.handler](forged)
                # then nothing is done, and that is said
                assert (answer.events, "nothing was done" in answer.note) == ((), True)

    assert heard >= 8
    assert not all_effects(settings)
