"""The search for the `temporal` program, with fake programs on a PATH of their own and downloads closed."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.errors import ExitCode, NoServerError
from server.binary import CLI_VERSION, find_temporal_binary

WORKING = "echo 'temporal version 9.9.9'"
BROKEN = "echo 'missing libfoo' >&2; exit 127"
# Leaves a working program where `go install` would.
BUILDING = f"""
test "$CGO_ENABLED $1" = "0 install" || exit 9
printf '#!/bin/sh\\n%s\\n' "{WORKING}" > "$GOBIN/temporal"
chmod +x "$GOBIN/temporal"
"""


@dataclass
class Machine:
    """A machine with an empty PATH and an empty cache."""

    home: Path
    said: list[str] = field(default_factory=list)

    @property
    def cached(self) -> Path:
        """Where a fetched program is kept."""
        return self.home / "cache" / "orderlab" / f"temporal-{CLI_VERSION}"

    def on_path(self, name: str, script: str) -> Path:
        """Put a program on PATH."""
        return self.program(self.home / "bin" / name, f"export PATH=/usr/bin:/bin\n{script}")

    def program(self, path: Path, script: str) -> Path:
        """Write a program of shell commands."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def find(self) -> Path:
        """Search, and note what is announced."""
        return find_temporal_binary(self.said.append)

    def find_none(self) -> str:
        """Search in vain; returns the one line that says so."""
        with pytest.raises(NoServerError) as caught:
            self.find()
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Port 1 refuses every connection: the SDK's download fails here as it does where downloads are closed.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    return Machine(tmp_path)


def test_a_program_on_path_is_taken(machine: Machine) -> None:
    program = machine.on_path("temporal", WORKING)
    machine.program(machine.cached, WORKING)

    assert machine.find() == program
    assert machine.said == [f"Temporal server: {program} (temporal version 9.9.9)"]


@pytest.mark.parametrize("script", [BROKEN, "echo 'Temporal, a time tracker 0.1'"])
def test_a_program_that_does_not_work_is_passed_over_for_the_cached_one(machine: Machine, script: str) -> None:
    program = machine.on_path("temporal", script)
    machine.program(machine.cached, WORKING)

    assert machine.find() == machine.cached
    assert machine.said[0].startswith(f"{program} is passed over: ")


def test_a_file_that_is_no_program_is_passed_over(machine: Machine) -> None:
    machine.on_path("temporal", WORKING).write_bytes(b"\x7fELF cut short")
    machine.program(machine.cached, WORKING)

    assert machine.find() == machine.cached


def test_with_downloads_closed_go_builds_it_once_and_it_stays_cached(machine: Machine) -> None:
    go = machine.on_path("go", BUILDING)

    assert machine.find() == machine.cached
    go.unlink()  # the second search can't build
    assert machine.find() == machine.cached
    assert [line.split(" ")[0] for line in machine.said] == ["no", "that", "building", "Temporal", "Temporal"]
    assert machine.said[-1] == machine.said[-2] == f"Temporal server: {machine.cached} (temporal version 9.9.9)"


def test_a_broken_cached_program_is_replaced(machine: Machine) -> None:
    machine.program(machine.cached, BROKEN)
    machine.on_path("go", BUILDING)

    assert machine.find() == machine.cached
    assert "building" in " ".join(machine.said)


def test_a_failed_build_says_why_and_leaves_nothing_behind(machine: Machine) -> None:
    machine.on_path("go", "echo first; echo 'proxy.example: connection refused'; exit 1")

    machine.find_none()

    assert machine.said[-1] == "that did not work: proxy.example: connection refused"
    assert not list(machine.cached.parent.glob("*temporal*"))


def test_a_build_that_makes_a_broken_program_is_not_kept(machine: Machine) -> None:
    machine.on_path("go", BUILDING.replace(WORKING, "exit 1"))

    machine.find_none()

    assert not machine.cached.exists()


def test_where_nothing_works_the_error_says_what_would_help(machine: Machine) -> None:
    message = machine.find_none()

    assert "temporal CLI" in message
    assert "Go" in message
    assert "TEMPORAL_ADDRESS" in message


def test_a_cache_that_cannot_be_written_is_told_in_one_line(machine: Machine) -> None:
    (machine.home / "cache").write_text("a file, where a directory is needed")

    assert str(machine.cached.parent) in machine.find_none()


def test_two_searches_at_once_build_once(machine: Machine) -> None:
    # given a build that goes on until somebody waits for it
    builds, waited_for = machine.home / "builds", machine.home / "waited-for"
    pause = f"until test -e {waited_for}; do sleep 0.05; done"
    machine.on_path("go", f"echo build >> {builds}\n{pause}\n{BUILDING}")

    def hear(line: str) -> None:
        if line.startswith("another process is fetching"):
            waited_for.touch()

    # when two search at the same time
    with ThreadPoolExecutor(2) as searchers:
        found = list(searchers.map(find_temporal_binary, [hear, hear]))

    # then one has built and both have it
    assert found == [machine.cached, machine.cached]
    assert builds.read_text() == "build\n"


def test_a_refused_download_ends_at_once_with_its_reason(machine: Machine) -> None:
    argv = [sys.executable, "-P", "-m", "server.download", CLI_VERSION, str(machine.home)]

    run = subprocess.run(argv, capture_output=True, text=True, timeout=15, check=False)

    assert run.returncode == ExitCode.NO_SERVER
    assert "failed to download" in run.stderr.splitlines()[-1]
    assert run.stdout == ""
