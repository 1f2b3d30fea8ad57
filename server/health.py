"""`python -m server.health NAME`: whether the worker of this name is at work. The healthcheck of its container."""

import asyncio
import sys

from runtime.errors import ExitCode, OrderlabError
from runtime.leave import leave
from runtime.settings import Settings
from server.connect import connect_external, lab_suffix
from server.pollers import is_polled
from services.order_placed import ORCHESTRATORS
from services.service import task_queue


async def is_at_work(name: str) -> bool:
    """Whether a live worker polls the task queue of this name, on the server that the environment names.

    Raises:
        NoServerError: the server does not answer.
    """
    client = await connect_external()
    queue = task_queue(name, lab_suffix(Settings(), external=True))
    return await is_polled(client, queue, workflows=name in ORCHESTRATORS)


if __name__ == "__main__":
    try:
        code = ExitCode.DONE if asyncio.run(is_at_work(sys.argv[1])) else ExitCode.BROKEN
    except OrderlabError as error:
        print(error, file=sys.stderr)  # noqa: T201 - read by `docker inspect`
        code = error.exit_code
    leave(code)
