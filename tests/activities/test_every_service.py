"""What every service holds to, whatever it does: the contract that the two styles rely on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from events.edge import order_placed
from orders.model import Order, Placement
from runtime.errors import SupersededError
from tests.activities.conftest import Seen, at_once, cancelled, placed


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


@dataclass(frozen=True)
class Service:
    do: Callable[[Placement], Any]
    undo: Callable[..., Any]
    on_order_placed: Callable[..., Any]
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
        case.done,
        case.undone,
    )


def test_a_step_done_again_answers_the_same_and_does_nothing(service: Service, seen: Seen, order: Order) -> None:
    first = service.do(placed(order))

    assert [service.do(placed(order)) for _ in range(3)] == [first] * 3
    assert seen.names() == sorted(service.done)


def test_a_step_done_eight_times_at_once_is_done_once(service: Service, seen: Seen, order: Order) -> None:
    answers = at_once([lambda: service.do(placed(order))] * 8)

    assert answers == [answers[0]] * 8
    assert seen.names() == sorted(service.done)


def test_each_style_has_effects_of_its_own(service: Service, seen: Seen, order: Order) -> None:
    service.do(placed(order, "saga"))
    service.do(placed(order, "choreography"))

    assert len(seen.effects(style="saga")) == len(seen.effects(style="choreography")) == len(service.done)


def test_what_was_done_is_undone_once(service: Service, seen: Seen, order: Order) -> None:
    service.do(placed(order))
    at_once([lambda: service.undo(cancelled(order))] * 4)
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
