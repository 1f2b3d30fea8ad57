"""The log of a correlation key as a person is shown it: each outcome beside the one whose it is."""

import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from rich.console import Console

from events.log import DeliveryRecord, DeliveryState, Earlier, EventLog, LogEntry
from lab import show

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
OUTCOMES = {
    "shipping.on_order_placed": DeliveryState.HANDLED,
    "invoicing.on_order_placed": DeliveryState.PARKED,
    "marketing.on_order_placed": DeliveryState.SUPERSEDED,
    "analytics.on_order_placed": DeliveryState.FAILED,
}


def entry(number: int = 1, *, at: datetime = AT, cause: str | None = None, outcomes: bool = True) -> LogEntry:
    deliveries = [
        DeliveryRecord(subscriber=handler.split(".")[0], handler=handler, state=state)
        for handler, state in (OUTCOMES.items() if outcomes else ())
    ]
    return LogEntry(
        id=f"e{number}", type="order.placed", source="orderlab/shop", time=at, causationid=cause, digest="",
        deliveries=deliveries,
    )  # fmt: skip


def cells(log: EventLog, width: int) -> list[list[str]]:
    """The lines of the table as they are printed, cell by cell."""
    return [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in printed(log, width).splitlines() if "│" in line
    ]


def printed(log: EventLog, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(show.event_log("536365", log))
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_each_outcome_begins_on_the_line_on_which_its_subscriber_begins(width: int) -> None:
    # given a log whose handlers are wrapped in a narrow terminal, and its outcomes are not
    lines = cells(EventLog(entries=[entry()]), width)
    # when the cells of each delivery are put together again: a line that begins an outcome begins a delivery
    told: list[list[str]] = []
    for line in lines:
        handler, outcome = line[4], line[5]
        is_new = any(handler and name.startswith(handler) for name in OUTCOMES)
        if is_new:
            told.append(["", ""])
        told[-1] = [told[-1][0] + handler, told[-1][1] + outcome]

    # then every outcome is its own subscriber's
    assert told == [[handler, str(state)] for handler, state in OUTCOMES.items()]


def test_an_event_is_told_once_and_its_further_deliveries_below_it() -> None:
    lines = cells(EventLog(entries=[entry(), entry(2, cause="e1")]), 200)

    assert [line[0] for line in lines] == ["1", "", "", "", "2", "", "", ""]
    assert [line[6] for line in lines] == ["", "", "", "", "#1", "", "", ""]
    assert all(line[:4] == ["", "", "", ""] for line in lines if not line[0])


def test_an_event_for_nobody_is_told_so() -> None:
    assert [line[4:6] for line in cells(EventLog(entries=[entry(outcomes=False)]), 200)] == [["nobody", ""]]


def test_events_that_are_known_and_can_t_be_shown_any_more_are_told_of() -> None:
    log = EventLog(entries=[entry()], earlier=Earlier(events=1_234))

    assert "1,234 earlier, which can't be shown any more" in printed(log, 200)
    assert "earlier" not in printed(EventLog(entries=[entry()]), 200)


@pytest.mark.parametrize("hours", [-23, 23])
@pytest.mark.parametrize("year", [1, 9999])
def test_a_log_that_took_in_a_moment_of_no_calendar_is_shown(year: int, hours: int) -> None:
    moment = datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, tzinfo=timezone(timedelta(hours=hours)))

    assert "order.placed" in printed(EventLog(entries=[entry(at=moment)]), 200)


def test_it_is_told_what_does_not_count_and_what_a_person_told() -> None:
    failed = entry(outcomes=False).model_copy(update={"type": "shipment.failed", "source": "/erp", "told_by": ""})
    act = failed.model_copy(update={"by_hand": "ann"})

    lines = cells(EventLog(entries=[failed, act]), 200)

    assert [(line[2], line[4], line[5]) for line in lines] == [
        ("/erp", "nobody", "does not count: it is not theirs to tell"),
        ("/erp, by hand of ann", "nobody", ""),
    ]
