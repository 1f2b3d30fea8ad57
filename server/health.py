"""`python -m server.health --task-queue NAME`: whether a worker is at work. The healthcheck of its container.

A worker opens no port that could be asked, and a process that is there may still have lost the server. So the server is
asked who polls the worker's task queue: only a worker that is connected and has room for work does.

Exit code 0 means healthy and 1 unhealthy, as Docker wants it; standard error says why.
"""

import argparse
import asyncio
import sys

from temporalio.service import RPCError

from runtime.errors import ExitCode, NoServerError
from runtime.leave import leave
from runtime.settings import Settings
from server.connect import connect_external, lab_suffix
from server.pollers import is_polled
from services.service import task_queue

_WAIT_S = 5.0
"""Docker gives a check 10 s, and one that it had to kill has not said why."""


async def is_at_work(name: str) -> bool:
    """Whether a live worker polls the task queue of this name, on the server that the environment names.

    Args:
        name: the task queue without the suffix of the lab, such as `shipping`; ORDERLAB_LAB gives the suffix.

    Raises:
        NoServerError: the server does not answer.
    """
    client = await connect_external(_WAIT_S)
    queue = task_queue(name, lab_suffix(Settings(), external=True))
    # A queue has pollers for activities, for workflows, or for both: any of them is a worker.
    kinds = await asyncio.gather(*(is_polled(client, queue, workflows=kind) for kind in (False, True)))
    return any(kinds)


def main() -> ExitCode:
    """Check what the command line names."""
    parser = argparse.ArgumentParser(prog="server.health", description="Tells whether a worker is at work.")
    parser.add_argument("--task-queue", required=True, metavar="NAME", help="such as shipping")
    name: str = parser.parse_args().task_queue
    try:
        healthy, why = asyncio.run(is_at_work(name)), f"no live worker polls the task queue of {name}"
    except (NoServerError, RPCError) as error:
        healthy, why = False, str(error)
    if healthy:
        return ExitCode.DONE
    print(why, file=sys.stderr)  # noqa: T201 - shown by `docker inspect`
    return ExitCode.BROKEN


if __name__ == "__main__":
    leave(main())
