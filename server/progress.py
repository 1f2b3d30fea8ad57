"""Shows that something slow is still going on."""

import time
from collections.abc import Callable

from rich.console import Console

_STEP_S = 0.5


def wait_with_clock(what: str, done: Callable[[float], bool], limit_s: float, *, line_every_s: float = 20) -> bool:
    """Wait for a condition, with the elapsed time on standard error: live on a terminal, else as a line now and then.

    Args:
        what: what is going on, for the person who waits.
        done: waits for the condition for at most the given number of seconds and tells whether it holds.
        limit_s: the longest time to wait for it.
        line_every_s: time between two lines where there is no terminal.

    Returns:
        Whether the condition came to hold in time.
    """
    console = Console(stderr=True)
    started = time.monotonic()
    next_line_s = line_every_s
    with console.status(what) as status:
        while not done(_STEP_S):
            elapsed_s = time.monotonic() - started
            if elapsed_s >= limit_s:
                return False
            status.update(f"{what}: {elapsed_s:.0f} s")
            if not console.is_terminal and elapsed_s >= next_line_s:
                console.print(f"{what}: {elapsed_s:.0f} s", markup=False, highlight=False, soft_wrap=True)
                next_line_s += line_every_s
    return True
