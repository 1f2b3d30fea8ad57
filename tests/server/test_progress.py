"""What is shown while something slow goes on."""

import pytest

from server.progress import wait_with_clock


def test_without_a_terminal_the_elapsed_time_comes_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    looks = iter([False, False, True])

    assert wait_with_clock("building", lambda _: next(looks), limit_s=60, line_every_s=0)

    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["building: 0 s", "building: 0 s"]
    assert shown.out == ""


def test_what_never_comes_is_given_up_at_the_limit() -> None:
    assert not wait_with_clock("building", lambda _: False, limit_s=0)
