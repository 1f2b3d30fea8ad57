"""Threads for activities, of which some may never come back."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Answer = TypeVar("Answer")

_AS_MANY_AS_THE_SDK_ASKS_FOR = 10_000
"""It warns of a pool with fewer threads than its worker has slots."""

_Work = tuple["Future[object]", Callable[[], object]]


class AbandonableThreads(ThreadPoolExecutor):
    """A pool that begins a thread whenever none is idle, and waits for none at its end, nor at that of the process.

    The standard library's has a fixed number of threads, is full when as many hang, and a process can't end before all
    of them do. The SDK takes no executor but a `ThreadPoolExecutor`, so this is one, of which nothing is used.
    """

    def __init__(self, name: str) -> None:
        """Make a pool without any threads; how many there will be is decided by who submits work.

        Args:
            name: begins the threads' names.
        """
        super().__init__(max_workers=_AS_MANY_AS_THE_SDK_ASKS_FOR)
        self._name = name
        self._lock = threading.Lock()
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        self._idle = 0
        self._begun = 0
        self._closed = False

    def submit(self, fn: Callable[P, Answer], /, *args: P.args, **kwargs: P.kwargs) -> "Future[Answer]":
        """Have it called in a thread of its own, at once.

        Raises:
            RuntimeError: the pool was shut down.
        """
        future: Future[Answer] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("can't submit work after the shutdown")
            self._waiting.put((future, lambda: fn(*args, **kwargs)))  # type: ignore[arg-type] # Future is invariant
            if self._idle:
                self._idle -= 1  # that thread will take it
                return future
            self._begun += 1
            number = self._begun
        threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - theirs
        """Take no more work, and let each thread end when its work does; none is waited for."""
        with self._lock:
            self._closed = True
            for _ in range(self._idle):
                self._waiting.put(None)
            self._idle = 0

    def _work(self) -> None:
        while (taken := self._waiting.get()) is not None:
            future, call = taken
            if future.set_running_or_notify_cancel():
                try:
                    answer = call()
                except BaseException as error:  # noqa: BLE001 - told to whoever waits for it
                    future.set_exception(error)
                else:
                    future.set_result(answer)
            del taken, future, call  # an idle thread keeps nothing of its last work
            with self._lock:
                if self._closed:
                    return
                self._idle += 1
