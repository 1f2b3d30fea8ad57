"""Children: apart from the terminal, tied to our life."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from server.children import end_child, last_line, start_child

SLEEP = ["sleep", "60"]


def wait_for_the_end(process: psutil.Process) -> None:
    """An orphan may stay a zombie for a while: ended, but not yet looked at by init."""
    deadline = time.monotonic() + 5
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_child_ends_when_asked(tmp_path: Path) -> None:
    child = start_child(SLEEP, log=tmp_path / "log")

    assert end_child(child, grace_s=5) == -signal.SIGTERM
    assert end_child(child, grace_s=5) == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_killed_with_its_descendants(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = start_child(["sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait; wait"], log=log)
    while not last_line(log):
        assert child.poll() is None
    descendant = psutil.Process(int(last_line(log)))

    assert end_child(child, grace_s=0.1) == -signal.SIGKILL
    wait_for_the_end(descendant)


def test_the_terminal_s_ctrl_c_does_not_reach_a_child(tmp_path: Path) -> None:
    child = start_child(SLEEP, log=tmp_path / "log")
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
    finally:
        end_child(child, grace_s=5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    # given a process with a child
    program = (
        "from pathlib import Path; from server.children import start_child; "
        f"child = start_child({SLEEP}, log=Path({str(tmp_path / 'log')!r})); print(child.pid, flush=True); child.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))

    # when it is killed
    parent.kill()
    parent.communicate()

    # then the child ends too
    wait_for_the_end(child)


def test_a_command_that_does_not_exist_leaves_its_reason_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"

    assert start_child(["/nowhere/temporal"], log=log).wait(10) != 0
    assert "FileNotFoundError" in last_line(log)


def test_the_last_line_is_of_this_run_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log) == ""
    log.write_text("an old error\n")
    assert last_line(log) == "an old error"
    assert last_line(log, since=log.stat().st_size) == ""
