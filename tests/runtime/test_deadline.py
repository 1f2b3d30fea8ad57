"""What waits on behalf of an attempt waits no longer than that may take."""

import threading
import time
from contextvars import copy_context

import pytest

from runtime.deadline import Attempt, DeadlinePassedError, attempt_under_way, during, longest_wait_s, sleep


def attempt(left_s: float, number: int = 1) -> Attempt:
    return Attempt(number, time.monotonic() + left_s)


def test_without_an_attempt_the_usual_time_is_waited() -> None:
    assert attempt_under_way() is None
    assert longest_wait_s(30) == 30


@pytest.mark.parametrize(("left_s", "at_most"), [(2, 2), (0.5, 0.5), (0, 0.1), (-60, 0.1)])
def test_within_an_attempt_no_longer_than_what_is_left_but_for_a_moment(left_s: float, at_most: float) -> None:
    with during(attempt(left_s)):
        assert at_most - 0.1 <= longest_wait_s(30) <= at_most


def test_an_attempt_with_time_enough_changes_nothing() -> None:
    with during(attempt(3_600)):
        assert longest_wait_s(30) == 30


def test_what_would_take_longer_than_the_attempt_ends_with_it_and_says_so() -> None:
    with during(attempt(0.02)), pytest.raises(DeadlinePassedError, match="it would take 600 s"):
        sleep(600)


def test_what_comes_too_late_already_does_not_sleep_at_all() -> None:
    with during(attempt(-10)), pytest.raises(DeadlinePassedError):
        sleep(600)


def test_what_fits_is_slept_to_its_end() -> None:
    with during(attempt(3_600)):
        sleep(0.001)
    sleep(0.001)


def test_an_attempt_ends_with_its_block_and_an_outer_one_goes_on() -> None:
    with during(attempt(100, number=1)):
        with during(attempt(100, number=2)):
            within = attempt_under_way()
        after = attempt_under_way()

    assert (within and within.number, after and after.number, attempt_under_way()) == (2, 1, None)


def test_a_thread_that_is_given_the_context_is_in_the_same_attempt() -> None:
    seen: list[Attempt | None] = []
    with during(attempt(100, number=4)):
        context = copy_context()
    thread = threading.Thread(target=lambda: seen.append(context.run(attempt_under_way)))
    thread.start()
    thread.join()

    assert [one.number for one in seen if one] == [4]
