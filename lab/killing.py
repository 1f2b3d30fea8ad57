"""Kills real processes while orders flow, and notes how long it takes until work goes on."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lab.flow import Flow
from lab.processes import Child
from lab.report import Kill
from server.embedded import EmbeddedServer
from services.order_placed import ORCHESTRATORS, SERVICES

TARGETS = ("worker", "bus", "server")
"""A service's worker; a workflow worker, of the bus or of the saga; the Temporal server."""

ENOUGH = 3
"""A run in which a target was not killed so often, with orders in flight, proves nothing."""

_LOOK_EVERY_S = 0.01


@dataclass
class Killer:
    """Kills one process after the other."""

    flow: Flow
    children: Sequence[Child]
    server: EmbeddedServer
    targets: Sequence[str]
    seed: int
    on_kill: Callable[[Kill], None]
    """Is told of each kill as it happens."""
    worth_it: int = 1
    """Orders in flight that a kill waits for."""
    kills: list[Kill] = field(default_factory=list)
    _watches: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, every_s: float) -> None:
        """Kill until cancelled: one process every `every_s` seconds, each target in turn, never without orders."""
        rng = random.Random(self.seed)  # noqa: S311 - reproducible, no secret
        turn = 0
        while True:
            await asyncio.sleep(every_s)
            while len(self.flow.in_flight) < self.worth_it:  # noqa: ASYNC110 - the flow sends no events
                await asyncio.sleep(_LOOK_EVERY_S)
            self._kill(self.targets[turn % len(self.targets)], rng)
            turn += 1

    async def recovered(self) -> None:
        """Wait until it is known of each kill how long the recovery took."""
        await asyncio.gather(*self._watches)

    def _kill(self, target: str, rng: random.Random) -> None:
        if target == "server":
            process, pid = "server", self.server.pid
        else:
            names = [service.name for service in SERVICES] if target == "worker" else list(ORCHESTRATORS)
            child = rng.choice([child for child in self.children if child.name in names])
            process, pid = child.name, child.pid
        kill = Kill(target=target, process=process, at=datetime.now(UTC), in_flight=len(self.flow.in_flight))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it is just being restarted after an earlier kill
            return
        self.kills.append(kill)
        self.on_kill(kill)
        self._watches.add(asyncio.create_task(self._watch(kill)))

    async def _watch(self, kill: Kill) -> None:
        killed = time.monotonic()
        waiting, ended = self.flow.in_flight, len(self.flow.ended)
        while waiting & self.flow.in_flight:
            if kill.next_end_s is None and len(self.flow.ended) > ended:
                kill.next_end_s = round(time.monotonic() - killed, 3)
            await asyncio.sleep(_LOOK_EVERY_S)
        kill.all_ended_s = round(time.monotonic() - killed, 3)
        if kill.next_end_s is None:
            kill.next_end_s = kill.all_ended_s
