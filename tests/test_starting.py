"""Ctrl-C while a program is still loading, which takes a second."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.settings import PROJECT
from tests.processes import environment

SCRIPT = "import sys; sys.argv[0] = 'orderlab'; from runtime.start import client; client()"  # as it is installed
PROGRAMS = {
    "the console script": ["-c", SCRIPT, "orders"],
    "python -m client": ["-m", "client", "orders"],
    "python client.py": [str(PROJECT / "client.py"), "effects"],
    "python worker.py": [str(PROJECT / "worker.py"), "--service", "shipping"],
}


@pytest.mark.parametrize("loaded", ["asyncio", "pydantic", "sqlalchemy", "temporalio.client"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_ctrl_c_while_a_program_is_loading_is_answered_in_one_line(tmp_path: Path, program: str, loaded: str) -> None:
    # given a program that tells what it loads, as it loads it
    argv = [sys.executable, "-X", "importtime", *PROGRAMS[program]]
    with subprocess.Popen(argv, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        # when it is interrupted on the way
        for line in process.stderr:
            if line.rstrip().endswith(f" {loaded}"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    # then one line says so, it leaves with the code of an interruption, and nothing was made
    said = [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert said == [f"{'worker' if 'worker' in program else 'orderlab'}: interrupted"]
    assert process.returncode == 130
    assert not list(tmp_path.iterdir())


def test_the_installed_command_starts_as_the_program_does() -> None:
    assert 'orderlab = "runtime.start:client"' in (PROJECT / "pyproject.toml").read_text(encoding="utf-8")


def test_nothing_heavy_is_loaded_before_ctrl_c_is_seen_to() -> None:
    program = "import sys; before = set(sys.modules); import runtime.start; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert {name.split(".")[0] for name in loaded} <= {"runtime", *sys.stdlib_module_names}
    assert "asyncio" not in loaded
