"""Replays histories on today's code: would the workflows still decide as they did?"""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from hosting.composition import WORKFLOWS
from lab.runs import runs_of, workflow_id
from orders.model import STYLES
from runtime.documents import read_file, text_of
from runtime.errors import InputError
from runtime.temporal import ORDERLAB_PLUGIN


class Replayed(BaseModel):
    """What became of one history."""

    workflow_id: str
    run_id: str
    events: int
    failure: str | None
    """Why today's code can't have made this history; None where it could."""


async def replay(histories: Iterable[WorkflowHistory]) -> list[Replayed]:
    """Replay histories, one after the other."""
    replayer = Replayer(workflows=WORKFLOWS, plugins=[ORDERLAB_PLUGIN])
    replayed = []
    for history in histories:
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        failure = result.replay_failure
        replayed.append(
            Replayed(
                workflow_id=history.workflow_id,
                run_id=history.run_id,
                events=len(history.events),
                failure=None if failure is None else f"{type(failure).__name__}: {failure}",
            )
        )
    return replayed


def histories_in(directory: Path) -> list[WorkflowHistory]:
    """The histories stored as JSON files in a directory, as `temporal workflow show --output json` writes them.

    Raises:
        InputError: there are none, or one is no history.
    """
    files = sorted(directory.glob("*.json"))
    if not files:
        raise InputError(f"no histories (*.json) in {directory}")
    found = []
    for file in files:
        text = text_of(read_file(file), where=str(file))
        try:
            found.append(WorkflowHistory.from_json(file.stem, text))
        except Exception as error:  # protobuf's parser and the SDK raise what they like
            raise InputError(f"{file} is no workflow history: {' '.join(str(error).split())}") from error
    return found


async def histories_of(client: Client, order_id: str) -> list[WorkflowHistory]:
    """The histories of all runs of an order, in every style in which it was placed, as far as they have come.

    Raises:
        InputError: it was placed in none.
    """
    found = []
    for style in STYLES:
        try:
            for run_id in await runs_of(client, workflow_id(style, order_id)):
                handle = client.get_workflow_handle(workflow_id(style, order_id), run_id=run_id)
                found.append(await handle.fetch_history())
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
    if not found:
        raise InputError(f"order {order_id} was not placed; `orderlab orders` lists those that were")
    return found
