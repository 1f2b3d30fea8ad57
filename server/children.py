"""Child processes that neither meet the terminal's Ctrl-C nor outlive us."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
_TAIL_BYTES = 8192


def start_child(
    argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a command in the background.

    It gets a session of its own: Ctrl-C on a terminal goes to the whole foreground group, and would end the servers
    while we still need them to finish and to report. On Linux it gets SIGTERM when we die, even by SIGKILL, which
    leaves no time for cleaning up: a server that stays behind would hold its port and its database. The kernel ties it
    to the *thread* that calls this, so call it from one that lives as long as the child shall.

    Args:
        argv: the command and its arguments.
        log: standard output and standard error are appended to this file.
        env: the whole environment of the child; ours if None.
        cwd: its working directory; ours if None.

    Returns:
        The process; its pid is the command's and also its process group's.

    Raises:
        OSError: the log can't be written or, other than on Linux, the command can't be run.
    """
    tether: list[str | Path] = (
        [sys.executable, "-I", "-S", _TETHER, str(os.getpid())] if sys.platform == "linux" else []
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        return subprocess.Popen(  # noqa: S603 - the commands are ours
            [*tether, *argv],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )


def end_child(child: subprocess.Popen[bytes], grace_s: float) -> int:
    """End a child from `start_child` and its descendants: by SIGTERM, or by SIGKILL after `grace_s` seconds.

    Returns:
        Its exit code, negative for the signal that ended it; also when it had ended before.
    """
    _signal_group(child, signal.SIGTERM)
    try:
        return child.wait(grace_s)
    except subprocess.TimeoutExpired:
        return kill_child(child)


def kill_child(child: subprocess.Popen[bytes]) -> int:
    """End a child from `start_child` and its descendants at once, by SIGKILL.

    Returns:
        Its exit code, as `end_child`.
    """
    _signal_group(child, signal.SIGKILL)
    return child.wait()


def last_line(log: Path, since: int = 0) -> str:
    """The last line in a log that says something, or "".

    Args:
        log: the file; it need not exist.
        since: what stands before this offset in bytes is of an earlier run, and left out.
    """
    with suppress(FileNotFoundError), log.open("rb") as source:
        source.seek(max(since, log.stat().st_size - _TAIL_BYTES))
        lines = source.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""


def _signal_group(child: subprocess.Popen[bytes], which: signal.Signals) -> None:
    if child.poll() is None:  # once it has been reaped, its number may be another's
        with suppress(ProcessLookupError):
            os.killpg(child.pid, which)
