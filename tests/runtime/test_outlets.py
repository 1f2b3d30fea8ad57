"""A reader that goes away, and a full disk: neither hides what came of the work, and neither is a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import environment

PROGRAM = """
import sys, typer
from lab.console import RESULTS, announce
from runtime.errors import OrderlabError
from runtime.leave import run_process

app = typer.Typer()

@app.command()
def work(lines: int, ends: str, through: str) -> None:
    '''Tells much, and then how it ended.'''
    for number in range(lines):
        if through == "json":
            sys.stdout.write(f"{number}\\n")
        else:
            RESULTS.print(f"{number}")
        announce(f"at {number}")
    with open("done", "w"):
        pass
    if ends == "broken":
        raise OrderlabError("a guarantee was broken")

run_process(app, "program")
"""
ENDS = [("well", 0), ("broken", 1)]


def run(arguments: list[str], *, cwd: Path, out: int) -> tuple[int, str]:
    """Run the program to its end: its exit code, and what it said on standard error beside what it announced."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=cwd, env=environment(), stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    return ran.returncode, "".join(line for line in ran.stderr.splitlines(True) if not line.startswith("at "))


@pytest.mark.parametrize(("ends", "code"), ENDS)
@pytest.mark.parametrize("through", ["json", "table"])
@pytest.mark.parametrize("lines", [1, 3_000])
def test_a_reader_that_went_away_changes_nothing_about_the_work_and_its_exit_code(
    tmp_path: Path, lines: int, through: str, ends: str, code: int
) -> None:
    # given a pipe that nobody reads
    reads, writes = os.pipe()
    os.close(reads)
    # when a program tells more than a buffer holds, or less
    try:
        ended = run([str(lines), ends, through], cwd=tmp_path, out=writes)
    finally:
        os.close(writes)

    # then its work is done to the end, and the exit code is that of the work
    assert (tmp_path / "done").exists()
    assert ended == (code, "program: a guarantee was broken\n" if code else "")


@pytest.mark.parametrize(("ends", "_code"), ENDS)
@pytest.mark.parametrize("through", ["json", "table"])
@pytest.mark.parametrize("lines", [1, 3_000])
def test_on_a_full_disk_the_work_is_done_and_one_line_says_that_it_could_not_be_told(
    tmp_path: Path, lines: int, through: str, ends: str, _code: int
) -> None:
    with Path("/dev/full").open("wb") as full:
        code, said = run([str(lines), ends, through], cwd=tmp_path, out=full.fileno())

    assert (tmp_path / "done").exists()
    assert code == 1
    assert said.splitlines()[-1] == "program: can't write to standard output: No space left on device"
    assert "Traceback" not in said


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", ">&- 2>&-", ">&-"])
@pytest.mark.parametrize(("ends", "code"), ENDS)
def test_where_nothing_can_be_said_the_exit_code_still_is(tmp_path: Path, where: str, ends: str, code: int) -> None:
    shell = ["sh", "-c", f'"$0" -c "$1" 3 {ends} table {where}', sys.executable, PROGRAM]
    ran = subprocess.run(shell, cwd=tmp_path, env=environment(), capture_output=True, timeout=60, check=False)

    assert (ran.returncode, (tmp_path / "done").exists()) == (code, True)


@pytest.mark.parametrize("arguments", [["--help"], ["faults"], ["faults", "--json", "-"], ["effects"]], ids=" ".join)
def test_no_command_fails_for_want_of_a_reader(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / ".orderlab").mkdir()
    reads, writes = os.pipe()
    os.close(reads)
    client = [sys.executable, "-m", "client", *arguments]
    ran = subprocess.run(
        client, cwd=tmp_path, env=environment(), stdout=writes, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writes)

    assert (ran.returncode, ran.stderr) == (0, "")


def test_what_is_written_arrives_whole_and_in_its_encoding() -> None:
    program = "import sys; from runtime.outlets import keep_writing; keep_writing(); print('é' * 99_999); sys.exit(3)"
    for encoding in ("utf-8", "latin-1"):
        ran = subprocess.run(
            [sys.executable, "-c", program],
            env=environment(PYTHONIOENCODING=encoding),
            capture_output=True,
            check=False,
        )
        assert (ran.returncode, ran.stdout.decode(encoding)) == (3, "é" * 99_999 + "\n")
