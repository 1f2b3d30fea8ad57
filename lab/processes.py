"""Keeps a lab's processes running: mail server and workers, each in a process of its own, restarted when it dies."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.settings import Settings
from server.children import start_child
from server.mail import wait_until_mail_is_taken
from server.pollers import wait_for_workers
from server.ports import free_port
from server.session import Session
from services.order_placed import WORKERS

_LOOK_EVERY_S = 0.5
_LONGEST_PAUSE_S = 10.0


@dataclass
class Child:
    """A process that is kept running."""

    name: str
    argv: list[str]
    log: Path
    env: Mapping[str, str]
    process: subprocess.Popen[bytes]
    deaths: int = 0


@dataclass(frozen=True)
class Processes:
    """The processes of a lab."""

    children: list[Child]
    smtp_url: str

    def pids(self) -> dict[str, int]:
        """Name of each process to its process id."""
        return {child.name: child.process.pid for child in self.children}
