"""What was found out about an order, and what is to be done about it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel
from temporalio.client import WorkflowExecutionDescription

from events.log import OrderState
from lab.repair.standing import Standing
from lab.status import OrderStatus
from orders.model import Style
from services.order_placed import SERVICES

BY_A_REPAIR = "it was left half undone, and the rest was undone by a repair"
"""Why an order is cancelled of which nobody knows any more why its undoing had begun."""


class Todo(StrEnum):
    """What a repair does."""

    NOTHING = "nothing"
    WAIT = "wait"
    """It is under way, and comes to its end by itself."""
    REDRIVE = "redrive"
    """Try what is parked once more."""
    UNDO = "undo"
    """Undo what is left."""
    FINISH = "finish"
    """Go on forward from where it was broken off; what was done is not done again."""
    RECALL = "recall"
    """Hand the log what it had accepted and has lost."""


class Finding(BaseModel):
    """How an order stands in one style, and what a repair does about it."""

    order_id: str
    style: Style
    state: OrderState | None
    """None where its workflow ended outside any legal state, or is gone."""
    detail: str | None
    stands: list[str]
    """Effects that were done, and are not undone, by the services' databases."""
    undone: list[str]
    """Effects that were done and undone."""
    todo: Todo
    why: str
    """What is wrong, if anything, and what is done about it, for people."""


def how_it_closed(run: WorkflowExecutionDescription) -> str:
    """How the server says that a run was closed, in words: `timed out`."""
    return "" if run.status is None else run.status.name.lower().replace("_", " ")


async def _nothing() -> None:
    """There is nothing to be done."""


@dataclass(frozen=True)
class Repair:
    """A finding, and how to act on it."""

    finding: Finding
    is_whole: bool
    """Whether the order stands as an order may, or is on its way there by itself."""
    do: Callable[[], Awaitable[None]] = _nothing
    """Starts what there is to be done; whoever does it twice, or at the same moment as others, does no harm."""


@dataclass(frozen=True)
class Case:
    """An order in one style, as it is looked into."""

    order_id: str
    style: Style
    status: OrderStatus | None
    standing: Standing
    """What of the databases is about this order, and not about another one under its id."""

    @property
    def state(self) -> OrderState | None:
        """How its workflow says that it stands."""
        return None if self.status is None else self.status.state

    @property
    def is_half_undone(self) -> str | None:
        """What is wrong, where its workflow has ended and the databases say that it was undone, or not wholly."""
        if self.standing.stands and (self.state is OrderState.CANCELLED or self.standing.is_off):
            return f"it reads {self.state}, but is half undone: what stands is undone"
        if self.state is OrderState.COMPLETED and self.standing.is_off:
            return "it reads completed, but all of it was undone: that is put right"
        return None

    def services_to_do(self, *, is_guest: bool) -> str | None:
        """Services that have done nothing, where its workflow says that it is completed."""
        missing = self.standing.services_to_do(SERVICES, is_guest=is_guest)
        return ", ".join(missing) if missing and self.state is OrderState.COMPLETED else None

    def found(
        self, todo: Todo, why: str, do: Callable[[], Awaitable[None]] = _nothing, *, is_whole: bool = False
    ) -> Repair:
        """The outcome of looking into it."""
        finding = Finding(
            order_id=self.order_id,
            style=self.style,
            state=self.state,
            detail=None if self.status is None else self.status.detail,
            stands=self.standing.stands,
            undone=self.standing.undone,
            todo=todo,
            why=why,
        )
        return Repair(finding, is_whole, do)
