"""The report: field names that other programs rely on. What was not measured is null."""

import statistics
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from faults.plan import FaultPlan
from lab.audit import AuditReport
from lab.parity import Parity
from orders.model import Style

ENOUGH_PAIRS = 6
"""Of fewer, no interval holds a median with 95 % (1 - 2 / 2^n): nothing is concluded from them, wherever it is told."""


class Percentiles(BaseModel):
    """A distribution in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float
    n: int

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> "Percentiles | None":
        """The percentiles of these values, linearly interpolated; None of no values."""
        if not values_ms:
            return None
        cuts = statistics.quantiles(values_ms, n=100, method="inclusive") if len(values_ms) > 1 else [values_ms[0]] * 99
        return cls(
            p50=round(cuts[49], 2),
            p95=round(cuts[94], 2),
            p99=round(cuts[98], 2),
            max=round(max(values_ms), 2),
            n=len(values_ms),
        )


class Cancellations(BaseModel):
    """Orders that their customers wanted cancelled."""

    asked: int
    accepted: int
    refused: int
    answered_ms: Percentiles | None
    """From the request to shipping's answer."""
    consistent_ms: Percentiles | None
    """Where accepted, from the request until the last service had undone its work, or had closed its key to it."""


class StyleReport(BaseModel):
    """What one style did."""

    orders_per_s: float | None
    ack_ms: Percentiles | None
    end_to_end_ms: Percentiles | None
    reaction_ms: dict[str, Percentiles | None]
    history_events_per_order: float | None
    actions_per_order: float | None
    workflows_per_order: float | None
    noise_per_order: dict[str, float] = {}
    """Figure per order to half the width of the 95 % interval of its mean, over the orders of the run; none of one."""
    usd_per_million_orders: float | None
    end_states: dict[str, int]
    retries: int | None
    parked: int | None
    blast_radius: float | None = None
    cancellations: Cancellations | None = None
    """Null where no customer wanted to cancel."""
    effects: dict[str, dict[str, int]]
    """Service to effect to how many."""


class ReferenceReport(BaseModel):
    """What a reference did, that the styles are held against."""

    orders_per_s: float | None
    end_to_end_ms: Percentiles | None
    reaction_ms: dict[str, Percentiles | None]


class Ratio(BaseModel):
    """Choreography divided by saga, where the name does not say otherwise.

    The median over pairs, with a 95 % bootstrap interval of it.
    """

    median: float
    low: float
    high: float
    pairs: int
    """How many: orders that have the figure on both sides, or rounds for orders per second."""

    @property
    def has_interval(self) -> bool:
        """Whether the interval can be trusted: of too few pairs it can't."""
        return self.pairs >= ENOUGH_PAIRS


class PairedDifference(BaseModel):
    """Choreography - saga: the mean over orders that both styles ran, with its 95 % interval."""

    mean: float
    low: float
    high: float
    pairs: int
    """How many orders."""
    left_out: int = 0
    """Orders that only one style had run."""


class ServerReport(BaseModel):
    """The Temporal server that was measured."""

    version: str
    tuned: bool | None
    database: str


class Kill(BaseModel):
    """A process that was killed while orders were in flight."""

    target: str
    """`worker`, `bus` or `server`."""
    process: str
    """Which one, such as `shipping`."""
    at: datetime
    in_flight: int
    """Orders under way at that moment, in both styles."""
    next_end_s: float | None = None
    """Until the next order ended."""
    all_ended_s: float | None = None
    """Until all orders had ended that were in flight at that moment."""


class Down(BaseModel):
    """One service away for a whole run, and then back."""

    service: str
    reaction_ratio: dict[Style, dict[str, float | None]]
    """Style to every other service: median reaction while it was away, divided by that before."""
    caught_up_s: float | None
    """From its return until the last order had ended."""


class Links(BaseModel):
    """Where to look at one order in both styles; null where the UI's address is not known."""

    order_id: str
    saga: str | None
    choreography: str | None


class Report(BaseModel):
    """One run of `demo`, and later of `chaos` and `compare`."""

    scenario: str
    transport: str
    seed: int
    orders: int
    faults: FaultPlan | None
    """The plan that ran; null where nothing went wrong on purpose."""
    server: ServerReport
    styles: dict[Style, StyleReport]
    references: dict[str, ReferenceReport] | None = None
    """`bare_workflow`, `naive_fanout`, and `one_activity`; null where they were not run."""
    ratios: dict[str, Ratio]
    differences: dict[str, PairedDifference] = {}
    """Of what is counted per order, such as `actions_per_order`; none in results of earlier versions."""
    parity: Parity
    audit: AuditReport | None = None
    kills: list[Kill] | None = None
    down: Down | None = None
    links: Links
    unfinished: list[str]
    """Workflow ids of orders that did not end in a legal state."""

    def broken(self) -> list[str]:
        """What went wrong that must not, each in a few words; nothing where all is as it should be."""
        found = []
        if self.unfinished:
            found.append(f"{_counted(len(self.unfinished), 'order')} did not end")
        if self.parity.differences:
            differing = len({d.order_id for d in self.parity.differences})
            found.append(f"the styles differ in {_counted(differing, 'order')}")
        if self.audit is not None and self.audit.violations:
            found.append(f"{_counted(len(self.audit.violations), 'violation')} of the guarantees")
        return found


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
