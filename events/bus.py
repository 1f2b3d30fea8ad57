"""What the bus and those who speak to it agree on: names, ids, and what a run starts with."""

from pydantic import BaseModel, Field

from events.log import EventLog
from events.subscriptions import RoutedEvent

BUS = "EventBus"
"""Workflow type of the bus."""

PUBLISH = "publish"
"""Signal that puts an event into the log."""

REDRIVE = "redrive"
"""Signal that hands a parked delivery over once more."""

LOG = "log"
"""Query for the log as it stands."""

ROUTE = "bus.route"
"""Activity that finds the recipients of a failure event, the only kind that the bus itself puts into the log."""


class BusStart(BaseModel):
    """What a run starts with: nothing, the log of an earlier run, or all of a run that continues as new."""

    log: EventLog = Field(default_factory=EventLog)
    pending: list[RoutedEvent] = Field(default_factory=list)
    """Events in the sequence of the log, each with those recipients for whom it is waiting or parked."""


def bus_id(correlation_key: str) -> str:
    """Workflow id of the bus that keeps the log of a correlation key."""
    return f"bus/{correlation_key}"
