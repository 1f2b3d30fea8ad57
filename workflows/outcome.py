"""How an order stands in the saga, as its workflow tells it."""

from pydantic import BaseModel
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from events.log import OrderState


class GivenUp(BaseModel):
    """A step or a compensation that was given up, and why."""

    service: str
    activity: str
    reason: str


class SagaOutcome(BaseModel):
    """How an order stands, and at the end how it ended."""

    order_id: str
    state: OrderState
    done: list[str]
    """Activity types that succeeded, in the sequence in which they ended."""
    compensated: list[str]
    """Activity types of the compensations that succeeded, in sequence."""
    given_up: list[GivenUp]
    """The parked steps, or the parked compensations."""
    reason: str | None
    """Why the order was cancelled, or why the customer could not cancel it."""
    refused: bool = False
    """Whether a service knows another order under the id: how this one ended says nothing of that one."""
    redriven: list[str]
    """Services whose parked step was tried once more, each when the outcome of that was known."""
