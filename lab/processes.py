"""Keeps a lab's processes running: the mail server and a process per worker, each restarted if it dies."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import NoServerError
from runtime.settings import Settings
from server.children import end_child, last_line, start_child
from server.mail import wait_until_mail_is_taken
from server.pollers import unpolled, wait_until_polled
from server.ports import free_ports
from server.session import Session
from services.order_placed import ORCHESTRATORS, WORKERS
from services.service import task_queue

_LOOK_EVERY_S = 0.25
_READY_S = 60.0
_GRACE_S = 8.0
_LONGEST_PAUSE_S = 10.0
_LIVES_S = 30.0
"""A process that has lived so long is restarted at once; one that dies sooner, after a growing pause."""


@dataclass
class Child:
    """A process that is kept running."""

    name: str
    argv: list[str]
    env: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float = 0

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self.process.pid


@contextlib.asynccontextmanager
async def lab_processes(
    session: Session, settings: Settings, announce: Callable[[str], None]
) -> AsyncIterator[list[Child]]:
    """Run what a lab needs beside the Temporal server, until the block ends.

    Workers that are at work already (of another `orderlab up`, or started by hand) are left to it.

    Args:
        session: the Temporal server.
        settings: the data directory, and the mail server if the user has one.
        announce: is told in one line when a process dies and is restarted.

    Yields:
        The processes that were started; the list changes when one is restarted.

    Raises:
        NoServerError: a worker does not get ready.
    """
    missing = set(await unpolled(session.client, queues(session.lab)))
    names = [name for name in WORKERS if task_queue(name, session.lab) in missing]
    children: list[Child] = []
    env = dict(os.environ)
    try:
        if "marketing" in names and settings.smtp_url is None:
            (port,) = free_ports(0)
            argv = [sys.executable, "-m", "server.mail", "--data", str(settings.data), "--port", str(port)]
            children.append(_start("mail", argv, env, settings))
            await asyncio.to_thread(wait_until_mail_is_taken, port)
            env["ORDERLAB_SMTP_URL"] = f"smtp://127.0.0.1:{port}"
        for name in names:
            argv = [sys.executable, "-m", "worker", "--service", name, "--data", str(settings.data)]
            children.append(_start(name, argv, env, settings))
        watch = asyncio.create_task(_keep_running(children, announce))
        try:
            late = await wait_until_polled(session.client, queues(session.lab), _READY_S)
            if late:
                log = settings.log_dir / f"{late[0].removesuffix(f'-{session.lab}')}.log"
                raise NoServerError(f"no worker gets ready on {', '.join(late)}: {last_line(log)} (log: {log})")
            yield children
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
    finally:
        await asyncio.gather(*(asyncio.to_thread(end_child, child.process, _GRACE_S) for child in reversed(children)))


def queues(lab: str, names: Iterable[str] = WORKERS) -> list[tuple[str, bool]]:
    """The task queues of these workers, each with whether it is one of workflows."""
    return [(task_queue(name, lab), name in ORCHESTRATORS) for name in names]


def _start(name: str, argv: list[str], env: dict[str, str], settings: Settings) -> Child:
    log = settings.log_dir / f"{name}.log"
    return Child(name, argv, env, log, start_child(argv, log=log, env=env), asyncio.get_running_loop().time())


async def _keep_running(children: list[Child], announce: Callable[[str], None]) -> None:
    """Restart what dies. It runs on the thread that started the children first, to whose life they are tied."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        for child in children:
            code = child.process.poll()
            if code is None:
                continue
            if loop.time() - child.started > _LIVES_S:
                child.pause_s = 0
            if loop.time() - child.started < child.pause_s:
                continue
            announce(f"{child.name} (pid {child.pid}) ended with {code}; restarting it (log: {child.log})")
            child.process = start_child(child.argv, log=child.log, env=child.env)
            child.started = loop.time()
            child.pause_s = min(_LONGEST_PAUSE_S, child.pause_s * 2 + 0.5)
