"""Shipping's decision about a cancellation: taken once, on a real database, whoever asks and whatever comes first."""

from collections.abc import Callable
from typing import Any

import pytest

from activities.shipping import ShippingActivities
from events.edge import cancel_requested, order_placed
from faults.dice import Dice
from faults.plan import Customers, FaultPlan
from orders.cancelling import BY_THE_CUSTOMER, CancelDecision, CancelRequest
from orders.model import Order, Placement
from runtime.errors import SupersededError
from tests.activities.conftest import Seen, at_once, cancelled, placed

ACCEPTED = CancelDecision(accepted=True, reason=BY_THE_CUSTOMER)
AT_ONCE = Dice(plan=FaultPlan(name="handed over at once", customers=Customers(cancel=0, handover_ms=0)), seed=1)


def asked(order: Order) -> CancelRequest:
    return CancelRequest(style="saga", order_id=order.order_id)


def handed_over(order: Order) -> Placement:
    return Placement(style="saga", order=order, dice=AT_ONCE)


def test_before_the_handover_a_cancellation_is_accepted_and_the_shipment_left_to_its_compensation(
    ship: ShippingActivities, seen: Seen, order: Order
) -> None:
    ship.begin_fulfilment(placed(order))

    assert ship.decide_cancellation(asked(order)) == ACCEPTED
    assert seen.names() == ["shipment.created"]


def test_after_the_handover_a_cancellation_is_refused_whenever_it_is_asked_for(
    ship: ShippingActivities, order: Order
) -> None:
    ship.begin_fulfilment(handed_over(order))

    answers = [ship.decide_cancellation(asked(order)) for _ in range(2)]

    assert answers == [CancelDecision(accepted=False, reason="the parcel has been handed over to the carrier")] * 2


def test_what_was_accepted_in_time_stays_accepted_after_the_time_of_the_handover(
    ship: ShippingActivities, seen: Seen, order: Order
) -> None:
    ship.begin_fulfilment(placed(order))
    ship.decide_cancellation(asked(order))
    seen.run("UPDATE handovers SET at_us = 0")

    assert ship.decide_cancellation(asked(order)) == ACCEPTED


def test_an_order_whose_cancellation_came_first_is_never_shipped(
    ship: ShippingActivities, seen: Seen, order: Order
) -> None:
    assert ship.decide_cancellation(asked(order)) == ACCEPTED
    with pytest.raises(SupersededError):
        ship.begin_fulfilment(placed(order))

    assert seen.names() == []


def test_an_order_that_the_shop_called_off_can_be_cancelled_also_after_the_handover(
    ship: ShippingActivities, order: Order
) -> None:
    ship.begin_fulfilment(handed_over(order))
    ship.cancel_shipment(cancelled(order))

    assert ship.decide_cancellation(asked(order)) == ACCEPTED


def test_a_refusal_is_taken_back_once_the_shop_itself_has_called_the_parcel_back(
    ship: ShippingActivities, order: Order
) -> None:
    ship.begin_fulfilment(handed_over(order))
    refused = ship.decide_cancellation(asked(order))
    ship.cancel_shipment(cancelled(order))

    assert not refused.accepted
    assert ship.decide_cancellation(asked(order)).accepted


def test_the_shop_calls_a_parcel_back_that_has_been_handed_over(
    ship: ShippingActivities, seen: Seen, order: Order
) -> None:
    ship.begin_fulfilment(handed_over(order))
    ship.decide_cancellation(asked(order))

    ship.cancel_shipment(cancelled(order))

    assert seen.names() == ["shipment.cancelled", "shipment.created"]


def test_each_style_is_decided_by_itself(ship: ShippingActivities, order: Order) -> None:
    ship.begin_fulfilment(handed_over(order))

    other = CancelRequest(style="choreography", order_id=order.order_id)

    assert ship.decide_cancellation(other).accepted
    assert not ship.decide_cancellation(asked(order)).accepted


@pytest.mark.parametrize("number", range(5))
def test_shipping_and_cancelling_at_the_same_moment_agree_on_who_was_first(
    ship: ShippingActivities, seen: Seen, order: Order, number: int
) -> None:
    mine = order.model_copy(update={"order_id": f"{order.order_id}-{number}"})

    def begin() -> bool:
        try:
            ship.begin_fulfilment(handed_over(mine))
        except SupersededError:
            return False
        return True

    def decide() -> bool:
        return ship.decide_cancellation(asked(mine)).accepted

    calls: list[Callable[[], bool]] = [begin, decide, decide, decide]
    shipped, *accepted = at_once(calls)

    assert len(set(accepted)) == 1
    assert accepted[0] is not shipped
    assert seen.names() == (["shipment.created"] if shipped else [])


@pytest.mark.parametrize(
    ("dice", "tells"), [(None, "order.cancelled"), (AT_ONCE, "cancellation.refused")], ids=["in time", "too late"]
)
def test_the_handler_tells_one_fact_however_often_it_is_asked(
    ship: ShippingActivities, order: Order, dice: Dice | None, tells: str
) -> None:
    ship.on_order_placed(order_placed(order, dice=dice))

    reactions = [ship.on_cancel_requested(cancel_requested(order.order_id)) for _ in range(2)]

    told: list[dict[str, Any]] = [
        routed.event.model_dump(include={"id", "type", "data"}) for r in reactions for routed in r.events
    ]
    assert told[0] == told[1]
    assert [one["type"] for one in told] == [tells] * 2
    assert told[0]["data"]["reason"]
