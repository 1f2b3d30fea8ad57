"""Finds, fetches and asks AWS's own engine for event patterns, which runs on a JVM."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from server.children import last_line
from tests.fetching import fetch_jars

_VERSION = "2.0.1"
_PROGRAM = Path(__file__).with_name("RulerAnswers.java")

Pair = tuple[str, str]
"""A pattern and an event, both as JSON text."""


class NoRulerError(Exception):
    """The engine can't be had; the message says what was tried."""


@dataclass(frozen=True)
class Ruler:
    """The running engine."""

    process: subprocess.Popen[str]
    log: Path

    def matches(self, pairs: Sequence[Pair]) -> list[bool | None]:
        """Whether each event matches its pattern; None if the pattern is refused."""
        return self._ask(pairs, apart=False)

    def matches_apart(self, pairs: Sequence[Pair]) -> list[bool | None]:
        """The same, as the engine answers if it is asked for one alternative of each field at a time.

        What takes `$or` for the name of a field is refused.
        """
        return self._ask(pairs, apart=True)

    def _ask(self, pairs: Sequence[Pair], *, apart: bool) -> list[bool | None]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for pattern, event in pairs:
            self.process.stdin.write(json.dumps({"pattern": pattern, "event": event, "apart": apart}) + "\n")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return [self._answer(self.process.stdout.readline()) for _ in pairs]

    def _answer(self, line: str) -> bool | None:
        if not line:
            raise NoRulerError(f"the engine ended: {last_line(self.log)}")
        return None if line.startswith("refused") else bool(json.loads(line))


@contextmanager
def open_ruler(command: Iterable[str], log: Path) -> Iterator[Ruler]:
    """Run the engine until the block ends.

    Args:
        command: from `find_ruler`.
        log: what it complains of.

    Raises:
        NoRulerError: it does not answer.
    """
    with log.open("w") as complaints:
        process = subprocess.Popen(
            [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, encoding="utf-8"
        )
    try:
        ruler = Ruler(process, log)
        try:
            ruler.matches([('{"a": ["x"]}', '{"a": "x"}')])
        except BrokenPipeError:
            raise NoRulerError(f"the engine ended: {last_line(log)}") from None
        yield ruler
    finally:
        process.kill()
        process.communicate()


def find_ruler() -> list[str]:
    """Find the engine in the user's cache, or fetch it by Maven; blocks for some minutes at most.

    Returns:
        The command that runs it.

    Raises:
        NoRulerError: it can't be had.
    """
    cache = user_cache_path("orderlab") / f"event-ruler-{_VERSION}"
    complaint = ""
    try:
        if not (cache / "lib").exists():
            cache.mkdir(parents=True, exist_ok=True)
            complaint = fetch_jars(cache, "software.amazon.event.ruler", "event-ruler", _VERSION)
    except OSError as error:
        complaint = f"it can't be kept under {cache}: {error}"
    java = shutil.which("java")
    if complaint or java is None:
        raise NoRulerError(complaint or "there is no JVM")
    modules = subprocess.run([java, "--list-modules"], capture_output=True, encoding="utf-8", check=False).stdout
    if "jdk.compiler" not in modules:
        raise NoRulerError("there is a JVM, but no Java compiler")
    # Its platform would ask the network for a host of such a name, where it takes a text for an address that is none.
    offline = "-Djdk.net.hosts.file=/dev/null"
    plain = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return [java, *plain, offline, "-cp", f"{cache / 'lib'}/*", str(_PROGRAM)]
