"""Lets the SDK download the Temporal CLI: `python -m server.download VERSION DIRECTORY`.

A process of its own because the download can't be interrupted from Python: a process can be killed.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from runtime.errors import ExitCode
from runtime.leave import leave

FIRST_BYTE_S = 20
"""Closed downloads are mostly refused at once; where a firewall drops packets instead, nothing ever arrives."""


async def download(version: str, directory: Path) -> None:
    """Put the CLI into `directory`, under a name that the SDK chooses.

    Args:
        version: of the CLI, such as `1.5.1`.
        directory: empty, or holding an earlier download of this version.

    Raises:
        TimeoutError: nothing has arrived after `FIRST_BYTE_S`.
        RuntimeError: the download was refused, or what came does not run.
    """
    starting = asyncio.ensure_future(
        WorkflowEnvironment.start_local(
            download_dest_dir=str(directory),
            dev_server_download_version=f"v{version}",
            dev_server_startup_timeout=timedelta(seconds=30),
        )
    )
    await asyncio.wait({starting}, timeout=FIRST_BYTE_S)
    if not starting.done() and not any(directory.iterdir()):  # noqa: ASYNC240 - nothing else runs in this process
        raise TimeoutError(f"nothing has arrived within {FIRST_BYTE_S} s")
    server = await starting  # the SDK has no call that only downloads: the server that it starts isn't needed
    await server.shutdown()


if __name__ == "__main__":
    try:
        asyncio.run(download(sys.argv[1], Path(sys.argv[2])))
    except (RuntimeError, TimeoutError) as error:
        sys.stderr.write(f"{error}\n")
        leave(ExitCode.NO_SERVER)
    leave(ExitCode.DONE)
