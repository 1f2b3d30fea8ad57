"""Guarantee 4, where a bus was broken off, reset or repaired: whoever did nothing wrong is not accused, others are.

The histories here are those of a simple bus that does as it should, drawn at random, and others with a fault put in.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.audit.history import Ended, Fact, Handed, Identity, Logged, Outcome, Recipient, Run, Step
from lab.audit.orders import Content, PlacedOrder
from lab.audit.scenario import Key
from lab.audit.sequence import sequence_violations

RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SERVICES = ("shipping", "marketing")
SETTLED = {"done", "superseded"}

NOTHING = Run(
    workflow_type="EventBus",
    start={},
    started_us=0,
    steps=(),
    parked=frozenset(),
    closed=None,
    result=None,
    taken_over=None,
    collected=(),
    closed_us=None,
    wishes=(),
    asked=False,
    answers=(),
    late_placements=(),
    stopped=False,
    idle=True,
    run_id="",
    previous_run=None,
    original_run="",
    reset_of=None,
    does_again=False,
    next_run=None,
)


def handler(service: str) -> str:
    return f"{service}.on_event"


@dataclass
class Log:
    """A log as a bus keeps it, with how each delivery stands."""

    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each event, by service."""

    def copy(self) -> "Log":
        return Log({event: {**deliveries} for event, deliveries in self.entries.items()})

    def waiting(self, service: str) -> list[str]:
        return [event for event, deliveries in self.entries.items() if deliveries.get(service) == "pending"]

    @property
    def is_done(self) -> bool:
        return all(state != "pending" for deliveries in self.entries.values() for state in deliveries.values())

    def written_down(self) -> dict[str, Any]:
        return {
            "entries": [
                {
                    "source": "/erp",
                    "id": event,
                    "type": "ticket.created",
                    "deliveries": [{"handler": handler(to), "state": state} for to, state in deliveries.items()],
                }
                for event, deliveries in self.entries.items()
            ]
        }


def following(run_id: str, log: Log) -> Run:
    """A run that was started after another, and has taken over a log."""
    return replace(NOTHING, start={"follows": run_id}, taken_over={"gone": False, "log": log.written_down()})


class Moment(NamedTuple):
    """How a run stood after some of its steps."""

    steps: tuple[Step, ...]
    log: Log
    busy: dict[str, tuple[int, str]]


@dataclass
class Bus:
    """A bus that does as it should, and writes its runs down as the auditor reads them."""

    runs: list[Run] = field(default_factory=list)
    moments: dict[str, list[Moment]] = field(default_factory=dict)
    """Of each run, from its begin to its end."""
    steps: tuple[Step, ...] = ()
    log: Log = field(default_factory=Log)
    busy: dict[str, tuple[int, str]] = field(default_factory=dict)
    """What each service is at: the activity, and the event."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def latest(self) -> str:
        return self.runs[-1].run_id

    @property
    def is_open(self) -> bool:
        return bool(self.runs) and self.runs[-1].closed is None

    def run(self, run_id: str) -> Run:
        return next(run for run in self.runs if run.run_id == run_id)

    def steps_of(self, run_id: str) -> int:
        return len(self.moments[run_id][-1].steps)

    # How a run comes about

    def begin(self) -> None:
        """The first run, or the one that follows the latest."""
        before = self.runs[-1] if self.runs else None
        ended = self.moments[before.run_id][-1].log if before else Log()
        run = NOTHING
        if before is not None and before.closed == "continued as new":
            run = replace(NOTHING, start={"log": ended.written_down()}, previous_run=before.run_id)
        elif before is not None:
            run = following(before.run_id, ended)
        self._begin(run, ended)

    def does_again(self, run_id: str, after: int = 0) -> None:
        """A person has reset a run to after so many of its steps, and it begins where that one did."""
        before, moment = self._reset(run_id), self.moments[run_id][after]
        of = replace(before, run_id="", closed=None, result=None, next_run=None, reset_of=run_id, does_again=True)
        self._begin(of, self.moments[run_id][0].log)
        self.moments[self.latest] += self.moments[run_id][1 : after + 1]
        self.steps, self.log, self.busy = moment.steps, moment.log.copy(), {**moment.busy}
        self._tell_again(before.steps[after:])

    def goes_on(self, run_id: str, after: str) -> None:
        """A person has reset a run that had followed another, and it asks again after which run it comes."""
        before, ended = self._reset(run_id), self.moments[after][-1].log
        self._begin(replace(following(before.start["follows"], ended), reset_of=run_id), ended)
        self._tell_again(before.steps)

    def _reset(self, run_id: str) -> Run:
        if self.is_open:
            self.close("terminated")
        return self.run(run_id)

    def _begin(self, run: Run, log: Log) -> None:
        self.runs.append(replace(run, run_id=f"run-{next(self.numbers)}"))
        self.steps, self.log, self.busy = (), log.copy(), {}
        self.moments[self.latest] = [Moment((), log.copy(), {})]

    def _tell_again(self, steps: Iterable[Step]) -> None:
        """The server hands what was published to the run that was reset to the new one."""
        for step in steps:
            if isinstance(step, Logged):
                self.publish(step.fact.event_id, *(to.subscriber for to in step.recipients))

    # What it does

    def publish(self, event: str, *services: str) -> None:
        """An event comes, which may be known."""
        to = tuple(Recipient(service, handler(service), parks=True) for service in services)
        fact = Fact("/erp", event, "ticket.created", None)
        self.log.entries.setdefault(event, dict.fromkeys(services, "pending"))
        self._take(Logged(fact, None, None, rehearsal=False, recipients=to, at_us=0))

    def hand(self, service: str, event: str | None = None) -> None:
        """A service is handed what is next for it, or something else by mistake."""
        event = event or self.log.waiting(service)[0]
        task = next(self.numbers)
        self.busy[service] = (task, event)
        self._take(Handed(task, handler(service), Identity("/erp", event)))

    def end(self, service: str, outcome: Outcome = "done") -> None:
        """A service has come to an end with what it was handed."""
        task, event = self.busy.pop(service)
        if outcome != "called off":
            self.log.entries[event][service] = outcome
        self._take(Ended(task, outcome))

    def _take(self, step: Step) -> None:
        self.steps = (*self.steps, step)
        self.moments[self.latest].append(Moment(self.steps, self.log.copy(), {**self.busy}))

    def deliver(self) -> None:
        """All that waits is handed over, and handled."""
        for service in SERVICES:
            if service in self.busy:
                self.end(service)
            while self.log.waiting(service):
                self.hand(service)
                self.end(service)

    def close(self, closed: str = "completed") -> None:
        """The run ends."""
        if closed == "terminated":  # what was given up is to be delivered once more
            for deliveries in self.log.entries.values():
                deliveries |= {to: state if state in SETTLED else "pending" for to, state in deliveries.items()}
        result = self.log.written_down() if closed == "completed" else None
        self.runs[-1] = replace(self.runs[-1], steps=self.steps, closed=closed, result=result)
        self.moments[self.latest].append(Moment(self.steps, self.log.copy(), {}))

    def audited(self) -> list[str]:
        """What the auditor says of it."""
        *earlier, last = self.runs
        return sequence_violations([*earlier, replace(last, steps=self.steps)])


# Lives of a bus, drawn at random

Draw = Callable[[st.SearchStrategy[Any]], Any]


def does_something(draw: Draw, bus: Bus, events: Iterator[int]) -> None:
    """One step of an open run."""
    service = draw(st.sampled_from(SERVICES))
    if service in bus.busy:
        outcomes = ("done", "done", "superseded", "given up", "called off")
        bus.end(service, draw(st.sampled_from(outcomes)))
    elif bus.log.waiting(service) and draw(st.booleans()):
        bus.hand(service)
    else:
        recipients = draw(st.sampled_from(((service,), SERVICES)))
        bus.publish(f"event-{next(events)}", *recipients)


def ends(draw: Draw, bus: Bus) -> None:
    """An open run ends in a way in which a run can."""
    how = draw(st.sampled_from(("completed", "terminated", "continued as new")))
    if how == "continued as new":
        for service in [*bus.busy]:
            bus.end(service, "called off")
        how = how if any(bus.log.waiting(service) for service in SERVICES) else "completed"
    if how == "completed":
        bus.deliver()
    bus.close(how)


def comes_about(draw: Draw, bus: Bus) -> None:
    """The next run: it follows the latest, or a person has reset any of them."""
    if not bus.is_open and (not bus.runs or bus.runs[-1].closed == "continued as new" or draw(st.booleans())):
        bus.begin()
        return
    following = [run for run in bus.runs if "follows" in run.start]
    if following and draw(st.booleans()):
        run = draw(st.sampled_from(following))
        since = bus.runs[bus.runs.index(run) :]
        bus.goes_on(run.run_id, draw(st.sampled_from(since)).run_id)
    else:
        run = draw(st.sampled_from(bus.runs))
        bus.does_again(run.run_id, draw(st.integers(0, bus.steps_of(run.run_id))))


def life(draw: Draw) -> Bus:
    """A bus whose last run is open."""
    bus, events = Bus(), itertools.count()
    for _ in range(draw(st.integers(2, 8))):
        if bus.is_open and draw(st.booleans()):
            ends(draw, bus)
        if not bus.is_open or draw(st.booleans()):
            comes_about(draw, bus)
        for _ in range(draw(st.integers(0, 6))):
            does_something(draw, bus, events)
    return bus


@RELAXED
@given(st.data())
def test_a_bus_that_does_as_it_should_is_not_accused_however_its_runs_were_broken_off_and_reset(
    data: st.DataObject,
) -> None:
    bus = life(data.draw)
    assert bus.audited() == []
    bus.deliver()
    bus.close()

    assert bus.audited() == []


def overtaken(bus: Bus, service: str) -> None:
    """A service is handed the second event that waits for it, and not the first."""
    bus.hand(service, bus.log.waiting(service)[1])


def doubled(bus: Bus, service: str) -> None:
    """A service is handed again what it has handled."""
    handled = [event for event, to in bus.log.entries.items() if to.get(service) in SETTLED]
    bus.hand(service, handled[-1])


def at_once(bus: Bus, service: str) -> None:
    """A service is handed an event while it is at another."""
    bus.hand(service)
    bus.hand(service, bus.log.waiting(service)[1])


def forgotten(bus: Bus, service: str) -> None:
    """The run ends, and a service was never handed an event."""
    left_out = bus.log.waiting(service)[-1]
    del bus.log.entries[left_out][service]
    bus.deliver()
    bus.close()


def misled(bus: Bus, service: str) -> None:
    """A service is handed an event that did not go to it."""
    bus.publish("for-nobody")
    bus.hand(service, "for-nobody")


FAULTS: dict[Callable[[Bus, str], None], str] = {
    overtaken: "before",
    doubled: "again, though it had handled it",
    at_once: "while it was at",
    forgotten: "was never handed",
    misled: "which did not go to it",
}


@pytest.mark.parametrize("goes_wrong", FAULTS)
@RELAXED
@given(data=st.data(), service=st.sampled_from(SERVICES))
def test_a_bus_that_goes_wrong_is_found_however_its_runs_were_broken_off_and_reset(
    goes_wrong: Callable[[Bus, str], None], data: st.DataObject, service: str
) -> None:
    # given a bus that has done some work in its last run, and has more to do
    bus = life(data.draw)
    bus.deliver()
    bus.publish("handled", service)
    bus.deliver()
    bus.publish("waits", service)
    bus.publish("waits, too", service)

    goes_wrong(bus, service)

    assert any(FAULTS[goes_wrong] in what and what.startswith(service) for what in bus.audited())


@RELAXED
@given(data=st.data(), service=st.sampled_from(SERVICES))
def test_what_a_run_has_handled_is_not_handed_over_by_the_next_one_or_that_is_found(
    data: st.DataObject, service: str
) -> None:
    # given an event that was handled in a run, in whatever life, which then ended, or was broken off
    bus = life(data.draw)
    bus.publish("handled", service)
    bus.deliver()
    bus.close(data.draw(st.sampled_from(("completed", "terminated"))))
    # when the next run hands it over again, or when it is a run that has to go on from there
    handled_in = bus.latest
    bus.begin()
    if data.draw(st.booleans()):
        bus.goes_on(bus.latest, after=data.draw(st.sampled_from((handled_in, bus.latest))))
    bus.hand(service, "handled")

    assert any("again, though it had handled it" in what for what in bus.audited())


# The ways in which one run follows another


def broken_off() -> Bus:
    """A run that was terminated while shipping was at an event, and others had it yet to come."""
    bus = Bus()
    bus.begin()
    bus.publish("placed", *SERVICES)
    bus.hand("shipping")
    bus.close("terminated")
    return bus


def followed(bus: Bus, event: str) -> Bus:
    """The next run, which an event opens, and in which all is handled."""
    bus.begin()
    bus.publish(event, *SERVICES)
    bus.deliver()
    bus.close()
    return bus


def of_a_broken_off_bus_the_next_run_is_reset() -> Bus:
    bus = followed(broken_off(), "cancelled")
    bus.goes_on(bus.latest, after=bus.latest)
    return bus


def that_run_is_reset_twice() -> Bus:
    bus = of_a_broken_off_bus_the_next_run_is_reset()
    bus.deliver()
    bus.close()
    reset, then = (run.run_id for run in bus.runs[1:])
    bus.goes_on(reset, after=then)
    return bus


def that_run_is_reset_while_it_is_at_work() -> Bus:
    bus = broken_off()
    bus.begin()
    bus.publish("cancelled", *SERVICES)
    bus.hand("shipping")
    bus.goes_on(bus.latest, after=bus.latest)
    return bus


def that_run_is_reset_to_where_it_had_begun_to_work() -> Bus:
    bus = followed(broken_off(), "cancelled")
    bus.does_again(bus.latest, after=1)
    return bus


def a_repair_tells_a_bus_again_what_a_reset_of_an_earlier_run_has_lost() -> Bus:
    bus = Bus()
    followed(followed(bus, "placed"), "cancelled")
    bus.does_again(bus.runs[0].run_id)
    bus.deliver()
    bus.close()
    bus.begin()
    bus.publish("cancelled", *SERVICES)
    return bus


def both_runs_of_a_bus_are_reset_the_earlier_first() -> Bus:
    bus = Bus()
    followed(followed(bus, "placed"), "cancelled")
    first, second = (run.run_id for run in bus.runs)
    bus.does_again(first)
    bus.hand("shipping")
    bus.close("terminated")
    bus.goes_on(second, after=second)
    return bus


def a_run_that_continued_as_new_is_reset() -> Bus:
    bus = Bus()
    bus.begin()
    bus.publish("placed", *SERVICES)
    bus.close("continued as new")
    bus.begin()
    bus.deliver()
    bus.does_again(bus.runs[0].run_id)
    return bus


def the_run_that_another_continued_as_is_reset_and_broken_off() -> Bus:
    bus = a_run_that_continued_as_new_is_reset()
    bus.close("continued as new")
    bus.begin()
    bus.does_again(bus.latest)
    bus.hand("marketing")
    bus.close("terminated")
    bus.begin()
    return bus


WAYS = (
    of_a_broken_off_bus_the_next_run_is_reset,
    that_run_is_reset_twice,
    that_run_is_reset_while_it_is_at_work,
    that_run_is_reset_to_where_it_had_begun_to_work,
    a_repair_tells_a_bus_again_what_a_reset_of_an_earlier_run_has_lost,
    both_runs_of_a_bus_are_reset_the_earlier_first,
    a_run_that_continued_as_new_is_reset,
    the_run_that_another_continued_as_is_reset_and_broken_off,
)


@pytest.mark.parametrize("way", WAYS)
def test_in_whatever_way_a_run_follows_another_it_is_not_accused_of_what_others_did(way: Callable[[], Bus]) -> None:
    bus = way()
    bus.deliver()
    bus.close()

    assert bus.audited() == []


@pytest.mark.parametrize("goes_wrong", FAULTS)
@pytest.mark.parametrize("way", WAYS)
def test_in_whatever_way_a_run_follows_another_it_is_found_out_when_it_goes_wrong(
    way: Callable[[], Bus], goes_wrong: Callable[[Bus, str], None]
) -> None:
    bus = way()
    bus.deliver()
    bus.publish("waits", *SERVICES)
    bus.publish("waits, too", *SERVICES)

    goes_wrong(bus, "marketing")

    assert any(FAULTS[goes_wrong] in what for what in bus.audited())


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_was_reset_and_leaves_out_what_it_has_to_do_is_found(way: Callable[[], Bus]) -> None:
    bus = way()
    for service in SERVICES:
        bus.publish("one more", service)
    left_out = bus.log.waiting("shipping")
    for event in left_out:
        del bus.log.entries[event]["shipping"]
    bus.busy.pop("shipping", None)
    bus.deliver()
    bus.close()

    assert [what for what in bus.audited() if what.startswith("shipping was never handed")]


def test_after_runs_that_the_server_has_deleted_nobody_is_accused() -> None:
    # given a run that did not do its work, one that did and is gone, and those that went on from that one
    bus = followed(broken_off(), "cancelled")
    bus.goes_on(bus.latest, after=bus.latest)
    bus.close("continued as new")
    bus.begin()
    bus.deliver()
    bus.close()
    first, *_, last = bus.runs

    assert sequence_violations([first, last]) == []


def test_what_was_parked_when_a_run_began_is_expected_to_be_so_when_that_is_reset() -> None:
    # given something parked, a run that continued as new with it, and that one reset by a person
    bus = Bus()
    bus.begin()
    bus.publish("placed", *SERVICES)
    bus.hand("marketing")
    bus.end("marketing", "given up")
    bus.close("continued as new")
    bus.begin()
    bus.does_again(bus.latest)
    content = Content(customer_id=None, country="Norway", day="2010-12-01", lines=(), fingerprint="f")
    order = PlacedOrder(
        Key("choreography", "1"), content, rehearsal=False, placed_us=0, handover_us=0, runs=tuple(bus.runs)
    )

    assert order.given_up_for_now() == {"marketing"}
