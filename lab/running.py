"""What a command needs to be running: for its own duration, or as a whole lab."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from hosting.workers import hosting
from lab.console import announce
from lab.processes import Child, lab_processes, prepare_to_fork, queues
from runtime.errors import InputError
from runtime.settings import Settings
from server.pollers import unpolled
from server.session import Session, open_session
from services.order_placed import WORKERS
from services.service import task_queue

PATIENCE_S = 10
"""After this time without news, a command says why nothing happens."""


@contextlib.asynccontextmanager
async def for_this_command(settings: Settings, names: Sequence[str] = WORKERS) -> AsyncIterator[tuple[Session, bool]]:
    """A Temporal server with these workers at work; what is missing runs inside this process until the block ends.

    Args:
        settings: the data directory.
        names: the workers that the command can't do without.

    Yields:
        The session, and whether workers were missing: what they have begun must then be waited for.

    Raises:
        NoServerError: there is no server to be had.
    """
    async with open_session(settings, announce=announce) as session:
        missing = set(await unpolled(session.client, queues(session.lab, names)))
        needed = [name for name in names if task_queue(name, session.lab) in missing]
        if not needed:
            yield session, False
            return
        if tuple(needed) == WORKERS:
            announce("no `orderlab up` is running here: all workers run in this process until it is done")
        async with hosting(session.client, needed, settings, session.lab):
            yield session, True


@contextlib.asynccontextmanager
async def whole_lab(settings: Settings, *, tuned: bool = True) -> AsyncIterator[tuple[Session, list[Child]]]:
    """A Temporal server and a process per worker, restarted when one dies, until the block ends.

    Args:
        settings: the data directory.
        tuned: run the server with our settings; a server that runs already must fit.

    Yields:
        The session, and the processes that were started; those that ran already are not among them.

    Raises:
        InputError: a server runs already, with other settings.
        NoServerError: there is no server to be had, or a worker does not get ready.
    """
    prepare_to_fork()
    async with open_session(settings, announce=announce, lasting=True, tuned=tuned) as session:
        if not tuned and session.tuned is not False:
            raise InputError("--untuned needs a server of its own: stop the one that runs, or unset TEMPORAL_ADDRESS")
        announce(f"Temporal server {session.address}, UI {session.ui_url or 'of your own'}; starting the workers")
        async with lab_processes(session, settings, announce) as children:
            yield session, children


async def until_interrupted() -> None:
    """Wait for Ctrl-C, which is how a lab that stays up is ended, and no failure."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    announce("stopping")
