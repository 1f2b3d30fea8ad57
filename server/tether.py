"""Turns into the command it is given, tied to the life of the process that asked for it (Linux).

Run by path, so that it starts fast and imports nothing of ours: `python tether.py PARENT_PID COMMAND [ARGUMENT…]`.

Why a program and not `preexec_fn`: that runs Python between fork and exec, where a lock held by one of the SDK's
threads would block it for ever.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


def main() -> None:
    """Ask for SIGTERM at the parent's death, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the line above: its death will not be signalled any more
        sys.exit("the parent is gone")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so in the command
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
