"""What the bus and those who speak to it agree on: names, ids, and what a run starts with."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from events.elsewhere import Elsewhere, set_aside
from events.log import EventLog, size_bytes
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

TAKE_OVER = "bus.take_over"
"""Activity that finds the log of the run just before; only a run that follows a closed one needs it."""

COLLECT = "bus.collect"
"""Activity that finds events in the history of an earlier run; only where there were too many to be handed on."""

SUCCESSION = "BusSuccession"
"""Workflow type of the note that says which run followed a closed one (`events/succession.py`)."""


WORKFLOW_TASK_TIMEOUT = timedelta(seconds=2)
"""How long a workflow waits for a worker that was killed in the middle of its task."""


SUMMARY = "summary"
"""Key of the memo of a run that has continued as new: what the first run has as its static summary."""


LARGEST_HANDED_ON_BYTES = 1_500_000
"""Of what one run hands to the next: a payload of more than 2 MiB the server refuses, and ends the run. What is larger
is left where it is, in the history of the run, and the next one is told so (`Elsewhere`).
"""


class BusStart(BaseModel):
    """What a run starts with: nothing, a closed run to follow, or all of a run that continues as new."""

    log: EventLog = Field(default_factory=EventLog)
    """Where there is a run to follow, the log that it had when this one was asked for: in case it is gone by the time
    that its log can be taken over.
    """
    pending: list[RoutedEvent] = Field(default_factory=list)
    """Events in the sequence of the log, each with those recipients for whom it is waiting or parked."""
    redriven: list[RoutedEvent] = Field(default_factory=list)
    """The same, of those that were parked and are being tried once more."""
    follows: str | None = None
    """A run that had closed when this one was asked for. There may have been others since: the log that this run takes
    over is that of the last one, which only this run can find out, as no other can open or close while it is open.
    """
    known_by_source: bool = False
    """Whether an event is known by its source and id. Runs that began when it was known by its id alone go on like that
    to their end, or what their histories tell could not be replayed.
    """
    repairs: bool = False
    """Whether a person has asked for what a run that was broken off had still to deliver: without the dice, as at a
    redrive.
    """
    keeps_who_told: bool = False
    """Whether the log keeps how each event came, so that what belongs to a service counts only from that one. Runs that
    began before believe everybody to their end, likewise.
    """
    summary: str = ""
    """One line about the correlation key, for whoever looks at the run in the UI."""
    elsewhere: Elsewhere | None = None
    """In place of `pending` and `redriven`, where these are too large to be handed on."""
    by_reference: bool = False
    """Whether it may be handed on like that. Runs that began before that was possible go on without to their end, or
    what their histories tell could not be replayed.
    """


class TakenOver(BaseModel):
    """How the run before ended, which the next one goes on from."""

    log: EventLog = Field(default_factory=EventLog)
    pending: list[RoutedEvent] = Field(default_factory=list)
    """Where it was broken off, what has still to be delivered, to whom."""
    elsewhere: Elsewhere | None = None
    """In place of `pending`, where that is too large to be handed on."""
    gone: bool = False
    """The server has it no more, so there is nothing else to tell."""

    def handed_on(self, run_id: str) -> "TakenOver":
        """The same, as it can be handed to the next run: never larger than a payload can be.

        Args:
            run_id: the run that ended so, whose history has the events.
        """
        handed_on = TakenOver(log=self.log.handed_on(run_id), pending=self.pending)
        if size_bytes(handed_on) <= LARGEST_HANDED_ON_BYTES:
            return handed_on
        elsewhere, log = set_aside(handed_on.log, run_id)
        return TakenOver(log=log, elsewhere=elsewhere)


class FollowedRun(BaseModel):
    """What `TAKE_OVER` is asked."""

    model_config = ConfigDict(frozen=True)

    correlation_key: str
    run_id: str
    """The closed run that was the latest one when the present run was asked for."""


class Wanted(BaseModel):
    """What `COLLECT` is asked."""

    model_config = ConfigDict(frozen=True)

    correlation_key: str
    run_id: str
    """The run in whose history to look."""
    fingerprints: list[str]
    """Of the events."""


class Collected(BaseModel):
    """What `COLLECT` answers: the first of what was wanted, as many as fit into an answer."""

    events: list[RoutedEvent]


def bus_id(correlation_key: str) -> str:
    """Workflow id of the bus that keeps the log of a correlation key."""
    return f"bus/{correlation_key}"


def succession_id(run_id: str) -> str:
    """Workflow id of the note that says which run followed this one."""
    return f"succession/{run_id}"
