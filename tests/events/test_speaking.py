"""Who may tell a fact, and what does not count."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.catalogue import CATALOGUE, OWNERS
from events.edge import order_placed, parse_event
from events.envelope import Event
from events.log import PAGE, DeliveryState, EventLog, LogEntry, OrderState, order_state
from events.speaking import OUTSIDE, Told, counts, is_ours
from lab.audit.scenario import SERVICE_OF_FACT
from orders.model import Order
from runtime.errors import InputError
from services.order_placed import SERVICES, registry

FAILED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "f1",
    "source": "/erp",
    "type": "shipment.failed",
    "subject": "s1",
    "data": {"order_id": "s1", "service": "shipping", "reason": "made up"},
}
CANCELLED: dict[str, Any] = {**FAILED, "type": "order.cancelled", "data": {"order_id": "s1", "reason": "fraud"}}

OWNED = st.sampled_from(sorted(OWNERS))
SPEAKERS = st.sampled_from([OUTSIDE, *sorted({*OWNERS.values()}), "loyalty"])
SOURCES = st.sampled_from(["/erp", "orderlab/shop", *(f"orderlab/{owner}" for owner in sorted({*OWNERS.values()}))])


def refused(document: dict[str, Any], *, by_hand: str | None = None) -> str:
    with pytest.raises(InputError) as error:
        parse_event(json.dumps(document).encode(), where="my.json", by_hand=by_hand)
    assert "\n" not in str(error.value)
    return str(error.value)


def told(event: Event, by: str | None) -> LogEntry:
    """The entry of an event that goes to everybody who subscribed."""
    return LogEntry.of(event, registry("").route(event).recipients, told_by=by)


def by_nobody_we_know(entry: LogEntry) -> LogEntry:
    """As an older log has it."""
    return entry.model_copy(update={"told_by": None})


def handled(entry: LogEntry) -> LogEntry:
    for delivery in entry.deliveries:
        delivery.state = DeliveryState.HANDLED
    return entry


# Who is believed


@given(OWNED, SOURCES, SPEAKERS)
def test_a_service_s_fact_counts_from_that_service_alone_whatever_source_it_gives(
    event_type: str, source: str, speaker: str
) -> None:
    assert counts(Told(event_type, source, speaker, None)) is (speaker == OWNERS[event_type])


@given(OWNED, SPEAKERS)
def test_a_person_in_the_owner_s_place_is_believed_and_a_handler_that_passes_for_one_is_not(
    event_type: str, speaker: str
) -> None:
    is_believed = speaker in {OUTSIDE, OWNERS[event_type]}

    assert counts(Told(event_type, "/desk", speaker, "ann")) is is_believed


@given(st.sampled_from(sorted(CATALOGUE.keys() - OWNERS.keys())), SPEAKERS)
def test_what_belongs_to_no_service_counts_whoever_tells_it(event_type: str, speaker: str) -> None:
    assert counts(Told(event_type, "/erp", speaker, None))


def test_what_bears_a_service_s_source_from_outside_counts_for_nothing_whatever_it_is() -> None:
    assert not counts(Told("parcel.scanned", "orderlab/shipping", OUTSIDE, None))
    assert counts(Told("parcel.scanned", "orderlab/shipping", "shipping", None))


def test_the_auditor_knows_whose_each_fact_is() -> None:
    assert SERVICE_OF_FACT == OWNERS


def test_every_fact_of_the_catalogue_that_a_service_gives_up_with_is_its_own() -> None:
    for service in SERVICES:
        assert service.failure_event is None or OWNERS[service.failure_event] == service.name
    assert OWNERS.keys() < CATALOGUE.keys()


# At the edge


@pytest.mark.parametrize("event_type", sorted(OWNERS))
def test_a_service_s_fact_from_outside_is_refused_and_the_option_named(event_type: str) -> None:
    why = refused({**FAILED, "type": event_type})

    assert why == (
        f"my.json: {event_type} is for {OWNERS[event_type]} to tell; "
        "--by-hand YOUR-NAME tells it in its place, as your act"
    )


@pytest.mark.parametrize(
    "source",
    ["orderlab/shipping", "orderlab/shop", "orderlab/", "orderlab", "ORDERLAB/shipping", "OrderLab/x", " orderlab/x",
     "\uff4f\uff52\uff44\uff45\uff52\uff4c\uff41\uff42/shipping", "orderlab\uff0fshipping"],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("by_hand", [None, "ann"])
def test_a_source_of_ours_or_one_that_is_taken_for_it_is_refused(source: str, by_hand: str | None) -> None:
    document = {**(CANCELLED if by_hand is None else FAILED), "source": source}

    assert "is orderlab's own" in refused(document, by_hand=by_hand)


@pytest.mark.parametrize(
    "source", ["/orderlab/x", "orderlabs/x", "urn:orderlab/x", "\u043erderlab/shipping"], ids=ascii
)
def test_a_source_that_only_resembles_ours_is_somebody_else_s(source: str) -> None:
    event = parse_event(json.dumps({**CANCELLED, "source": source}).encode(), where="my.json")

    assert not is_ours(source)
    assert event.name == f"{source}#f1"


@pytest.mark.parametrize("name", ["byhand", "ordercontent"])
def test_a_mark_of_ours_is_nobody_s_to_set(name: str) -> None:
    assert f"the attribute {name!r} is for orderlab's own use" in refused({**CANCELLED, name: "ann"})
    assert f"the attribute {name!r} is for orderlab's own use" in refused({**FAILED, name: "ann"}, by_hand="ann")


@pytest.mark.parametrize("name", ["", "  ", "ann\nbob", "a\u202en", "x" * 300], ids=ascii)
def test_a_person_whose_name_can_t_be_shown_is_refused(name: str) -> None:
    assert "--by-hand" in refused(FAILED, by_hand=name)


@pytest.mark.parametrize("event_type", ["order.cancelled", "ticket.created", "Shipment.Failed", "shipment.failed "])
def test_what_belongs_to_no_service_needs_no_person(event_type: str) -> None:
    assert "publish it without --by-hand" in refused({**CANCELLED, "type": event_type}, by_hand="ann")


def test_a_person_s_act_is_marked_and_the_mark_goes_on_to_nothing() -> None:
    act = parse_event(json.dumps(FAILED).encode(), where="my.json", by_hand="ann")
    follows = act.follow_up("x", "shipment.cancelled", source="orderlab/shipping", time=act.time, data=Empty())

    assert act.byhand == LogEntry.of(act, (), told_by=OUTSIDE).by_hand == "ann"
    assert follows.byhand is None


class Empty(Event):
    """Some data."""

    id: str = ""
    source: str = ""
    type: str = ""
    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)


# In the log


def test_what_does_not_count_goes_to_nobody_and_changes_no_state(order: Order) -> None:
    placed = handled(told(order_placed(order), OUTSIDE))
    forged = told(failure(order, "orderlab/shipping"), OUTSIDE)

    assert not forged.deliveries
    assert not forged.counts
    assert order_state(EventLog(entries=[placed, forged])) is OrderState.COMPLETED


@pytest.mark.parametrize(("speaker", "by_hand"), [("shipping", None), (OUTSIDE, "ann")])
def test_what_counts_cancels(order: Order, speaker: str, by_hand: str | None) -> None:
    failed = failure(order, "/erp").model_copy(update={"byhand": by_hand})

    assert len(told(failed, speaker).deliveries) == 4
    assert order_state(EventLog(entries=[handled(told(failed, speaker))])) is OrderState.CANCELLED


def test_an_older_log_keeps_its_meaning(order: Order) -> None:
    # given logs of a version that kept nothing of who told what, and believed everybody
    ours, theirs = failure(order, "orderlab/shipping"), failure(order, "/erp")
    acted_on = [by_nobody_we_know(handled(told(event, None))) for event in (ours, theirs)]
    answer = Event(id="c", source="/desk", type="cancellation.refused", time=ours.time, data={"reason": "no"})

    # then what was done is told as it was, and what nobody acted on counts by its source alone
    assert [order_state(EventLog(entries=[entry])) for entry in acted_on] == [OrderState.CANCELLED] * 2
    assert not LogEntry.of(answer, ()).counts
    assert LogEntry.of(answer.model_copy(update={"source": "orderlab/shipping"}), ()).counts


def test_an_older_log_s_event_that_nobody_who_was_handed_it_believed_does_not_count(order: Order) -> None:
    entry = by_nobody_we_know(handled(told(failure(order, "/erp"), None)))
    for delivery in entry.deliveries:
        delivery.reason = "shipment.failed is for shipping to tell: nothing was done"

    assert order_state(EventLog(entries=[entry])) is OrderState.COMPLETED


def test_what_does_not_count_keeps_nobody_s_own_word_out_also_when_it_has_left_the_log(order: Order) -> None:
    genuine = failure(order, "orderlab/shipping")
    squatting = genuine.model_copy(update={"type": "parcel.scanned"})
    log = EventLog(entries=[told(squatting, OUTSIDE)])

    assert log.holds(squatting, told_by=OUTSIDE)
    assert not log.holds(genuine, told_by="shipping")
    log.entries += [told(ticket(order, number), OUTSIDE) for number in range(3 * PAGE)]
    handed_on = log.handed_on("run")
    assert squatting.type not in [entry.type for entry in handed_on.entries]
    assert handed_on.holds(squatting, told_by=OUTSIDE)
    assert not handed_on.holds(genuine, told_by="shipping")


def test_a_page_keeps_the_word_that_counts_and_not_the_one_before_it_that_does_not(order: Order) -> None:
    # given an order that a stranger, then shipping, told to be given up
    forged, genuine = (
        told(failure(order, "/erp"), OUTSIDE),
        handled(told(failure(order, "orderlab/shipping"), "shipping")),
    )
    tickets = [told(ticket(order, number), OUTSIDE) for number in range(3 * PAGE)]
    log = EventLog(entries=[handled(told(order_placed(order), OUTSIDE)), forged, genuine, *tickets])

    handed_on = log.handed_on("run")

    assert [entry.source for entry in handed_on.entries[:2]] == ["orderlab/shop", "orderlab/shipping"]
    assert order_state(handed_on) is OrderState.CANCELLED


def test_what_refuses_another_order_under_the_id_says_nothing_of_the_first(order: Order) -> None:
    # given an order, and another one under its id that came past the counter and was refused by shipping
    first = handled(told(order_placed(order), OUTSIDE))
    other = order_placed(order.model_copy(update={"country": "Norway"})).model_copy(
        update={"id": "2", "source": "/erp"}
    )
    refusal = failure(order, "orderlab/shipping").model_copy(
        update={"type": "order.cancelled", "ordercontent": other.ordercontent, "causationid": other.name}
    )
    log = EventLog(entries=[first, handled(told(other, OUTSIDE)), handled(told(refusal, "shipping"))])
    log.entries += [told(ticket(order, number), OUTSIDE) for number in range(3 * PAGE)]

    # then the first stands, with all pages and with the latest
    assert order_state(log) is order_state(log.handed_on("run")) is OrderState.COMPLETED


def failure(order: Order, source: str) -> Event:
    placed = order_placed(order)
    data = {"order_id": order.order_id, "service": "shipping", "reason": "made up"}
    return placed.model_copy(
        update={"id": f"{placed.id}/shipment.failed", "source": source, "type": "shipment.failed", "data": data}
    )


def ticket(order: Order, number: int) -> Event:
    placed = order_placed(order)
    return placed.model_copy(update={"id": f"t{number}", "source": "/desk", "type": "ticket.created", "data": None})
