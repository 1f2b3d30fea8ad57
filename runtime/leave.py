"""The one way out of every process that orderlab starts."""

import os
import sys
from typing import NoReturn


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
        try:
            stream.flush()
        except (OSError, ValueError):  # a reader that went away (`orderlab orders | head -1`) changes no exit code
            continue
    os._exit(code)
