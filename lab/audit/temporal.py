"""Finds the orders of a lab in Temporal, and reads their histories."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from lab.audit.history import Run, read_run
from lab.audit.scenario import STYLES, Key

PATIENCE_S = 5.0
"""How long an order that has not ended is read again: its workflow closes a moment after its last effect."""

_AT_ONCE = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5

# A bus run that begins with an event which no service of ours knows has no OrderStyle, and may carry an order later.
_QUERY = " OR ".join((*(f"OrderStyle = '{style}'" for style in STYLES), "WorkflowType = 'EventBus'"))

RunIds = Mapping[Key, Sequence[str]]


class TemporalReader:
    """Reads what Temporal knows of one lab."""

    def __init__(self, client: Client, lab: str) -> None:
        """Take the client, and the lab's name: others may use the same server."""
        self._client = client
        self._lab = lab
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def listed(self) -> RunIds:
        """The runs of each order, and of each bus that carries something else, oldest first.

        The list follows a moment after what happens.
        """
        return await self._list(_QUERY)

    async def _list(self, query: str) -> RunIds:
        found: dict[Key, list[tuple[datetime, str]]] = defaultdict(list)
        async for run in self._client.list_workflows(query):
            key = _key_of(run.id)
            if key is not None and await run.memo_value("lab", default=None) == self._lab:
                found[key].append((run.start_time, run.run_id))
        return {key: [run_id for _, run_id in sorted(runs)] for key, runs in found.items()}

    async def latest_run(self, key: Key) -> str | None:
        """The latest run of an order, listed or not; None where the lab never ran it."""
        try:
            async with self._gate:
                run = await self._client.get_workflow_handle(key.workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return run.run_id if await run.memo_value("lab", default=None) == self._lab else None

    async def remembers_since_us(self) -> int:
        """Microseconds since 1970: workflows that closed before then may have been deleted by the server."""
        # The server closes a connection that has grown old; with `retry`, the SDK asks again on a new one.
        namespace = await self._client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=self._client.namespace), retry=True
        )
        kept: timedelta = namespace.config.workflow_execution_retention_ttl.ToTimedelta()
        return int((datetime.now(UTC) - kept).timestamp() * 1_000_000)

    async def read(self, runs: RunIds) -> dict[Key, tuple[Run, ...]]:
        """The histories of these orders; the last run of each is read again until it has ended, for a while.

        Args:
            runs: as far as they are known; the latest is found in any case.
        """
        read = await asyncio.gather(*(self._read_all(key, runs[key]) for key in runs))
        return {key: found for key, found in zip(runs, read, strict=True) if found}

    async def _read_all(self, key: Key, listed: Sequence[str]) -> tuple[Run, ...]:
        """The runs of an order, also those before and after that are not listed, as far as the server has them."""
        run_ids = await self._up_to_the_latest(key, listed)
        if not run_ids:
            return ()
        *earlier, last = run_ids
        runs = [run for run_id in earlier if (run := await self._read(key, run_id)) is not None]
        following: str | None = last
        while following is not None and (run := await self._read_until_settled(key, following)) is not None:
            runs.append(run)
            following = run.next_run
        while runs and (before := runs[0].previous_run) is not None and before not in run_ids:
            run = await self._read(key, before)
            if run is None:
                break
            runs.insert(0, run)
        return tuple(runs)

    async def _up_to_the_latest(self, key: Key, listed: Sequence[str]) -> Sequence[str]:
        """The runs of an order, oldest first, none of them missing.

        A customer who cancels, or a later event, opens a run of its own: no link leads there from the one before, and
        none back. So where the list does not have the latest one, it is waited for, and those before are listed then.
        """
        latest = await self.latest_run(key)
        if latest is None or latest in listed:
            return listed
        give_up_at = time.monotonic() + PATIENCE_S
        # The server (1.29) does not find what has quotes or backslashes in it, so what comes before them is asked for.
        plain = re.split(r"""['"\\]""", key.workflow_id, maxsplit=1)[0]
        query = f"WorkflowId {'=' if plain == key.workflow_id else 'STARTS_WITH'} '{plain}'"
        while True:
            async with self._gate:
                listed = (await self._list(query)).get(key, ())
            if latest in listed:
                return listed
            if time.monotonic() > give_up_at:
                return [*listed, latest]
            await asyncio.sleep(_FIRST_PAUSE_S)

    async def _read_until_settled(self, key: Key, run_id: str) -> Run | None:
        give_up_at = time.monotonic() + PATIENCE_S
        pause_s = _FIRST_PAUSE_S
        while True:
            run = await self._read(key, run_id)
            if run is None or run.settled or time.monotonic() > give_up_at:
                return run
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _read(self, key: Key, run_id: str) -> Run | None:
        """One run; None where the server has deleted it, as it does when its time to keep closed runs is over."""
        try:
            async with self._gate:
                history = await self._client.get_workflow_handle(key.workflow_id, run_id=run_id).fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return read_run(history.events)


def _key_of(workflow_id: str) -> Key | None:
    prefix, _, order_id = workflow_id.partition("/")
    if prefix == "saga":
        return Key("saga", order_id)
    return Key("choreography", order_id) if prefix == "bus" else None
