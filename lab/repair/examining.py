"""Looks into an order, in either style: what its workflow, its histories and the services' databases say together."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from temporalio.client import Client, WorkflowExecutionDescription

from events.reading import OPEN
from events.succession import BROKEN_OFF
from lab.dead_letters import parked_in
from lab.repair.finding import Case, Repair, Todo
from lab.repair.redriving import redriving
from lab.repair.standing import Look, Standing
from lab.runs import is_at_work, latest_run
from lab.status import status_of
from orders.model import Style


class Past(Protocol):
    """What the histories of all runs of an order tell together."""

    @property
    def content(self) -> str | None:
        """Fingerprint of the order; None where nobody knows which it is."""


PastOf = TypeVar("PastOf", bound=Past)


@dataclass(frozen=True)
class Seen(Generic[PastOf]):
    """What was seen of an order at one moment."""

    case: Case
    run: WorkflowExecutionDescription
    """Its latest run."""
    past: PastOf
    standing: Standing
    """All that the services have under its id, also of other orders."""


class StyleRepairer(ABC, Generic[PastOf]):
    """Finds out how orders of one style stand, and what is to be done about them."""

    def __init__(self, client: Client, lab: str, style: Style) -> None:
        """Take the client, the lab's task queue suffix, and the style."""
        self._client = client
        self._lab = lab
        self._style: Style = style

    async def examine(self, order_id: str, look: Look) -> Repair | None:
        """Find out how an order stands and what is to be done; None where nobody has heard of it.

        Args:
            order_id: of the order.
            look: reads what the services' databases say. It is asked when the workflow has been looked at: what that
                tells as done has been committed by then.

        Raises:
            InputError: it is another lab's.
        """
        while True:
            run = await latest_run(self._client, self._lab, self._style, order_id)
            standing = await look()
            if run is None:
                return self._forgotten(order_id, standing) if standing.is_known else None
            past = await self._past(order_id)
            status = await status_of(self._client, self._style, order_id)
            if status is not None and status.run_id == run.run_id:
                break  # otherwise somebody else has begun something since
        case = Case(order_id, self._style, status, standing.of(past.content))
        seen = Seen(case, run, past, standing)
        if run.status in OPEN:
            return await self._open(seen)
        if run.status in BROKEN_OFF:
            return await self._broken_off(seen)
        return await self._ended(seen)

    def _forgotten(self, order_id: str, standing: Standing) -> Repair:
        """Temporal has deleted its workflow, so nobody knows how it was meant to end, but for what was undone."""
        for content in standing.orders():
            case = Case(order_id, self._style, None, standing.of(content))
            if case.standing.is_off and case.standing.stands:
                why = "Temporal has forgotten it, and it is half undone: what stands is undone"
                return case.found(Todo.UNDO, why, self._undo_forgotten(case, content, standing))
        case = Case(order_id, self._style, None, standing)
        return case.found(Todo.NOTHING, "Temporal has forgotten it, and nothing of it is half done", is_whole=True)

    async def _open(self, seen: Seen[PastOf]) -> Repair:
        letters = await parked_in(seen.run)
        if is_at_work(seen.run) or not letters:
            return seen.case.found(Todo.WAIT, "it is under way, so nothing is half done", is_whole=True)
        if (recall := await self._recall_into_open(seen)) is not None:
            return recall
        named = ", ".join(letter.delivery.work for letter in letters)
        return seen.case.found(
            Todo.REDRIVE,
            f"{named} was given up: it is tried once more",
            redriving(self._client, letters),
            is_whole=True,
        )

    async def _recall_into_open(self, seen: Seen[PastOf]) -> Repair | None:  # noqa: ARG002 - others look at it
        """What its open run has lost; None where that is nothing."""
        return None

    @abstractmethod
    async def _past(self, order_id: str) -> PastOf:
        """Read the histories of all its runs."""

    @abstractmethod
    def _undo_forgotten(self, case: Case, content: str | None, standing: Standing) -> Callable[[], Awaitable[None]]:
        """What undoes an order of which Temporal knows nothing."""

    @abstractmethod
    async def _broken_off(self, seen: Seen[PastOf]) -> Repair:
        """Its latest run has closed without a result."""

    @abstractmethod
    async def _ended(self, seen: Seen[PastOf]) -> Repair:
        """Its latest run has come to its end."""
