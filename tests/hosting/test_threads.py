"""The pool whose threads may never come back: none is waited for, and one that hangs takes no other's place."""

import subprocess
import sys
import threading
from concurrent.futures import Future, wait

import pytest

from hosting.threads import AbandonableThreads
from runtime.settings import PROJECT


def test_work_is_done_however_many_threads_hang() -> None:
    never = threading.Event()
    with AbandonableThreads("test") as threads:
        hanging = [threads.submit(never.wait) for _ in range(50)]

        assert threads.submit(pow, 2, 10).result(timeout=30) == 1_024
        assert not any(one.done() for one in hanging)
    never.set()


def test_an_idle_thread_takes_the_next_work() -> None:
    with AbandonableThreads("test") as threads:
        first = threads.submit(threading.current_thread).result(timeout=30)
        names = {first.name}
        for _ in range(50):
            names.add(threads.submit(lambda: threading.current_thread().name).result(timeout=30))

        assert len(names) < 10  # a thread that has just answered may not be idle yet


def test_what_is_raised_is_told_and_the_thread_goes_on() -> None:
    with AbandonableThreads("test") as threads:
        with pytest.raises(ZeroDivisionError):
            threads.submit(divmod, 1, 0).result(timeout=30)

        assert threads.submit(divmod, 7, 2).result(timeout=30) == (3, 1)


def test_after_the_shutdown_nothing_is_taken_and_what_is_under_way_still_ends() -> None:
    go_on = threading.Event()
    threads = AbandonableThreads("test")
    under_way = threads.submit(go_on.wait)
    threads.shutdown()

    with pytest.raises(RuntimeError, match="after the shutdown"):
        threads.submit(go_on.wait)
    go_on.set()
    assert under_way.result(timeout=30)


def test_a_thousand_pieces_of_work_submitted_from_many_threads_are_all_done_once() -> None:
    done: list[int] = []
    with AbandonableThreads("test") as threads:

        def submit_more(hundred: int) -> list[Future[None]]:
            return [threads.submit(done.append, hundred * 100 + number) for number in range(100)]

        begun = [threads.submit(submit_more, hundred) for hundred in range(10)]
        wait([inner for outer in begun for inner in outer.result(timeout=30)], timeout=30)

    assert sorted(done) == list(range(1_000))


def test_a_process_ends_though_a_thread_hangs() -> None:
    program = (
        "import threading; from hosting.threads import AbandonableThreads\n"
        "with AbandonableThreads('t') as t: t.submit(threading.Event().wait); print('done')"
    )

    ended = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout) == (0, b"done\n")
