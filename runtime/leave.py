"""The one way out of every process that orderlab starts."""

import asyncio
import contextlib
import io
import os
import signal
import sys
import traceback
from typing import NoReturn

import typer
from temporalio.service import RPCError, RPCStatusCode

from runtime.errors import ExitCode, OrderlabError
from runtime.outlets import keep_writing
from runtime.printable import printable

_NO_ANSWER = {
    RPCStatusCode.CANCELLED,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNAVAILABLE,
}


def leave(code: int) -> NoReturn:
    """End the process with `code`, everything printed and nothing torn down.

    A process that has used the Temporal client ends in SIGSEGV or SIGABRT during interpreter shutdown in about 1 of 15
    runs (https://github.com/temporalio/sdk-python/issues/300), which would turn a good result into a bad exit code.
    Skipping that shutdown avoids it; whatever must happen before the end (files closed, workers shut down) happens
    before this call.

    Args:
        code: the exit code, 0 to 255.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:  # closed before we began
                stream.flush()
    os._exit(code)


def run_process(app: typer.Typer, name: str) -> NoReturn:
    """Run the command line that the process was given, and leave with its exit code.

    Args:
        app: the commands.
        name: begins the line that says what went wrong.
    """
    out = keep_writing()
    speak_to_any_terminal()
    code = outcome(app, name, sys.argv[1:])
    sys.stdout.flush()
    trouble = out.trouble()
    if trouble is not None:
        _complain(name, f"can't write to standard output: {trouble}")
    leave(code or (ExitCode.BROKEN if trouble else ExitCode.DONE))


def speak_to_any_terminal() -> None:
    """From now on, a character that the encoding of standard output lacks is written as an escape and is no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def outcome(app: typer.Typer, name: str, arguments: list[str]) -> int:
    """Run a command line, say in one line on standard error what went wrong, and answer the exit code."""
    code: object = ExitCode.DONE
    complaint: str | None = None
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # `runtime.start` had another while it was loading
        code = app(arguments, standalone_mode=False)
        if code == ExitCode.INTERRUPTED:  # Typer has seen to the Ctrl-C itself
            complaint = "interrupted"
    except OrderlabError as error:
        code, complaint = error.exit_code, str(error)
    except typer.TyperException as error:
        # Names the option at fault; the exceptions that need none have no such method.
        told = getattr(error, "format_message", None)
        code, complaint = ExitCode.USAGE, told() if told else str(error)
    except RPCError as error:
        silent = error.status in _NO_ANSWER
        code = ExitCode.NO_SERVER if silent else ExitCode.BROKEN
        complaint = f"the Temporal server {'is not to be had' if silent else 'refused'}: {error.message}"
    except (KeyboardInterrupt, asyncio.CancelledError, typer.Abort):
        code, complaint = ExitCode.INTERRUPTED, "interrupted"
    except Exception:  # noqa: BLE001 - a defect of ours: told whole, and the way out stays the same
        traceback.print_exc()
        code = ExitCode.BROKEN
    if complaint:
        _complain(name, complaint)
    return code if isinstance(code, int) else ExitCode.DONE


def _complain(name: str, complaint: str) -> None:
    print(printable(f"{name}: {' '.join(complaint.split())}"), file=sys.stderr)  # noqa: T201 - what a person reads
