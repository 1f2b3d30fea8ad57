"""What a comparison does: how many orders, at which load, with what going wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime

from faults.plan import FaultPlan
from lab.demo import DemoPlan

CONCURRENCY = 20
"""Orders in flight while throughput is measured, where nothing else is said."""

_MOST_ALONE = 200
_MOST_ROUNDS = 10


@dataclass(frozen=True)
class ComparePlan:
    """What a comparison takes on."""

    orders: int
    """Distinct orders, each run once in each style."""
    seed: int
    label: str
    faults: FaultPlan | None
    profile: str | None
    concurrency: int | None
    """Orders in flight in the closed loop; None where the load is an open loop."""
    rate_per_s: float | None
    """Orders a second of the open loop, at its highest."""
    scaling: bool = False
    """Also: an easy load, a server with its default settings, 2,000 orders, and 4 to 32 subscribers."""

    @classmethod
    def now(  # noqa: PLR0913 - the options of the command
        cls,
        orders: int,
        seed: int,
        *,
        faults: FaultPlan | None = None,
        profile: str | None = None,
        concurrency: int | None = None,
        rate_per_s: float | None = None,
        scaling: bool = False,
    ) -> "ComparePlan":
        """A plan labelled with the time; a closed loop unless a rate is given."""
        label = datetime.now(UTC).strftime("m%m%d-%H%M%S")
        flight = None if rate_per_s is not None else concurrency or CONCURRENCY
        return cls(orders, seed, label, faults, profile, flight, rate_per_s, scaling)

    @property
    def alone(self) -> int:
        """How many of the orders are run one at a time: half, but no more than 200, which is enough for a p99."""
        return min((self.orders + 1) // 2, _MOST_ALONE)

    @property
    def in_flight(self) -> int:
        """Orders in flight in a closed loop, also in one of a comparison whose own load is an open loop."""
        return self.concurrency or CONCURRENCY

    @property
    def round_size(self) -> int:
        """Orders of a round of the closed loop: two to ten rounds, of twice what is in flight if there are so many."""
        rest = self.orders - self.alone
        rounds = max(2, min(_MOST_ROUNDS, rest // (2 * self.in_flight)))
        return max(1, -(-rest // rounds))

    @property
    def as_demo(self) -> DemoPlan:
        """The same orders and faults, for what both commands share."""
        return DemoPlan(self.orders, self.seed, self.label, self.faults)
