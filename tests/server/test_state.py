"""The note about the running server."""

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from server.state import ServerState, clear_state, read_state, write_state


def state(pid: int) -> ServerState:
    return ServerState(
        address="127.0.0.1:7233",
        ui_url="http://127.0.0.1:8233",
        pid=pid,
        version="1.29.1",
        tuned=True,
        kind="lasting",
        smtp_url="smtp://127.0.0.1:2525",
    )


def test_the_state_of_a_running_server_is_read_back(tmp_path: Path) -> None:
    written = state(os.getpid())
    write_state(tmp_path / "new", written)

    assert read_state(tmp_path / "new") == written
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["server.json"]


def test_the_state_of_a_server_that_has_ended_is_ignored(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:  # noqa: S607
        write_state(tmp_path, state(child.pid))
        child.kill()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert read_state(tmp_path) is None  # ended, but its parent has not looked yet
    assert read_state(tmp_path) is None


def test_another_process_with_the_same_number_is_not_taken_for_the_server(tmp_path: Path) -> None:
    earlier = psutil.Process().create_time() - 3600
    write_state(tmp_path, state(os.getpid()).model_copy(update={"pid_started_s": earlier}))

    assert read_state(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"address": "127.0.0.1:7233"}', "\x00"])
def test_a_damaged_state_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_text(content)

    assert read_state(tmp_path) is None


def test_a_cleared_state_is_gone_and_clearing_again_is_fine(tmp_path: Path) -> None:
    write_state(tmp_path, state(os.getpid()))

    clear_state(tmp_path)
    clear_state(tmp_path)

    assert read_state(tmp_path) is None


def test_no_state_can_be_made_for_a_dead_process() -> None:
    with pytest.raises(psutil.NoSuchProcess):
        state(2**22 + 1)
