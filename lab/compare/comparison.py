"""The result of `orderlab compare`: the report, and what else a decision needs. What was not measured is null."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, model_validator

from lab.report import Percentiles, Report
from orders.model import Style

Lane = str
"""Where something happened: `order`, `bus`, or the name of a service."""

AT_A_THIRD = "at_a_third."
"""Comes before the name of the measure in ratios taken at a third of the maximum throughput."""


class Machine(BaseModel):
    """What the run ran on."""

    processors: int
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    """Package to version."""


class LoadPoint(BaseModel):
    """An open loop: orders come at a rate whatever becomes of them (Poisson arrivals), in one style or reference."""

    rate_per_s: float
    """Orders a second that were intended."""
    end_to_end_ms: Percentiles | None
    """Counted from the intended start: an order that was placed late counts as late (no coordinated omission)."""
    reaction_ms: dict[str, Percentiles | None]
    """By service, likewise."""


class BlastRadius(BaseModel):
    """What the others felt of one service that was away, in one style."""

    service: str
    """The one that was away."""
    expected: int
    """Effects of other services that were due meanwhile."""
    delayed: int
    """Of those, how many took more than twice the median of the time before."""
    lost: int
    """Of those, how many never happened, and are not parked either."""
    compensated: int
    """Of those, how many were undone as the business rule demands; they are neither delayed nor lost."""
    share: float
    """(delayed + lost) / expected."""
    orders: int | None = None
    """Placed while the service was away; null in results of earlier versions."""


class Growth(BaseModel):
    """The workers of a fresh lab after few orders, and of another lab after many."""

    orders_before: int
    """In each style, in the fresh lab."""
    orders_after: int
    """In each style, in the other."""
    memory_before_mib: dict[str, float]
    """Process to its resident set size."""
    memory_after_mib: dict[str, float]


class FanOut(BaseModel):
    """The choreography with so many equal subscribers of `order.placed`."""

    subscribers: int
    end_to_end_ms: Percentiles | None
    """One order at a time."""
    ms_per_subscriber: Percentiles | None
    """The same, divided by the number of subscribers."""
    deliveries_per_s: float
    """With many orders in flight: orders a second, times subscribers."""
    actions_per_order: float
    history_events_per_order: float


class Module(BaseModel):
    """What one module of the code knows and who knows it (Martin 1994: I = Ce / (Ce + Ca))."""

    style: Style
    module: str
    """Path from the top of the project."""
    services: list[str]
    """Services that it names, other than its own."""
    events: list[str]
    """Event types that it names."""
    efferent: int
    """Ce: the modules of this style that it depends on, by import or by an event of theirs."""
    afferent: int
    """Ca: the modules of this style that depend on it."""
    instability: float | None
    """Null where it neither depends nor is depended on."""


class Coupling(BaseModel):
    """How much the parts of each style know of one another, read from the code."""

    modules: list[Module]
    touched_by_a_new_service: dict[Style, list[str]]
    """Style to the files that have to be changed (not added) for one more service."""
    lookups_to_explain_a_stuck_order: dict[Style, list[str]]
    """Style to the commands or pages that have to be looked at, in sequence, until the cause is known."""


class Mark(BaseModel):
    """Something in the life of an order, on its timeline."""

    lane: Lane
    kind: Literal["publish", "delivery", "effect", "retry", "compensation", "failure", "end"]
    what: str
    """Such as `shipment.created`, or an activity type."""
    from_ms: float
    """Since the order was placed."""
    to_ms: float
    """The same as `from_ms` for a moment."""


class Timeline(BaseModel):
    """One order in one style, drawn from its history and from the services' databases."""

    order_id: str
    style: Style
    title: Literal["a good order", "a broken order"]
    state: str
    """How it ended."""
    marks: list[Mark]
    """In the sequence of `from_ms`."""


class Interval(BaseModel):
    """A difference, choreography - saga, with its 95 % interval."""

    value: float
    low: float
    high: float


Answer = Literal["better", "no clear difference", "too small to matter", "too little data"]
"""What a criterion says. Clear is what lies outside chance, and what matters lies above a threshold besides."""


class Finding(BaseModel):
    """One criterion, and which style the run favours by it."""

    criterion: str
    """Such as `end-to-end latency`."""
    named_in: str | None
    """The published catalogue that has the criterion, and how it is called there."""
    answer: Answer
    better: Style | None
    """Null unless the answer is that one is better."""
    matters_from: str | None = None
    """The least difference that matters, such as `5 %` of what it is in the saga."""
    difference: Interval | None = None
    """Of what is not among the ratios: USD for a million orders, or the share of effects; null for exact counts too."""
    evidence: str
    """In one sentence, with the figures."""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, found: Any) -> Any:  # noqa: ANN401 - whatever was read
        """Results of earlier versions have no answer beside `better`."""
        if isinstance(found, dict) and "answer" not in found:
            return {**found, "answer": "better" if found.get("better") else "no clear difference"}
        return found

    @property
    def told(self) -> str:
        """The answer in a few words."""
        return self.better or self.answer


class Verdict(BaseModel):
    """The answer in plain words."""

    headline: str
    findings: list[Finding]
    flips: list[str]
    """What would turn the answer round, each in one sentence."""


class Comparison(Report):
    """One run of `orderlab compare`."""

    command: str
    started: datetime
    machine: Machine
    partial: bool = False
    """The run was interrupted: only what it had measured by then is in here."""
    profile: str | None = None
    """Name of the profile with the team's own service times and failure rates."""
    samples_ms: dict[Style, dict[str, list[float]]]
    """Style to service to its reaction times one order at a time, for the plots."""
    load: dict[Style, list[LoadPoint]] | None = None
    """By rate, lowest first; null without `--rate`."""
    blast: dict[Style, BlastRadius] | None = None
    """Null without faults."""
    consistent_ms: dict[Style, Percentiles | None] | None = None
    """With faults: from the call until all of an order was done or compensated."""
    at_a_third: dict[str, LoadPoint] | None = None
    """Style or reference to how it did at a third of the maximum throughput; null without `--scaling`."""
    fan_out: list[FanOut] | None = None
    """By the number of subscribers, fewest first; null without `--scaling`."""
    growth: Growth | None = None
    """Null without `--scaling`; how the latency grew is among the ratios, as `saga/fresh.end_to_end_ms`."""
    eventbridge_usd_per_million_orders: dict[Style, float | None]
    """What the events would cost on Amazon EventBridge instead: another line, not a sum."""
    coupling: Coupling
    timelines: list[Timeline]
    verdict: Verdict
    not_comparable: list[str]
    """What the figures do not tell, each in one sentence."""
