"""Hosts one service, several, or all of them: `python worker.py`, `python worker.py --service shipping`."""

if __name__ == "__main__":  # above what is heavy to import: see there
    from runtime.start import worker

    worker()

import asyncio
from typing import Annotated

import typer

from hosting.composition import check_room, check_settings
from hosting.serving import serve
from runtime.leave import run_process
from runtime.logs import configure_logs
from runtime.settings import Settings
from services.order_placed import WORKERS, check_worker_names


def run(
    service: Annotated[
        list[str] | None, typer.Option(help=f"What to host, once or several times: {', '.join(WORKERS)}. Default: all.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DIRECTORY", help="Directory of the lab (default .orderlab).")
    ] = None,
) -> None:
    """Host services and workflows until Ctrl-C.

    Without TEMPORAL_ADDRESS or a profile, the server that runs on the data directory is used, or one is started.
    """
    configure_logs()
    settings = check_settings(Settings.at(data))
    names = check_worker_names(tuple(service or WORKERS))
    check_room(settings, names)
    asyncio.run(serve(names, settings))


def main() -> None:
    """The process: runs, says in one line what went wrong, and leaves."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    run_process(app, "worker")
