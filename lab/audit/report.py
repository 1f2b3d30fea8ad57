"""What an audit answers."""

from typing import Literal

from pydantic import BaseModel

Style = Literal["saga", "choreography"]

EVERYTHING = "*"
"""In place of an order id: the violation is about the books as a whole."""


class Violation(BaseModel):
    """A guarantee that does not hold."""

    order_id: str
    """`*` where it is about no single order."""
    style: Style | None
    """None where it is about both, or where that can't be told."""
    guarantee: int
    """Its number in the design: 1 exactly once, 2 the ends, 3 parity, 4 sequence, 5 nothing accepted is lost."""
    what: str


class Act(BaseModel):
    """What a person has told in place of the service whose fact it is: no violation, but to be known."""

    order_id: str
    what: str
    """Type of the event, and what it is known by."""
    by: str
    """Who says to have done it."""


class AuditReport(BaseModel):
    """What was checked and what was found."""

    checked: int
    """Orders, counted once in each style."""
    violations: list[Violation]
    acts: list[Act] = []
    """What was told by hand."""
