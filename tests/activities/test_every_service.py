"""What every service holds to, whatever it does: the contract that the two styles rely on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from events.catalogue import OWNERS, OrderFailed
from events.edge import order_placed
from faults.dice import Dice, PermanentFaultError
from faults.plan import FaultPlan
from orders.model import Order, Placement
from runtime.errors import OrderIdTakenError, SupersededError
from services.service import Cancellation
from stores.contents import read_contents
from stores.ledger import now_us
from tests.activities.conftest import Seen, at_once, cancelled, placed, until_known
from tests.labs import namesake


@dataclass(frozen=True)
class Case:
    """One service: its activities, and the effects of its step and of its compensation."""

    fixture: str
    step: str
    undo: str
    done: tuple[str, ...]
    undone: tuple[str, ...]


CASES = [
    Case("ship", "begin_fulfilment", "cancel_shipment", ("shipment.created",), ("shipment.cancelled",)),
    Case("invoice", "issue_invoice", "issue_credit_note", ("invoice.issued",), ("credit_note.issued",)),
    Case(
        "market",
        "thank_customer",
        "tell_customer",
        ("campaign.left", "confirmation.sent"),
        ("campaign.rejoined", "cancellation.sent"),
    ),
    Case("count", "record_sale", "reverse_sale", ("sale.recorded",), ("sale.reversed",)),
]

NOT_NOW = FaultPlan.model_validate(
    {
        "name": "not now",
        "services": {
            name: {effect: {"permanent": 1} for case in CASES if case.fixture == fixture for effect in case.done}
            for name, fixture in (
                ("shipping", "ship"),
                ("invoicing", "invoice"),
                ("marketing", "market"),
                ("analytics", "count"),
            )
        },
    }
)
"""Nothing is done the first time that it is tried."""


@dataclass(frozen=True)
class Service:
    do: Callable[[Placement], Any]
    undo: Callable[..., Any]
    on_order_placed: Callable[..., Any]
    on_order_cancelled: Callable[..., Any]
    done: tuple[str, ...]
    undone: tuple[str, ...]


@pytest.fixture(params=CASES, ids=lambda case: case.fixture)
def service(request: pytest.FixtureRequest) -> Service:
    case: Case = request.param
    activities = request.getfixturevalue(case.fixture)
    return Service(
        getattr(activities, case.step),
        getattr(activities, case.undo),
        activities.on_order_placed,
        activities.on_order_cancelled,
        case.done,
        case.undone,
    )


def test_a_step_done_again_answers_the_same_and_does_nothing(service: Service, seen: Seen, order: Order) -> None:
    first = service.do(placed(order))

    assert [service.do(placed(order)) for _ in range(3)] == [first] * 3
    assert seen.names() == sorted(service.done)


def test_a_step_done_eight_times_at_once_is_done_once(service: Service, seen: Seen, order: Order) -> None:
    answers = at_once([lambda: until_known(lambda: service.do(placed(order)))] * 8)

    assert answers == [answers[0]] * 8
    assert seen.names() == sorted(service.done)


def test_each_style_has_effects_of_its_own(service: Service, seen: Seen, order: Order) -> None:
    service.do(placed(order, "saga"))
    service.do(placed(order, "choreography"))

    assert len(seen.effects(style="saga")) == len(seen.effects(style="choreography")) == len(service.done)


def test_what_was_done_is_undone_once(service: Service, seen: Seen, order: Order) -> None:
    service.do(placed(order))
    at_once([lambda: until_known(lambda: service.undo(cancelled(order)))] * 4)
    service.undo(cancelled(order))

    assert seen.names() == sorted(service.done + service.undone)


def test_undoing_what_never_happened_leaves_no_effect_and_refuses_it_from_then_on(
    service: Service, seen: Seen, order: Order
) -> None:
    service.undo(cancelled(order))

    with pytest.raises(SupersededError):
        service.do(placed(order))
    service.undo(cancelled(order))
    assert seen.names() == []


def test_undoing_one_style_leaves_the_other_alone(service: Service, seen: Seen, order: Order) -> None:
    service.do(placed(order, "saga"))
    service.do(placed(order, "choreography"))
    service.undo(cancelled(order, "saga"))

    assert sorted(record.effect for record in seen.effects(style="choreography")) == sorted(service.done)


def test_a_handler_does_what_the_step_does_and_tells_of_it(service: Service, seen: Seen, order: Order) -> None:
    event = order_placed(order)

    told = service.on_order_placed(event)
    again = service.on_order_placed(event)

    assert seen.names() == sorted(service.done)
    assert sorted(routed.event.type for routed in told.events) == sorted(service.done)
    assert [routed.event.id for routed in again.events] == [routed.event.id for routed in told.events]
    assert {routed.event.causationid for routed in told.events} == {event.id}


def test_a_rehearsal_leaves_nothing_behind(service: Service, seen: Seen, order: Order) -> None:
    guest = order.model_copy(update={"customer_id": None})

    service.do(Placement(style="saga", order=guest, rehearsal=True))

    assert seen.names() == []


def test_the_largest_real_order_is_taken(service: Service, seen: Seen, order: Order) -> None:
    lines = tuple(order.lines[0].model_copy(update={"stock_code": f"P{number}"}) for number in range(593))

    service.do(placed(order.model_copy(update={"lines": lines})))

    assert seen.names() == sorted(service.done)


# Order ids that are given to another order, as they can be once Temporal has forgotten the first


def undoing(order: Order) -> Cancellation:
    """As the saga of this very order asks for it."""
    return cancelled(order).model_copy(update={"content": order.fingerprint})


def test_another_order_under_a_known_id_is_refused_and_nothing_is_done_for_it(
    service: Service, seen: Seen, order: Order
) -> None:
    first = service.do(placed(order))

    with pytest.raises(OrderIdTakenError, match=f"order id {order.order_id} belongs to an order with other content"):
        service.do(placed(namesake(order)))

    assert seen.names() == sorted(service.done)
    assert service.do(placed(order)) == first


def test_undoing_a_refused_order_leaves_the_one_that_has_the_id_alone(
    service: Service, seen: Seen, order: Order
) -> None:
    first = service.do(placed(order))

    service.undo(undoing(namesake(order)))

    assert seen.names() == sorted(service.done)
    assert service.do(placed(order)) == first


def test_undoing_a_refused_order_closes_nothing_of_one_that_has_yet_to_happen(
    service: Service, seen: Seen, order: Order
) -> None:
    with pytest.raises(PermanentFaultError):
        service.do(placed(order).model_copy(update={"dice": Dice(plan=NOT_NOW, seed=1)}))
    service.undo(undoing(order))  # it is closed, as of this order

    with pytest.raises(OrderIdTakenError):
        service.do(placed(namesake(order)))
    with pytest.raises(SupersededError):
        service.do(placed(order))
    assert seen.names() == []


def test_an_order_undoes_what_is_its_own_and_so_does_a_customer_who_names_no_content(
    service: Service, seen: Seen, order: Order
) -> None:
    customer_s = order.model_copy(update={"order_id": f"{order.order_id}-2"})
    for one in (order, customer_s):
        service.do(placed(one))

    service.undo(undoing(order))
    service.undo(cancelled(customer_s))

    assert seen.names() == sorted((service.done + service.undone) * 2)


def test_what_was_done_and_undone_is_not_answered_as_done(service: Service, seen: Seen, order: Order) -> None:
    service.do(placed(order))
    service.undo(undoing(order))

    with pytest.raises(SupersededError, match=f"order {order.order_id} was cancelled before"):
        service.do(placed(order))

    assert seen.names() == sorted(service.done + service.undone)


def test_of_two_orders_under_one_id_at_the_same_moment_one_is_done_and_the_other_refused(
    service: Service, seen: Seen, order: Order
) -> None:
    both = (order, namesake(order))

    def is_done(mine: Order) -> bool:
        try:
            until_known(lambda: service.do(placed(mine)))
        except OrderIdTakenError:
            return False
        return True

    done = at_once([lambda mine=mine: is_done(mine) for mine in both * 4])  # type: ignore[misc]

    assert done in ([True, False] * 4, [False, True] * 4)
    assert seen.names() == sorted(service.done)
    assert [row["content"] for row in seen.rows("order_contents")] == [both[done.index(True)].fingerprint]


def test_a_handler_tells_that_an_order_under_another_s_id_is_cancelled_and_undoes_nothing_of_the_other(
    service: Service, seen: Seen, order: Order
) -> None:
    service.on_order_placed(order_placed(order))

    (told,) = service.on_order_placed(order_placed(namesake(order))).events
    undone = service.on_order_cancelled(told.event)

    assert told.event.type == "order.cancelled"
    assert told.event.reason is not None
    assert "belongs to an order with other content" in told.event.reason
    assert undone.events == ()
    assert seen.names() == sorted(service.done)


def refused(order: Order, since_us: int | None = None) -> Cancellation:
    return Cancellation(
        style="saga",
        order_id=order.order_id,
        reason="another service knows another order",
        content=order.fingerprint,
        refused=True,
        since_us=since_us,
    )


def test_an_order_that_others_refused_lets_its_id_go_to_the_order_that_they_know(
    service: Service, seen: Seen, order: Order
) -> None:
    stranger = namesake(order)
    service.do(placed(stranger))
    answers = [service.undo(refused(stranger)) for _ in range(3)]

    service.do(placed(order))
    kept = seen.effects(order_id=order.order_id)
    service.undo(cancelled(order))

    assert answers == [answers[0]] * 3
    assert sorted(one.effect for one in kept) == sorted(service.done)
    assert seen.names() == sorted((service.done + service.undone) * 2)
    with pytest.raises(OrderIdTakenError):
        service.do(placed(stranger))


def test_an_order_that_others_refused_before_anything_was_done_for_it_keeps_nothing_from_the_one_they_know(
    service: Service, seen: Seen, order: Order
) -> None:
    stranger = namesake(order)
    service.undo(cancelled(stranger).model_copy(update={"content": stranger.fingerprint}))  # it failed elsewhere
    service.undo(refused(stranger))

    service.do(placed(order))

    assert seen.names() == sorted(service.done)
    with pytest.raises(OrderIdTakenError):
        service.do(placed(stranger))


def test_a_customer_s_cancellation_before_anything_was_done_holds_also_after_another_order_was_refused(
    service: Service, seen: Seen, order: Order
) -> None:
    service.undo(cancelled(order))
    service.undo(refused(namesake(order)))

    with pytest.raises(SupersededError):
        service.do(placed(order))
    assert seen.names() == []


def test_an_order_that_is_refused_when_it_is_placed_again_keeps_what_was_done_before(
    service: Service, seen: Seen, order: Order
) -> None:
    first = service.do(placed(order))

    service.undo(refused(order, since_us=now_us() + 1))

    assert seen.names() == sorted(service.done)
    assert service.do(placed(order)) == first


def test_an_order_that_could_not_be_served_keeps_its_id_from_another_one(
    service: Service, seen: Seen, order: Order
) -> None:
    with pytest.raises(PermanentFaultError):
        service.do(Placement(style="saga", order=order, dice=Dice(plan=NOT_NOW, seed=1)))

    with pytest.raises(OrderIdTakenError):
        service.do(placed(namesake(order)))
    service.do(placed(order))
    assert seen.names() == sorted(service.done)


def test_a_failure_that_follows_from_an_order_undoes_that_order(service: Service, seen: Seen, order: Order) -> None:
    event = order_placed(order)
    fact = OrderFailed(order_id=order.order_id, service="another", reason="it gave up")
    service.on_order_placed(event)

    service.on_order_cancelled(
        event.follow_up(f"{event.id}/x", "shipment.failed", source="orderlab/shipping", time=event.time, data=fact)
    )

    assert seen.names() == sorted(service.done + service.undone)


@pytest.mark.parametrize("event_type", ["shipment.failed", "invoice.failed"])
@pytest.mark.parametrize("source", ["/erp", "orderlab/shop", "orderlab/marketing", "ORDERLAB/shipping"])
def test_a_fact_that_neither_its_owner_nor_a_person_tells_is_not_believed_and_that_is_said(
    service: Service, seen: Seen, order: Order, event_type: str, source: str
) -> None:
    # given a service that has done its work, and a failure of another one, that came by a way without a bus
    event, owner = order_placed(order), OWNERS[event_type]
    fact = OrderFailed(order_id=order.order_id, service=owner, reason="made up")
    forged = event.follow_up("x", event_type, source=source, time=event.time, data=fact)
    service.on_order_placed(event)

    # then it does nothing about it, says so, and believes the service itself, or a person in its place
    answer = service.on_order_cancelled(forged)
    assert not answer.events
    assert answer.note == f"{event_type} is for {owner} to tell, and this one is from {source}: nothing was done"
    assert seen.names() == sorted(service.done)
    assert service.on_order_cancelled(forged.model_copy(update={"byhand": "ann"})).note is None
    assert seen.names() == sorted(service.done + service.undone)


def test_whoever_places_an_order_can_ask_which_contents_a_service_has_met_in_whatever_style(
    service: Service, seen: Seen, order: Order
) -> None:
    service.do(placed(order, "saga"))
    service.do(placed(namesake(order), "choreography"))

    assert read_contents(seen.url, order.order_id) == {order.fingerprint, namesake(order).fingerprint}
    assert read_contents(seen.url, "another") == set()


def test_a_stranger_s_cancellation_has_none_of_the_powers_of_a_refusal(
    service: Service, seen: Seen, order: Order
) -> None:
    # given another system's cancellation that says of itself what only a service may say
    placed_event = order_placed(order)
    service.on_order_placed(placed_event)
    data = {"order_id": order.order_id, "reason": "fraud", "refused": True, "placed_us": 2**62}
    dressed_up = placed_event.model_copy(
        update={"id": "o1", "source": "/erp", "type": "order.cancelled", "data": data, "ordercontent": None}
    )

    service.on_order_cancelled(dressed_up)

    # then all is undone, and the id still stands for the order
    assert seen.names() == sorted(service.done + service.undone)
    assert [row["order_id"] for row in seen.rows("order_contents")] == [order.order_id]


def test_a_rehearsal_takes_no_order_id(service: Service, seen: Seen, order: Order) -> None:
    guest = order.model_copy(update={"customer_id": None})

    service.do(Placement(style="saga", order=guest, rehearsal=True))
    service.do(placed(namesake(order)))

    assert seen.names() == sorted(service.done)


def test_a_database_of_a_version_that_kept_no_contents_goes_on_and_the_first_content_it_meets_is_the_order_s(
    service: Service, seen: Seen, order: Order
) -> None:
    first = service.do(placed(order))
    seen.run("DELETE FROM order_contents")

    assert service.do(placed(order)) == first
    with pytest.raises(OrderIdTakenError):
        service.do(placed(namesake(order)))
