"""An order's state, projected from its log."""

from datetime import UTC, datetime

import pytest

from events.edge import order_placed
from events.log import PAGE, DeliveryRecord, DeliveryState, EventLog, LogEntry, OrderState, order_state
from orders.model import Order

HANDLED, PENDING, PARKED, FAILED, SUPERSEDED = (
    DeliveryState.HANDLED,
    DeliveryState.PENDING,
    DeliveryState.PARKED,
    DeliveryState.FAILED,
    DeliveryState.SUPERSEDED,
)


def log_of(*entries: tuple[str, list[DeliveryState]]) -> EventLog:
    return EventLog(
        entries=[
            LogEntry(
                id=str(number),
                type=event_type,
                source="test",
                time=datetime.now(UTC),
                causationid=None,
                digest="",
                deliveries=[DeliveryRecord(subscriber="s", handler="h", state=state) for state in states],
            )
            for number, (event_type, states) in enumerate(entries)
        ]
    )


@pytest.mark.parametrize(
    ("log", "state"),
    [
        (log_of(), OrderState.RUNNING),
        (log_of(("order.placed", [HANDLED, PENDING])), OrderState.RUNNING),
        (log_of(("order.placed", [PARKED, PENDING])), OrderState.RUNNING),
        (log_of(("order.placed", [FAILED]), ("invoice.failed", [PENDING])), OrderState.RUNNING),
        (log_of(("order.placed", [HANDLED, HANDLED]), ("shipment.created", [])), OrderState.COMPLETED),
        (log_of(("order.placed", [HANDLED, PARKED])), OrderState.PARKED),
        (log_of(("order.placed", [FAILED]), ("invoice.failed", [HANDLED])), OrderState.CANCELLED),
        (log_of(("order.placed", [FAILED, PARKED]), ("invoice.failed", [HANDLED])), OrderState.CANCELLED),
        (log_of(("order.placed", [FAILED, SUPERSEDED]), ("invoice.failed", [HANDLED])), OrderState.CANCELLED),
        (log_of(("order.placed", [FAILED]), ("invoice.failed", [HANDLED, PARKED])), OrderState.ATTENTION),
        (log_of(("order.placed", [SUPERSEDED, SUPERSEDED])), OrderState.CANCELLED),
        (log_of(("order.placed", [SUPERSEDED, PENDING])), OrderState.RUNNING),
    ],
)
def test_the_state_of_an_order_follows_from_its_log(log: EventLog, state: OrderState) -> None:
    assert order_state(log) is state


def test_work_for_another_order_under_the_id_that_was_called_off_says_nothing_of_the_first() -> None:
    log = log_of(("order.placed", [HANDLED]), ("order.placed", [SUPERSEDED]), ("order.cancelled", [HANDLED]))
    for entry, content in zip(log.entries, ("first", "second", "second"), strict=True):
        entry.content = content

    assert order_state(log) is OrderState.COMPLETED


def test_a_fact_that_follows_names_its_cause_and_keeps_its_key(order: Order) -> None:
    cause = order_placed(order)

    told = cause.follow_up("scan-1", "parcel.scanned", source="test", time=datetime.now(UTC), data=order.lines[0])

    assert (told.id, told.causationid, told.correlation_key) == ("scan-1", cause.id, order.order_id)


def test_a_log_is_shortened_by_its_oldest_settled_entries_only() -> None:
    log = log_of(("first", [PARKED]), *[(f"later-{number}", [HANDLED]) for number in range(1_500)], ("last", [PENDING]))

    kept = [entry.type for entry in log.shortened().entries]

    assert len(kept) == 1_000
    assert (kept[0], kept[1], kept[-1]) == ("first", "later-502", "last")


def test_events_that_say_the_same_have_the_same_fingerprint(order: Order) -> None:
    assert order_placed(order).digest == order_placed(order).digest
    assert order_placed(order).digest != order_placed(order.model_copy(update={"country": "Norway"})).digest


def test_a_log_knows_its_latest_thousand_events_however_often_a_page_of_them_has_left(order: Order) -> None:
    events = [
        order_placed(order).model_copy(update={"id": f"t-{number}", "source": "test", "type": "ticket.created"})
        for number in range(1_500)
    ]
    log = EventLog()
    for number, event in enumerate(events):
        log = log.handed_on(f"run-{number}")
        log.entries.append(LogEntry.of(event, ()))

    assert len(log.entries) <= 2 * PAGE + 1
    assert log.earlier.events + len(log.entries) == 1_500
    assert all(log.holds(event) for event in events[-1_000:])
    assert not log.holds(events[0])
    assert len(log.model_dump_json()) < 40_000


@pytest.mark.parametrize("count", [PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 1, 2 * PAGE + 2])
def test_what_an_order_rests_on_never_leaves_its_log(order: Order, count: int) -> None:
    placed = order_placed(order)
    decisive = [placed.model_copy(update={"id": kind, "type": kind}) for kind in ("order.placed", "order.cancelled")]
    tickets = [placed.model_copy(update={"id": f"t-{number}", "type": "ticket.created"}) for number in range(count)]
    log = EventLog(entries=[LogEntry.of(event, ()) for event in (*decisive, *tickets)])

    handed_on = log.handed_on("run")

    assert [entry.type for entry in handed_on.entries[:2]] == ["order.placed", "order.cancelled"]
    assert order_state(handed_on) is OrderState.CANCELLED
    assert all(handed_on.holds(event) for event in (*decisive, *tickets))
    assert (handed_on.earlier.run_id == "run") is (len(log.entries) > 2 * PAGE)


def test_entries_with_long_texts_fit_into_what_a_run_returns(order: Order) -> None:
    placed = order_placed(order)
    long = [
        placed.model_copy(update={"id": f"{number}" + "\u65e5" * 240, "data": {"reason": "\U0001f600" * 500}})
        for number in range(1_000)
    ]

    shortened = EventLog(entries=[LogEntry.of(event, ()) for event in long]).shortened()

    assert len(shortened.model_dump_json().encode()) < 500_000
    assert all(shortened.holds(event) for event in long)
