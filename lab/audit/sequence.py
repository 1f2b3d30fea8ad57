"""Guarantee 4: each subscriber is handed one event at a time, in the sequence of the log, parked ones aside."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from lab.audit.history import Ended, Handed, Identity, Logged, Outcome, Run
from lab.audit.orders import BROKEN_OFF
from lab.audit.scenario import service_of_activity
from lab.audit.speaking import counts


class _Delivery(NamedTuple):
    event: Identity
    handler: str

    def __str__(self) -> str:
        return f"{self.event} ({self.handler})"


class _Past(NamedTuple):
    """A run that was followed by others, and what waited for whom around it."""

    run: Run
    begun: "_Lanes"
    ended: "_Lanes"


def sequence_violations(runs: Sequence[Run]) -> list[str]:
    """What is wrong with the sequence in which a bus handed out events.

    Args:
        runs: all runs of one bus, oldest first.
    """
    found: list[str] = []
    past: list[_Past] = []
    for run in runs:
        begun = _at_the_begin_of(run, past, found)
        lanes = begun.as_they_are()
        lanes.begin({fact.identity for fact in run.inherited})
        for step in run.steps:
            if isinstance(step, Logged):
                if counts(step.fact):  # the others go to nobody
                    lanes.log(step)
            elif isinstance(step, Handed):
                lanes.hand(step)
            else:
                lanes.end(step)
        lanes.close(run)
        past.append(_Past(run, begun, lanes))
    return found


def _at_the_begin_of(run: Run, past: Sequence[_Past], found: list[str]) -> "_Lanes":
    """What waited for whom when a run began: as the run just before it left it, whatever the run says of that.

    Only one that came about as a person has reset another may go back: to where that one began, if it does its work
    once more, and otherwise to where that one ended, or any that followed it since.

    Args:
        run: of the bus.
        past: the runs before it, oldest first.
        found: what is wrong is told to.
    """
    known = {one.run.run_id: number for number, one in enumerate(past)}
    reset, continued = known.get(run.reset_of or ""), known.get(run.previous_run or "")
    if run.does_again:
        return _Lanes(found) if reset is None else past[reset].begun
    if run.reset_of is None and run.previous_run is not None:
        return _Lanes(found) if continued is None else past[continued].ended
    if not past or not run.inherited:  # a log of its own: nobody knows the one before any more
        return _Lanes(found)
    if reset is None:
        return past[-1].ended
    return min(reversed(past[reset:]), key=lambda one: _unlike(run, one)).ended


def _unlike(run: Run, before: _Past) -> tuple[int, int, int]:
    """By how much the log that a run goes on with is not the one that an earlier run has left."""
    inherited, left = ({fact.identity for fact in facts} for facts in (run.inherited, before.run.shown))
    waiting, unfinished = before.ended.waiting(), before.ended.unfinished()
    claimed = run.inherits_waiting
    return len(inherited - left), len(waiting - claimed) + len(claimed - unfinished), len(left - inherited)


class _Lanes:
    """Follows what waits for each subscriber, from the log alone, and holds what was handed over against that."""

    def __init__(self, found: list[str]) -> None:
        self._found = found
        self._logged: set[Identity] = set()
        self._unseen: set[Identity] = set()
        """Events of runs whose histories are gone."""
        self._waiting: dict[str, list[_Delivery]] = defaultdict(list)
        self._busy: dict[str, _Delivery] = {}
        self._ended: dict[_Delivery, Outcome] = {}
        self._subscribers: dict[_Delivery, str] = {}
        self._supersedes: dict[_Delivery, str] = {}
        """The handler whose earlier deliveries this one makes pointless."""
        self._contents: dict[Identity, str | None] = {}
        """Which order an event is about, where it says so."""
        self._tasks: dict[int, _Delivery] = {}

    def as_they_are(self) -> "_Lanes":
        """A copy, which finds for the same list."""
        copied = _Lanes(self._found)
        copied._logged |= self._logged
        copied._unseen |= self._unseen
        copied._waiting.update((subscriber, [*lane]) for subscriber, lane in self._waiting.items())
        copied._busy |= self._busy
        copied._ended |= self._ended
        copied._subscribers |= self._subscribers
        copied._supersedes |= self._supersedes
        copied._contents |= self._contents
        return copied

    def waiting(self) -> set[tuple[Identity, str]]:
        """The events that have still to be handed to somebody, and to which handlers."""
        return {(delivery.event, delivery.handler) for lane in self._waiting.values() for delivery in lane}

    def unfinished(self) -> set[tuple[Identity, str]]:
        """The same, with those that somebody gave up."""
        given_up = {(one.event, one.handler) for one, how in self._ended.items() if how == "given up"}
        return self.waiting() | given_up

    def begin(self, inherited: set[Identity]) -> None:
        self._unseen |= inherited - self._logged
        self._logged |= inherited
        self._tasks.clear()

    def log(self, event: Logged) -> None:
        identity = event.fact.identity
        if identity in self._logged:
            return
        self._logged.add(identity)
        self._contents[identity] = event.fact.content
        for recipient in event.recipients:
            delivery = _Delivery(identity, recipient.handler)
            if recipient.supersedes is not None:
                self._supersedes[delivery] = recipient.supersedes
            self._subscribers[delivery] = recipient.subscriber
            self._waiting[recipient.subscriber].append(delivery)

    def hand(self, work: Handed) -> None:
        delivery = _Delivery(work.event or Identity("", ""), work.activity)
        subscriber = self._subscriber(delivery)
        if subscriber in self._busy:
            self._found.append(f"{subscriber} was handed {delivery} while it was at {self._busy[subscriber]}")
        lane = self._waiting[subscriber]
        if delivery in lane:
            self._pass_by_what_is_pointless(lane, up_to=delivery)
            if lane[0] != delivery:
                self._found.append(f"{subscriber} was handed {delivery} before {lane[0]}")
            lane.remove(delivery)
        elif self._ended.get(delivery) in {"done", "superseded"}:
            self._found.append(f"{subscriber} was handed {delivery} again, though it had handled it")
        elif delivery not in self._ended and work.event not in self._unseen and delivery not in self._busy.values():
            self._found.append(f"{subscriber} was handed {delivery}, which did not go to it")
        self._busy[subscriber] = self._tasks[work.task] = delivery

    def _pass_by_what_is_pointless(self, lane: list[_Delivery], *, up_to: _Delivery) -> None:
        """Take out of a lane what need not be handed over any more, as something behind it makes it pointless."""
        for number, waiting in reversed(list(enumerate(lane[: lane.index(up_to)]))):
            if any(self._is_superseded(waiting, by=later) for later in lane[number + 1 :]):
                lane.remove(waiting)
                self._ended[waiting] = "called off"  # a run that follows one that was broken off may hand it over

    def _is_superseded(self, delivery: _Delivery, *, by: _Delivery) -> bool:
        content = self._contents.get(by.event)
        is_about_its_order = content is None or content == self._contents.get(delivery.event)
        return self._supersedes.get(by) == delivery.handler and is_about_its_order

    def end(self, work: Ended) -> None:
        delivery = self._tasks.pop(work.task)
        subscriber = self._subscriber(delivery)
        if self._busy.get(subscriber) == delivery:
            del self._busy[subscriber]
        self._ended[delivery] = work.outcome
        if work.outcome == "called off":  # it keeps its place
            self._waiting[subscriber].insert(0, delivery)

    def close(self, run: Run) -> None:
        if run.closed in BROKEN_OFF:  # the next run does once more what was under way
            for subscriber, delivery in self._busy.items():
                self._waiting[subscriber].insert(0, delivery)
            self._busy.clear()
        if run.closed in {"completed", "continued as new"}:
            for subscriber, delivery in self._busy.items():
                self._found.append(f"the bus closed while {subscriber} was at {delivery}")
        if run.closed == "completed":
            for subscriber, lane in self._waiting.items():
                self._found += [f"{subscriber} was never handed {delivery}" for delivery in lane]

    def _subscriber(self, delivery: _Delivery) -> str:
        return self._subscribers.get(delivery, service_of_activity(delivery.handler))
