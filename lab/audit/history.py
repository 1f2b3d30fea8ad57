"""Reads one workflow run from its history, as the server recorded it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType as Kind
from temporalio.api.enums.v1 import RetryState, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent, WorkflowTaskFailedEventAttributes

from lab.audit.scenario import SERVICE_OF_FACT, service_of_activity

Json: TypeAlias = Any

OUTSIDE = ""
"""In place of the service that has told an event."""

Outcome = Literal["done", "given up", "superseded", "refused", "called off"]
"""Of one piece of work: `superseded` came after the order had been cancelled, `refused` was under an order id that
belongs to another order, `called off` is to be done again, unless it has become pointless.
"""


class Identity(NamedTuple):
    """What tells an event from all others."""

    source: str
    event_id: str

    def __str__(self) -> str:
        return self.event_id if self.source.startswith("orderlab/") else f"{self.event_id} of {self.source}"


class Fact(NamedTuple):
    """An event as a log names it."""

    source: str
    event_id: str
    type: str
    cause: str | None
    """Name of the event that it follows from."""
    told_by: str | None = None
    """How it came to the bus: the service that told it, or `OUTSIDE`; None where the bus kept nothing of that."""
    by_hand: str | None = None
    """The person who has told it in place of a service."""
    content: str | None = None
    """Fingerprint of the order that it is about, where it says which."""
    acted_on: bool = False
    """It went to somebody."""

    @property
    def name(self) -> str:
        """What others that follow from it call it: the id, after the source where that is not the lab's own."""
        if self.source.startswith("orderlab/"):
            return self.event_id
        return f"{self.source.replace('%', '%25').replace('#', '%23')}#{self.event_id}"

    @property
    def identity(self) -> Identity:
        """What tells it from all others."""
        return Identity(self.source, self.event_id)


@dataclass(frozen=True)
class Recipient:
    """Who an event goes to."""

    subscriber: str
    handler: str
    """Activity type."""
    parks: bool
    """Given up, the delivery is parked; otherwise a failure event tells of it."""
    supersedes: str | None = None
    """Activity type of the earlier work for the same subscriber and order that this one makes pointless."""


@dataclass(frozen=True)
class Logged:
    """An event was put on the bus; whether it is new is for the reader to see."""

    fact: Fact
    data: Json
    dice: Json
    """What is to go wrong with it; None where nothing is."""
    rehearsal: bool
    recipients: tuple[Recipient, ...]
    at_us: int
    """When the server took it in: microseconds since 1970."""


@dataclass(frozen=True)
class Handed:
    """A service was given work: an activity was scheduled."""

    task: int
    """Names the activity within its run."""
    activity: str
    """Activity type."""
    event: Identity | None
    """The event that was delivered; None where it was none, as in the saga."""


@dataclass(frozen=True)
class Ended:
    """A piece of work came to an end."""

    task: int
    outcome: Outcome


Step = Logged | Handed | Ended


class Wish(NamedTuple):
    """A customer's wish to cancel an order."""

    reason: str
    at_us: int
    """When the server took it in."""


class LatePlacement(NamedTuple):
    """An order that was handed over after its cancellation."""

    placement: Json
    at_us: int
    """When the server took it in."""


CLOSINGS: dict["Kind.ValueType", str] = {
    Kind.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    Kind.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancelled",
    Kind.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: "continued as new",
    Kind.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    Kind.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
    Kind.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed out",
}

_OWN_WORK = {"bus.route", "bus.take_over", "bus.collect"}
"""The bus's own activities: no work of a service."""

_WORKFLOW_TASKS = {
    Kind.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    Kind.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    Kind.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    Kind.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    Kind.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
}


@dataclass(frozen=True)
class Run:
    """One workflow run."""

    workflow_type: str
    start: Json
    """What it was started with."""
    started_us: int
    """When: microseconds since 1970."""
    steps: tuple[Step, ...]
    """In the sequence in which the workflow learned of them."""
    parked: frozenset[str]
    """What its search attribute names."""
    closed: str | None
    """How it closed, in one word or two; None while it is open."""
    result: Json
    taken_over: Json
    """How the run before ended, where a bus has asked for it."""
    collected: tuple[Fact, ...]
    """Events that wait or are parked, and that a bus has fetched as they were too large to be handed to it."""
    closed_us: int | None
    """When it closed; None while it is open."""
    wishes: tuple[Wish, ...]
    """What customers asked for, or were believed to, by which it was opened or while it was open."""
    asked: bool
    """A customer has asked for the order to be cancelled, and was not turned away."""
    answers: tuple[bool, ...]
    """What such customers were answered: whether the order is cancelled."""
    late_placements: tuple[LatePlacement, ...]
    stopped: bool
    """Somebody has asked Temporal to cancel the workflow, whatever it is at."""
    idle: bool
    """The workflow has taken note of all that came."""
    run_id: str
    previous_run: str | None
    """Id of the run that continued as this one."""
    original_run: str
    """Its own id; of one that came about as a person has reset another, the id of the first of these."""
    reset_of: str | None
    """Id of the run that a person has reset, by which this one came about."""
    does_again: bool
    """It came about so, and begins where that one began. Otherwise it asks anew how the run before it ended, and goes
    on from that one itself, or from what followed it.
    """
    next_run: str | None
    """Id of the run that this one continued as."""

    @property
    def inherited(self) -> tuple[Fact, ...]:
        """The entries of the log that a bus goes on with."""
        return (*_entries(self.inherited_log), *self.collected)

    @property
    def inherits_waiting(self) -> frozenset[tuple[Identity, str]]:
        """What it says has still to be delivered of them, and to which handlers."""
        entries = self.inherited_log.get("entries", ()) if isinstance(self.inherited_log, dict) else ()
        return frozenset(
            (_fact(entry).identity, to["handler"])
            for entry in entries
            for to in entry.get("deliveries", ())
            if to.get("state") == "pending"
        )

    @property
    def inherited_log(self) -> Json:
        """The log that a bus goes on with, as it is written down: what it was started with, or has taken over since."""
        if self.taken_over is not None and not self.taken_over["gone"]:
            return self.taken_over["log"]
        return self.start.get("log", {}) if isinstance(self.start, dict) else {}

    @property
    def is_taking_over(self) -> bool:
        """Whether it is a bus that has yet to learn how the run before ended."""
        start = self.start if isinstance(self.start, dict) else {}
        if _follows(start) and self.taken_over is None:
            return True
        elsewhere = (self.taken_over or start).get("elsewhere") or {"waiting": ()}
        return len(self.collected) < len(elsewhere["waiting"])

    @property
    def own_facts(self) -> tuple[Fact, ...]:
        """What was put on the bus in this run, known before or not, in sequence."""
        return tuple(step.fact for step in self.steps if isinstance(step, Logged))

    @property
    def shown(self) -> tuple[Fact, ...]:
        """The entries of the log as whoever asks this bus is shown it."""
        if self.closed == "completed":
            return _entries(self.result)
        return (*self.inherited, *self.own_facts)

    @property
    def under_way(self) -> list[str]:
        """What is going on: activity types of the work that was handed out and has not come to an end."""
        ended = {step.task for step in self.steps if isinstance(step, Ended)}
        working = [step.activity for step in self.steps if isinstance(step, Handed) and step.task not in ended]
        return working if self.idle else [*working, "a workflow task"]

    @property
    def settled(self) -> bool:
        """Nothing more will happen by itself: it is closed, or open for what is parked and for nothing else."""
        return self.closed is not None or bool(self.parked and not self.under_way)


def read_run(events: Sequence[HistoryEvent]) -> Run:
    """Read a run from its history.

    Args:
        events: all of the history, or as much as there is of a run that is open.
    """
    closing, started = events[-1], events[0].workflow_execution_started_event_attributes
    start = _json(started.input)
    keeps_who_told = isinstance(start, dict) and bool(start.get("keeps_who_told"))
    reader, talk = _Reader(keeps_who_told=keeps_who_told), _Talk()
    for event in events:
        reader.read(event)
        talk.read(event)
    return Run(
        workflow_type=started.workflow_type.name,
        start=start,
        started_us=events[0].event_time.ToMicroseconds(),
        steps=reader.steps(),
        parked=reader.parked,
        closed=CLOSINGS.get(closing.event_type),
        result=_json(closing.workflow_execution_completed_event_attributes.result),
        taken_over=reader.taken_over,
        collected=tuple(reader.collected),
        closed_us=events[-1].event_time.ToMicroseconds() if closing.event_type in CLOSINGS else None,
        wishes=(*_wishes_at_the_start(events[0]), *talk.wishes, *_wishes_on_the_bus(reader.steps())),
        asked=talk.asked,
        answers=tuple(talk.answers),
        late_placements=tuple(talk.late_placements),
        run_id=reader.run_id or started.original_execution_run_id,
        original_run=started.original_execution_run_id,
        reset_of=reader.reset_of,
        does_again=reader.reset_of is not None and (reader.has_a_beginning or not _follows(start)),
        stopped=talk.stopped,
        idle=reader.idle,
        previous_run=started.continued_execution_run_id or None,
        next_run=closing.workflow_execution_continued_as_new_event_attributes.new_execution_run_id or None,
    )


def _follows(start: Json) -> bool:
    """Whether it is a bus that was started to follow a closed run."""
    return isinstance(start, dict) and start.get("follows") is not None


def _wishes_at_the_start(event: HistoryEvent) -> list[Wish]:
    started = event.workflow_execution_started_event_attributes
    if started.workflow_type.name != "OrderCancellation":
        return []
    return [_wish(_json(started.input), event)]


def _wishes_on_the_bus(steps: Iterable[Step]) -> list[Wish]:
    return [
        Wish(str(step.data.get("reason")), step.at_us)
        for step in steps
        if isinstance(step, Logged) and step.fact.type == "order.cancel_requested" and isinstance(step.data, dict)
    ]


def _wish(request: Json, event: HistoryEvent) -> Wish:
    return Wish(str(request.get("reason", "cancelled by the customer")), event.event_time.ToMicroseconds())


class _Reader:
    """Puts what a history tells into the sequence in which the workflow learned of it.

    A workflow task is given all that came since the one before: the SDK runs the signals among it first, whatever came
    first on the server (`activate` in temporalio/worker/_workflow_instance.py), then the results of activities.
    """

    def __init__(self, *, keeps_who_told: bool) -> None:
        self.parked: frozenset[str] = frozenset()
        self._keeps_who_told = keeps_who_told
        self._services: dict[int, str] = {}
        """The services that were given work, by the events that scheduled it."""
        self.idle = False
        self.taken_over: Json = None
        self.run_id: str | None = None
        self.reset_of: str | None = None
        self.has_a_beginning = False
        """What was copied of the history of the run that was reset tells how the one before ended."""
        self.collected: list[Fact] = []
        self._own_work: dict[int, str] = {}
        """The bus's own activities, by the events that scheduled them."""
        self._steps: list[Step] = []
        self._signals: list[Step] = []
        self._results: list[Step] = []

    def steps(self) -> tuple[Step, ...]:
        """All, those that no workflow task has taken yet last."""
        return (*self._steps, *self._signals, *self._results)

    def read(self, event: HistoryEvent) -> None:
        """Take the next event of the history."""
        kind = event.event_type
        if kind in _WORKFLOW_TASKS:
            self.idle = kind == Kind.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        if kind == Kind.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signal = event.workflow_execution_signaled_event_attributes
            if signal.signal_name == "publish":
                self._signals += self._logged([_json(signal.input)], event, told_by=OUTSIDE)
        elif kind == Kind.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            self._steps = [*self.steps()]
            self._signals, self._results = [], []
        elif kind == Kind.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            self._hand(event)
        elif kind == Kind.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            self._note_reset(event.workflow_task_failed_event_attributes)
        elif kind in {
            Kind.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            Kind.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        }:
            self._note_parked(event)
        else:
            self._results += self._end(event)

    def _hand(self, event: HistoryEvent) -> None:
        work = event.activity_task_scheduled_event_attributes
        if work.activity_type.name in _OWN_WORK:
            self._own_work[event.event_id] = work.activity_type.name
        else:
            self._services[event.event_id] = service_of_activity(work.activity_type.name)
            self._steps.append(Handed(event.event_id, work.activity_type.name, _identity(_json(work.input))))

    def _end(self, event: HistoryEvent) -> list[Step]:
        """How a piece of work ended; nothing where it was the bus's own, or where the event is of another kind."""
        completed = event.activity_task_completed_event_attributes
        own_work = self._own_work.get(completed.scheduled_event_id)
        if own_work == "bus.take_over":
            self.taken_over = _json(completed.result)
        elif own_work == "bus.collect":
            self.collected += [_fact(routed["event"]) for routed in _json(completed.result)["events"]]
        else:
            is_answered = event.event_type == Kind.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
            ended = self._answered(event) if is_answered else _failing(event)
            return [step for step in ended if not (isinstance(step, Ended) and step.task in self._own_work)]
        return []

    def _answered(self, event: HistoryEvent) -> list[Step]:
        """That work was done, then what its answer puts into the log."""
        completed = event.activity_task_completed_event_attributes
        answer = _json(completed.result)
        if isinstance(answer, dict) and "recipients" in answer:  # the bus has found who hears of its failure event
            return self._logged([answer], event, told_by=answer["event"]["source"].removeprefix("orderlab/"))
        follow_ups = answer.get("events") if isinstance(answer, dict) else None
        # The bus takes no answer but a reaction; anything else parks the delivery. A saga's steps answer facts.
        nonsense = not isinstance(answer, dict | None) or not isinstance(follow_ups, list | None)
        service = self._services.get(completed.scheduled_event_id, "")
        nonsense = nonsense or (self._keeps_who_told and _speaks_for_another(service, follow_ups or ()))
        told = [] if nonsense else follow_ups or []
        outcome: Outcome = "given up" if nonsense else "done"
        return [Ended(completed.scheduled_event_id, outcome), *self._logged(told, event, told_by=service)]

    def _logged(self, routed: Iterable[Json], by: HistoryEvent, *, told_by: str) -> list[Step]:
        return [
            Logged(
                fact=_told(one, told_by if self._keeps_who_told else None),
                data=one["event"].get("data"),
                dice=one["event"].get("dice"),
                rehearsal=bool(one["event"].get("rehearsal")),
                recipients=tuple(
                    Recipient(to["subscriber"], to["handler"], to.get("failure_event") is None, to.get("supersedes"))
                    for to in one["recipients"]
                ),
                at_us=by.event_time.ToMicroseconds(),
            )
            for one in routed
        ]

    def _note_reset(self, failed: WorkflowTaskFailedEventAttributes) -> None:
        """A run that came about by a reset begins with a copy of the other one's history, and then this."""
        if failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
            self.run_id, self.reset_of = failed.new_run_id, failed.base_run_id
            self.has_a_beginning = self.taken_over is not None

    def _note_parked(self, event: HistoryEvent) -> None:
        started = event.workflow_execution_started_event_attributes
        upserted = event.upsert_workflow_search_attributes_event_attributes
        for attributes in (started.search_attributes, upserted.search_attributes):
            if "Parked" in attributes.indexed_fields:
                self.parked = frozenset(_value(attributes.indexed_fields["Parked"]) or ())


class _Talk:
    """What people wanted of a saga while it was at work, and what it answered."""

    def __init__(self) -> None:
        self.answers: list[bool] = []
        self.late_placements: list[LatePlacement] = []
        self.wishes: list[Wish] = []
        self.stopped = False
        self._requests: set[int] = set()
        self._is_wished = False
        self._is_considered = False

    @property
    def asked(self) -> bool:
        """Whether a customer has asked for the order to be cancelled, and was not turned away."""
        return bool(self._requests) or (self._is_wished and self._is_considered)

    def read(self, event: HistoryEvent) -> None:
        """Take the next event of the history."""
        kind = event.event_type
        if kind == Kind.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            update = event.workflow_execution_update_accepted_event_attributes.accepted_request
            if update.input.name == "cancel":
                self._requests.add(event.event_id)
                self.wishes.append(_wish(_json(update.input.args), event))
        elif kind == Kind.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
            answered = event.workflow_execution_update_completed_event_attributes
            if answered.accepted_event_id in self._requests and answered.outcome.HasField("success"):
                self.answers.append(bool(_json(answered.outcome.success)["accepted"]))
        elif kind == Kind.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signal = event.workflow_execution_signaled_event_attributes
            self._is_wished |= signal.signal_name == "cancellation_wished"
            if signal.signal_name == "placed":
                late = LatePlacement(_json(signal.input)["placement"], event.event_time.ToMicroseconds())
                self.late_placements.append(late)
        elif kind == Kind.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            work = event.activity_task_scheduled_event_attributes.activity_type.name
            self._is_considered |= work == "shipping.decide_cancellation"
        elif kind == Kind.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            self.stopped = True


def _failing(event: HistoryEvent) -> list[Step]:
    """How an activity ended without an answer; nothing where the event is of another kind."""
    if event.event_type == Kind.EVENT_TYPE_ACTIVITY_TASK_FAILED:
        failed = event.activity_task_failed_event_attributes
        outcome: Outcome = "given up"
        if failed.failure.application_failure_info.type == "SupersededError":
            outcome = "superseded"
        elif failed.failure.application_failure_info.type == "OrderIdTakenError":
            outcome = "refused"
        elif failed.retry_state == RetryState.RETRY_STATE_CANCEL_REQUESTED:
            outcome = "called off"
        return [Ended(failed.scheduled_event_id, outcome)]
    if event.event_type == Kind.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        late = event.activity_task_timed_out_event_attributes
        called_off = late.retry_state == RetryState.RETRY_STATE_CANCEL_REQUESTED
        return [Ended(late.scheduled_event_id, "called off" if called_off else "given up")]
    if event.event_type == Kind.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        return [Ended(event.activity_task_canceled_event_attributes.scheduled_event_id, "called off")]
    return []


def _speaks_for_another(service: str, follow_ups: Iterable[Json]) -> bool:
    """Whether a service's answer tells what is for another one to tell, or for a person, or in another one's name."""
    for one in follow_ups:
        event = one["event"]
        is_another_s = event["source"].startswith("orderlab/") and event["source"] != f"orderlab/{service}"
        if SERVICE_OF_FACT.get(event["type"], service) != service or event.get("byhand") or is_another_s:
            return True
    return False


def _told(routed: Json, told_by: str | None) -> Fact:
    """An event as it was put on a bus."""
    event = routed["event"]
    return _fact(event)._replace(
        told_by=told_by,
        by_hand=event.get("byhand"),
        content=event.get("ordercontent"),
        acted_on=bool(routed["recipients"]),
    )


def _entries(log: Json) -> tuple[Fact, ...]:
    """The entries of a log as it is written down."""
    return tuple(
        _fact(entry)._replace(
            told_by=entry.get("told_by"),
            by_hand=entry.get("by_hand"),
            content=entry.get("content"),
            acted_on=any(
                to.get("state") != "handled" or not to.get("reason") or to.get("redrives")
                for to in entry.get("deliveries", ())
            ),
        )
        for entry in (log.get("entries", ()) if isinstance(log, dict) else ())
    )


def _fact(event: Json) -> Fact:
    return Fact(event.get("source", ""), event["id"], event.get("type", ""), event.get("causationid"))


def _identity(work: Json) -> Identity | None:
    return _fact(work).identity if isinstance(work, dict) and "specversion" in work else None


def _json(payloads: Payloads) -> Json:
    return _value(payloads.payloads[0]) if payloads.payloads else None


def _value(payload: Payload) -> Json:
    return json.loads(payload.data) if payload.data else None
