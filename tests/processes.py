"""Runs orderlab's commands as the processes that they are."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_LIMIT_S = 120


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    """Our environment without what would point commands somewhere else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "ORDERLAB_"))}
    return {**kept, "COLUMNS": "200", **changes}


def forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this process, too, without what would point commands somewhere else."""
    for name in os.environ.keys() - environment().keys():
        monkeypatch.delenv(name)


def orderlab(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ran:
    """Run one command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "client", *arguments],
        cwd=cwd,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def running(argv: Sequence[str], *, cwd: Path, until: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run a program in the background once it has printed a line that matches; Ctrl-C at the end of the block.

    Yields:
        The process, and the lines that it had printed by then.
    """
    process = subprocess.Popen(
        argv, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if re.search(until, line):
                break
        else:
            raise AssertionError(f"ended with {process.wait()} before {until!r}:\n{''.join(lines)}")
        yield process, lines
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
