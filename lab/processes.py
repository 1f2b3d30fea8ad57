"""Keeps a lab's processes running: the mail server and a process per worker, each restarted if it dies.

They are forked from one process that has imported everything and started nothing (`multiprocessing`'s fork server):
importing takes each of them two seconds of a processor otherwise, at every start and after every death.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from hosting.composition import WORKFLOWS_OF
from hosting.serving import serve as serve_workers
from runtime.errors import ExitCode, NoServerError
from runtime.leave import leave
from runtime.logs import configure_logs
from runtime.settings import Settings
from server.children import last_line
from server.mail import serve as serve_mail
from server.mail import wait_until_mail_is_taken
from server.pollers import unpolled, wait_until_polled
from server.ports import LOOPBACK, free_ports
from server.session import Session
from services.order_placed import WORKERS
from services.service import lab_beside, task_queue

_LOOK_EVERY_S = 0.25
_READY_S = 60.0
_GRACE_S = 8.0
_LONGEST_PAUSE_S = 10.0
_LIVES_S = 30.0
"""A process that has lived so long is restarted at once; one that dies sooner, after a growing pause."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", __name__])


@dataclass
class Child:
    """A process that is kept running."""

    name: str
    job: Callable[..., Coroutine[Any, Any, None] | None]
    arguments: tuple[Any, ...]
    log: Path
    address: str | None = None
    """Where it listens."""
    pause_s: float = 0
    held: bool = False
    """Not to be restarted for now."""
    process: ForkServerProcess = field(init=False)
    started: float = field(init=False)

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self.process.pid or 0

    def start(self) -> None:
        """Start it, or start it again."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process = _FORKS.Process(target=_apart, args=(self.job, self.arguments, self.log), name=self.name)
        self.process.start()
        self.started = asyncio.get_running_loop().time()

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        self.process.kill()

    def end(self) -> None:
        """Let it finish what is under way, for a while."""
        self.process.terminate()
        self.process.join(_GRACE_S)
        self.process.kill()
        self.process.join()


def prepare_to_fork() -> None:
    """Begin to import what the processes need, while the caller does something else."""
    forkserver.ensure_running()


@contextlib.asynccontextmanager
async def lab_processes(
    session: Session,
    settings: Settings,
    announce: Callable[[str], None],
    workers: Sequence[str] = WORKERS,
    beside: str | None = None,
) -> AsyncIterator[list[Child]]:
    """Run what a lab needs beside the Temporal server, until the block ends.

    Workers that are at work already (of another `orderlab up`, or started by hand) are left to it.

    Args:
        session: the Temporal server.
        settings: the data directory, and the mail server if the user has one.
        announce: is told in one line when a process dies and is restarted.
        workers: what to run.
        beside: name of a second lab on the same server, with task queues and stores of its own.

    Yields:
        The processes that were started.

    Raises:
        NoServerError: a worker does not get ready.
    """
    lab = session.lab if beside is None else lab_beside(session.lab, beside)
    stores = settings if beside is None else settings.beside(beside)
    missing = set(await unpolled(session.client, queues(lab, workers)))
    names = [name for name in workers if task_queue(name, lab) in missing]
    children: list[Child] = []

    def run(name: str, job: Callable[..., Any], *arguments: object, address: str | None = None) -> None:
        child = Child(name, job, arguments, stores.log_dir / f"{name}.log", address)
        child.start()
        children.append(child)

    try:
        if "marketing" in names and settings.smtp_url is None:
            (port,) = free_ports(0)
            settings = settings.model_copy(update={"smtp_url": f"smtp://{LOOPBACK}:{port}"})
            run("mail", serve_mail, stores.mail_dir, port, address=settings.smtp_url)
            await asyncio.to_thread(wait_until_mail_is_taken, port)
        for name in names:
            run(name, serve_workers, (name,), settings, beside)
        watch = asyncio.create_task(_keep_running(children, announce))
        try:
            late = await wait_until_polled(session.client, queues(lab, workers), _READY_S)
            if late:
                log = stores.log_dir / f"{late[0].removesuffix(f'-{lab}')}.log"
                raise NoServerError(f"no worker gets ready on {', '.join(late)}: {last_line(log)} (log: {log})")
            yield children
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
    finally:
        await asyncio.gather(*(asyncio.to_thread(child.end) for child in children))


def queues(lab: str, names: Iterable[str] = WORKERS) -> list[tuple[str, bool]]:
    """The task queues of these workers, each with whether it is one of workflows."""
    return [(task_queue(name, lab), name in WORKFLOWS_OF) for name in names]


async def _keep_running(children: list[Child], announce: Callable[[str], None]) -> None:
    """Restart what dies."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        for child in children:
            code = child.process.exitcode
            lived_s = loop.time() - child.started
            if code is None or child.held or lived_s < child.pause_s:
                continue
            announce(f"{child.name} (pid {child.pid}) ended with {code}; restarting it (log: {child.log})")
            killed = code < 0  # from outside: it has no fault of its own that would end the next one, too
            child.pause_s = 0 if killed or lived_s > _LIVES_S else min(_LONGEST_PAUSE_S, child.pause_s * 2 + 0.5)
            child.start()


def _apart(job: Callable[..., Any], arguments: tuple[Any, ...], log: Path) -> None:
    """Do a job in a process of its own: with its own log, deaf to the terminal's Ctrl-C, and no longer than we live.

    A Ctrl-C goes to all of a terminal's processes at once, but ours are still needed to finish what is under way.
    """
    os.setsid()
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), sys.stdout.fileno())
        os.dup2(sink.fileno(), sys.stderr.fileno())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    configure_logs()
    code = ExitCode.DONE
    try:
        result = job(*arguments)
        if result is not None:
            asyncio.run(result)
    except Exception:  # noqa: BLE001 - told in the log; the supervisor restarts us
        traceback.print_exc()
        code = ExitCode.BROKEN
    leave(code)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
