"""A moment is shown by the clock of this machine, or as it was told; it is never the end of a command."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.moments import in_utc, on_our_clock

EAST, WEST = timezone(timedelta(hours=23, minutes=59)), timezone(-timedelta(hours=23, minutes=59))
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - put into zones below


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts this machine's clock into a zone."""

    def put(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/London", "America/New_York"]
)
def test_moments_at_the_borders_of_the_calendar_are_shown_in_any_zone(
    in_zone: Callable[[str], None], zone: str
) -> None:
    in_zone(zone)

    for moment in (FIRST, LAST):
        for offset in (UTC, EAST, WEST):
            shown = on_our_clock(moment.replace(tzinfo=offset))
            assert shown.tzinfo is None or shown == moment.replace(tzinfo=offset)


def test_a_moment_that_the_local_clock_has_not_is_shown_with_the_offset_it_was_told_with(
    in_zone: Callable[[str], None],
) -> None:
    in_zone("America/New_York")

    assert on_our_clock(FIRST.replace(tzinfo=UTC)).isoformat(" ") == "0001-01-01 00:00:00+00:00"


def test_any_other_moment_is_shown_on_the_local_clock(in_zone: Callable[[str], None]) -> None:
    in_zone("Asia/Tokyo")

    assert on_our_clock(datetime(2026, 11, 24, 12, tzinfo=WEST)).isoformat(" ") == "2026-11-25 20:59:00"


@given(st.datetimes(timezones=st.sampled_from([UTC, EAST, WEST])))
def test_whatever_the_moment_it_can_be_shown(moment: datetime) -> None:
    assert on_our_clock(moment).isoformat(" ", "milliseconds")


@given(st.datetimes(), st.sampled_from([UTC, EAST, WEST]))
def test_a_moment_is_one_of_utc_exactly_where_the_calendar_has_it(moment: datetime, zone: timezone) -> None:
    offset = zone.utcoffset(None)
    if FIRST + max(offset, timedelta(0)) <= moment <= LAST + min(offset, timedelta(0)):
        assert in_utc(moment.replace(tzinfo=zone)) == moment.replace(tzinfo=zone)
    else:
        with pytest.raises(ValueError, match="years 1 to 9999"):
            in_utc(moment.replace(tzinfo=zone))
