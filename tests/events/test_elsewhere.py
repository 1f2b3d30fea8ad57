"""What one run hands to the next is never larger than a payload can be, and nothing of what waits is lost by that."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bus import LARGEST_HANDED_ON_BYTES, TakenOver
from events.elsewhere import Waits, by_fingerprint, set_aside
from events.envelope import Event
from events.log import DeliveryState, EventLog, LogEntry, OrderState, order_state, size_bytes
from events.parked import MEMO, ParkedDelivery, memo_of
from events.subscriptions import Recipient, RoutedEvent
from runtime.attempts import AttemptPolicy
from runtime.temporal import MAX_PAYLOAD_BYTES

HANDLERS = ("first.note", "second.note")
WIDE = "\U0001f600"
"""Four bytes of UTF-8."""


def routed(number: int, *handlers: str, text: str = "", event_type: str = "ticket.changed") -> RoutedEvent:
    event = Event(
        id=f"e-{number}", source="test", type=event_type, subject="key", time=datetime.now(UTC), data={"text": text}
    )
    to = (
        Recipient(subscriber=h.split(".")[0], handler=h, task_queue="q", attempts=AttemptPolicy(window_s=60))
        for h in handlers
    )
    return RoutedEvent(event=event, recipients=tuple(to))


def log_of(events: list[RoutedEvent], *, state: DeliveryState = DeliveryState.PENDING) -> EventLog:
    log = EventLog(entries=[LogEntry.of(one.event, one.recipients) for one in events])
    for entry in log.entries:
        for record in entry.deliveries:
            record.state = state
    return log


def waiting(size: int) -> TakenOver:
    """What was left to be delivered, of exactly so many bytes."""
    events = [routed(number, HANDLERS[0], text=WIDE * 25_000) for number in range(14)]
    left = TakenOver(log=log_of(events), pending=events)
    missing = size - size_bytes(left)
    last = events[-1].event
    filled = last.model_copy(update={"data": {"text": WIDE * 25_000 + "x" * missing}})
    events[-1] = events[-1].model_copy(update={"event": filled})
    left = TakenOver(log=log_of(events), pending=events)
    assert size_bytes(left) == size
    return left


@pytest.mark.parametrize(("over", "by_reference"), [(0, False), (1, True)])
def test_what_waits_is_handed_on_itself_up_to_the_limit_and_by_reference_from_one_byte_more(
    *, over: int, by_reference: bool
) -> None:
    left = waiting(LARGEST_HANDED_ON_BYTES + over)

    handed_on = left.handed_on("run")

    assert size_bytes(handed_on) <= LARGEST_HANDED_ON_BYTES
    assert (handed_on.elsewhere is not None) is by_reference
    assert bool(handed_on.pending) is not by_reference


def test_as_much_as_can_wait_under_one_key_is_told_in_one_payload() -> None:
    # a published event with two recipients takes more than 600 bytes of the 24 MiB
    events = [routed(number, *HANDLERS) for number in range(40_000)]

    handed_on = TakenOver(log=log_of(events), pending=events).handed_on("run")

    assert size_bytes(handed_on) < MAX_PAYLOAD_BYTES


deliveries = st.sampled_from([DeliveryState.HANDLED, DeliveryState.PENDING, DeliveryState.PARKED, "redriven"])


@given(st.lists(st.tuples(deliveries, deliveries), min_size=1, max_size=30))
def test_a_log_that_was_set_aside_and_put_back_says_the_same(stands: list[tuple[DeliveryState | str, ...]]) -> None:
    events = [routed(number, *HANDLERS) for number in range(len(stands))]
    log = log_of(events)
    redriven = set()
    for entry, states in zip(log.entries, stands, strict=True):
        for record, state in zip(entry.deliveries, states, strict=True):
            record.state = DeliveryState.PENDING if state == "redriven" else DeliveryState(state)
            if state == "redriven":
                redriven.add((*entry.identity, record.handler))

    elsewhere, settled = set_aside(log, "run", redriven)
    found = by_fingerprint(events)
    back = elsewhere.put_back(settled, found)

    def told(one: EventLog) -> list[tuple[str, list[DeliveryState]]]:
        return [(entry.id, [record.state for record in entry.deliveries]) for entry in one.entries]

    assert told(back) == told(log)
    again = {
        (*one.event.identity, recipient.handler)
        for waits in elsewhere.waiting
        if (one := elsewhere.recipients(waits, found[waits.f], Waits.REDRIVEN)) is not None
        for recipient in one.recipients
    }
    assert again == redriven


@pytest.mark.parametrize("last", [DeliveryState.PENDING, DeliveryState.PARKED])
def test_a_log_with_more_waiting_than_an_answer_can_have_is_shown_without_changing_the_order_s_state(
    last: DeliveryState,
) -> None:
    events = [routed(number, HANDLERS[0], event_type="x" * 200 + WIDE * 200) for number in range(3_000)]
    log = log_of(events, state=DeliveryState.PARKED)
    log.entries[-1].deliveries[0].state = last

    shown = log.shown()

    assert size_bytes(shown) < MAX_PAYLOAD_BYTES
    assert order_state(shown) is order_state(log)
    assert order_state(log) is (OrderState.RUNNING if last is DeliveryState.PENDING else OrderState.PARKED)


@pytest.mark.parametrize("text", ["x", WIDE, "\x01"])
def test_the_list_of_what_is_parked_fits_whatever_is_said_in_it(text: str) -> None:
    entry = ParkedDelivery(id=text * 5_000, service="s", work="w", reason=text * 500, attempts=1, payload=text * 4_000)

    listed = memo_of([entry] * 300)[MEMO]

    assert listed
    assert size_bytes(TakenOver()) + sum(size_bytes(one) + 1 for one in listed) < MAX_PAYLOAD_BYTES / 1.9
