"""Finds the `temporal` program, whose `server start-dev` is our embedded server; fetches it where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from runtime.errors import NoServerError
from server.children import end_child, last_line, start_child
from server.progress import wait_with_clock

CLI_VERSION = "1.5.1"
"""What is fetched: the newest version that `go install` can build, so that both ways lead to the same server."""

_CHECK_S = 30
_DOWNLOAD_S = 180
_BUILD_S = 20 * 60

_Announce = Callable[[str], None]


def find_temporal_binary(announce: _Announce) -> Path:
    """Find or fetch the `temporal` program; blocks for minutes where it must be built.

    Looked for in this order: on PATH, in the user's cache directory, by the SDK's download, by a build with Go. What
    was fetched stays in the cache.

    Args:
        announce: is told each attempt and each failure, in one line.

    Returns:
        A program that answers to `--version`.

    Raises:
        NoServerError: nothing worked; the message says what would help.
    """
    on_path = shutil.which("temporal")
    if on_path and _works(Path(on_path), announce):
        return Path(on_path)
    cache = user_cache_path("orderlab")
    cached = cache / f"temporal-{CLI_VERSION}"
    if cached.exists() and _works(cached, announce):
        return cached
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache, announce):
            if cached.exists() and _works(cached, announce):  # fetched by the process that we waited for
                return cached
            if _download(cached, announce) or _build(cached, announce):
                return cached
    except OSError as error:
        raise NoServerError(f"no Temporal server can be kept under {cache}: {error}") from error
    raise NoServerError(
        "there is no Temporal server to be had: install the temporal CLI (https://docs.temporal.io/cli) or Go "
        "(https://go.dev/dl), or set TEMPORAL_ADDRESS to a server that runs"
    )


def _works(program: Path, announce: _Announce, kept_as: Path | None = None) -> bool:
    try:
        run = subprocess.run(  # noqa: S603 - the program is what is being checked
            [program, "--version"], capture_output=True, text=True, errors="replace", timeout=_CHECK_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        announce(f"{program} is passed over: {error}")
        return False
    version = run.stdout.strip()
    if not version.startswith("temporal version"):
        announce(f"{program} is passed over: it is not the temporal CLI")
        return False
    announce(f"Temporal server: {kept_as or program} ({version})")
    return True


@contextmanager
def _alone(cache: Path, announce: _Announce) -> Iterator[None]:
    """Only one process at a time fetches: two builds at once would take twice as long, for the same file."""
    lock = FileLock(cache / "fetch.lock")

    def acquired(within_s: float) -> bool:
        try:
            lock.acquire(timeout=within_s)
        except Timeout:
            return False
        return True

    if not acquired(0):
        announce("another process is fetching the Temporal server: waiting for it")
        if not wait_with_clock("waiting for the other process", acquired, _DOWNLOAD_S + _BUILD_S):
            raise NoServerError(f"another process has held {lock.lock_file} for too long: end it and try again")
    try:
        yield
    finally:
        lock.release()


def _download(target: Path, announce: _Announce) -> bool:
    announce(f"no temporal CLI found: downloading {CLI_VERSION} (at most {_DOWNLOAD_S} s)")
    with _scratch(target) as scratch:
        # -P: a folder named `server` in the working directory is not ours.
        argv: list[str | Path] = [sys.executable, "-P", "-m", "server.download", CLI_VERSION, scratch]
        failure = _run(argv, "downloading the Temporal server", _DOWNLOAD_S)
        return _adopt(scratch, target, failure, announce)


def _build(target: Path, announce: _Announce) -> bool:
    go = shutil.which("go")
    if go is None:
        announce("no Go found: the Temporal server can't be built either")
        return False
    announce(f"building the Temporal server with {go}: 2 to 5 minutes, once (at most {_BUILD_S // 60} minutes)")
    with _scratch(target) as scratch:
        argv = [go, "install", f"github.com/temporalio/cli/cmd/temporal@v{CLI_VERSION}"]
        # CGO_ENABLED=0: no C compiler is needed then.
        env = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(scratch)}
        failure = _run(argv, "building the Temporal server", _BUILD_S, env)
        return _adopt(scratch, target, failure, announce)


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """An empty directory beside `target`: what is made there can be moved to it in one atomic step."""
    with TemporaryDirectory(prefix="fetch-", dir=target.parent, ignore_cleanup_errors=True) as directory:
        yield Path(directory)


def _run(argv: Sequence[str | Path], what: str, limit_s: float, env: Mapping[str, str] | None = None) -> str | None:
    """Run a command to its end; returns why it failed, in one line, or None."""
    with TemporaryDirectory(prefix="orderlab-") as directory:
        log = Path(directory) / "log"
        child = start_child(argv, log=log, env=env)

        def ended(within_s: float) -> bool:
            try:
                child.wait(within_s)
            except subprocess.TimeoutExpired:
                return False
            return True

        try:
            if not wait_with_clock(what, ended, limit_s):
                return f"not done within {limit_s:.0f} s"
        finally:
            code = end_child(child, grace_s=2)
        return None if code == 0 else last_line(log) or f"exit code {code}"


def _adopt(scratch: Path, target: Path, failure: str | None, announce: _Announce) -> bool:
    made = next(scratch.iterdir(), None)
    if failure is not None or made is None:
        announce(f"that did not work: {failure or 'no program came of it'}")
        return False
    if not _works(made, announce, kept_as=target):
        return False
    made.replace(target)
    return True
