"""The bookkeeping of what hangs: who is let in, who has to wait, and when there is too much of it."""

from contextlib import ExitStack

import pytest
from temporalio.exceptions import ApplicationError

from hosting.hanging import Hanging, Limits, Work

LIMITS = Limits(slots=4, again=2, stuck=3, stuck_of_one=2)


def orders(count: int) -> list[Work]:
    return [("order", str(number), "1") for number in range(count)]


def test_what_has_not_hung_is_always_let_in() -> None:
    hanging = Hanging(LIMITS)
    with ExitStack() as under_way:
        for work in orders(100):
            under_way.enter_context(hanging.admitted(work, 1))


def test_of_what_has_hung_before_no_more_than_its_share_is_let_in_at_once() -> None:
    hanging = Hanging(LIMITS)
    hung = orders(3)
    for work in hung:
        hanging.took_all_its_time(work)

    with ExitStack() as under_way:
        for work in hung[:2]:
            under_way.enter_context(hanging.admitted(work, 2))
        with pytest.raises(ApplicationError, match="2 others that have are being tried"):
            under_way.enter_context(hanging.admitted(hung[2], 2))
        under_way.enter_context(hanging.admitted(("another", "9", "1"), 1))
    with hanging.admitted(hung[2], 3):
        pass  # the others have ended


def test_what_has_hung_and_then_come_to_an_end_in_time_is_like_any_other() -> None:
    hanging = Hanging(LIMITS)
    hung = orders(5)
    for work in hung:
        hanging.took_all_its_time(work)
        hanging.ended_in_time(work)

    with ExitStack() as under_way:
        for work in hung:
            under_way.enter_context(hanging.admitted(work, 3))


def test_what_holds_two_threads_gets_no_third_until_one_comes_back() -> None:
    hanging = Hanging(LIMITS)
    (work,) = orders(1)
    hanging.given_up(work)
    with hanging.admitted(work, 2):
        hanging.given_up(work)

    with pytest.raises(ApplicationError, match="2 earlier attempts still hang here"), hanging.admitted(work, 3):
        pytest.fail("let in")
    hanging.came_back(work)
    with hanging.admitted(work, 4):
        assert hanging.stuck == 1


def test_the_first_refusals_name_a_pause_and_later_ones_leave_it_to_the_policy() -> None:
    hanging = Hanging(Limits(again=0))
    (work,) = orders(1)
    hanging.took_all_its_time(work)

    def pause_at(attempt: int) -> float | None:
        with pytest.raises(ApplicationError) as refused, hanging.admitted(work, attempt):
            pytest.fail("let in")
        assert not refused.value.non_retryable
        pause = refused.value.next_retry_delay
        return None if pause is None else pause.total_seconds()

    assert 5 <= (pause_at(2) or 0) <= 10
    assert pause_at(9) is None


def test_too_much_hangs_when_more_threads_are_given_up_than_may_be() -> None:
    hanging = Hanging(LIMITS)
    works = orders(3)
    for number, work in enumerate(works):
        assert not hanging.is_full(), number
        hanging.given_up(work)
    assert hanging.is_full()

    hanging.came_back(works[0])
    assert not hanging.is_full()


def test_an_attempt_that_fails_gives_its_place_back() -> None:
    hanging = Hanging(Limits(again=1))
    (work,) = orders(1)
    hanging.took_all_its_time(work)
    for attempt in range(2, 5):
        with pytest.raises(ZeroDivisionError), hanging.admitted(work, attempt):
            divmod(1, 0)


def test_no_more_is_remembered_than_ten_thousand_pieces_of_work() -> None:
    hanging = Hanging(Limits(again=0))
    works = orders(10_001)
    for work in works:
        hanging.took_all_its_time(work)

    with hanging.admitted(works[0], 2):
        pass  # forgotten
    with pytest.raises(ApplicationError), hanging.admitted(works[-1], 2):
        pytest.fail("forgotten too early")
