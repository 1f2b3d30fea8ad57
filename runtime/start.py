"""Starts the programs of orderlab, which need a second to load: nothing heavy may be imported here.

Ctrl-C in that second is answered as it is later: in one line, with the exit code of an interruption.
"""

import importlib
import os
import signal

_INTERRUPTED = 130
"""`runtime.errors.ExitCode`, which is not loaded yet."""


def client() -> None:
    """The process of `orderlab`."""
    _start("client", "orderlab")


def worker() -> None:
    """The process of a worker."""
    _start("worker", "worker")


def _start(module: str, name: str) -> None:
    def interrupted(_number: int, _frame: object) -> None:
        os.write(2, f"{name}: interrupted\n".encode())
        os._exit(_INTERRUPTED)  # whatever is being imported would tell of its own end in a traceback

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's `&` makes a program ignore it
        signal.signal(signal.SIGINT, interrupted)
    importlib.import_module(module).main()
