"""Guarantee 4: each subscriber is handed one event at a time, in the sequence of the log, parked ones aside."""

import copy
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


def sequence_violations(runs: Sequence[Run]) -> list[str]:
    """What is wrong with the sequence in which a bus handed out events.

    Args:
        runs: all runs of one bus, oldest first.
    """
    found: list[str] = []
    lanes = _Lanes(found)
    begun: dict[str, _Lanes] = {}
    for run in runs:
        inherited = {fact.identity for fact in run.inherited}
        if run.original_run in begun:  # a person has reset it: it does once more what it did since
            lanes = begun[run.original_run].as_they_are()
        elif not inherited:  # a log of its own: the one before, if any, was lost with a run that somebody terminated
            lanes = _Lanes(found)
        begun.setdefault(run.original_run, lanes.as_they_are())
        lanes.begin(inherited)
        for step in run.steps:
            if isinstance(step, Logged):
                if counts(step.fact):  # the others go to nobody
                    lanes.log(step)
            elif isinstance(step, Handed):
                lanes.hand(step)
            else:
                lanes.end(step)
        lanes.close(run)
    return found


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
        return copy.deepcopy(self, {id(self._found): self._found})

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
