"""Tells other processes about the server that runs for a data directory: `server.json` in it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

_CLOCK_STEP_S = 2
"""A process's start time is computed from the boot time, which moves a little when the clock is set."""


def _start_time(known: dict[str, Any]) -> float:
    return psutil.Process(known["pid"]).create_time()


class ServerState(BaseModel):
    """Where a running server is, and what it is like."""

    model_config = ConfigDict(frozen=True)

    address: str
    """`host:port` for clients."""
    ui_url: str
    pid: int
    """The server's process."""
    pid_started_s: float = Field(default_factory=_start_time)
    """Since the epoch; filled in, and tells that process from a later one with the same number."""
    version: str
    tuned: bool
    kind: Literal["lasting", "temporary"]
    """`lasting` runs until somebody ends it, `temporary` for one command."""
    smtp_url: str | None = None
    """Where mails of this lab go, once that is known."""


def write_state(data: Path, state: ServerState) -> None:
    """Keep the state; readers see the old one or the new one, never a part.

    Raises:
        OSError: the data directory can't be written.
    """
    data.mkdir(parents=True, exist_ok=True)
    draft = data / f"server.json.{os.getpid()}"
    draft.write_text(state.model_dump_json(indent=2), encoding="utf-8")
    draft.replace(_file(data))


def read_state(data: Path) -> ServerState | None:
    """The state that was written for this data directory, if its process is still alive."""
    try:
        state = ServerState.model_validate_json(_file(data).read_bytes())
        process = psutil.Process(state.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        same = abs(process.create_time() - state.pid_started_s) < _CLOCK_STEP_S
    except (OSError, ValidationError, psutil.NoSuchProcess):  # none, of another version, or of a dead process
        return None
    return state if alive and same else None


def clear_state(data: Path) -> None:
    """Forget the state, if there is any."""
    with suppress(FileNotFoundError):
        _file(data).unlink()


def _file(data: Path) -> Path:
    return data / "server.json"
