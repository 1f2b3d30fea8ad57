"""A lab that tests without coroutines can use: its loop runs in a thread of its own."""

import asyncio
import itertools
import shlex
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lab.processes import Child
from lab.running import whole_lab
from orders.loader import OrderBook
from orders.model import Order
from runtime.settings import Settings
from server.binary import find_temporal_binary
from server.session import Session

PATIENCE_S = 120
"""How long anything is waited for."""

Answer = TypeVar("Answer")


@dataclass
class Shop:
    """A lab with a process per worker, on a loop in a thread of its own, as hypothesis runs no coroutines."""

    session: Session
    settings: Settings
    processes: Sequence[Child]
    book: OrderBook
    loop: asyncio.AbstractEventLoop
    seen: Counter[str] = field(default_factory=Counter)
    """How often what occurred."""
    labels: Iterator[str] = field(default_factory=lambda: map("l{}".format, itertools.count()))

    def begin(self, work: Coroutine[Any, Any, Answer]) -> Future[Answer]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self.begin(work).result(PATIENCE_S)

    def fresh_order(self, which: int) -> Order:
        """One of the real orders, under an id that it has had in no other life."""
        return self.book.take(which + 1, 1, next(self.labels))[which]

    def kill(self, worker: str) -> None:
        """End a worker's process by SIGKILL; it is started again."""
        next(process for process in self.processes if process.name == worker).kill()

    def kill_server(self) -> None:
        """End the server by SIGKILL; it is started again."""
        assert self.session.server is not None
        self.do(self.session.server.kill())


@contextmanager
def shop_in_a_thread(data: Path, book: OrderBook) -> Iterator[Shop]:
    """A shop whose loop runs beside the test, until the block ends."""
    opened: Future[Shop] = Future()
    over = asyncio.Event()

    async def keep_open() -> None:
        try:
            async with whole_lab(Settings(data=data)) as (session, processes):
                opened.set_result(Shop(session, Settings(data=data), processes, book, asyncio.get_running_loop()))
                await over.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=(keep_open(),))
    thread.start()
    try:
        shop = opened.result(PATIENCE_S)
        yield shop
    finally:
        if opened.done() and opened.exception() is None:
            opened.result().loop.call_soon_threadsafe(over.set)
        thread.join()


def impatient_server(bin_directory: Path, *, new_run_after_events: int) -> None:
    """Put a `temporal` into a directory whose server suggests a new run after so few history events."""
    bin_directory.mkdir()
    program = bin_directory / "temporal"
    real = shlex.quote(str(find_temporal_binary(print)))
    option = f"--dynamic-config-value limit.historyCount.suggestContinueAsNew={new_run_after_events}"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = server ] && exec {real} "$@" {option}\nexec {real} "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
