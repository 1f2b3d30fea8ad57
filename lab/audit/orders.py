"""An order as it was placed, read from the histories of the workflow that runs it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from lab.audit.history import Ended, Handed, Json, Logged, Outcome, Recipient, Run
from lab.audit.scenario import CRITICAL, FAILURES, Key, is_compensation, service_of_activity


@dataclass(frozen=True)
class Line:
    """One article of an order."""

    stock_code: str
    quantity: int
    unit_price_pence: int

    @property
    def amount_pence(self) -> int:
        """Price of the line."""
        return self.quantity * self.unit_price_pence


@dataclass(frozen=True)
class Content:
    """What was ordered."""

    customer_id: str | None
    """None for a guest."""
    country: str
    day: str
    lines: tuple[Line, ...]

    @property
    def total_pence(self) -> int:
        """Price of the whole order."""
        return sum(line.amount_pence for line in self.lines)

    def sold(self) -> dict[str, tuple[int, int]]:
        """Article to how many of it and for how many pence."""
        units: Counter[str] = Counter()
        pence: Counter[str] = Counter()
        for line in self.lines:
            units[line.stock_code] += line.quantity
            pence[line.stock_code] += line.amount_pence
        return {code: (units[code], pence[code]) for code in units}


@dataclass(frozen=True)
class PlacedOrder:
    """An order in one style, and all that Temporal recorded of it."""

    key: Key
    content: Content
    rehearsal: bool
    """Part of a warm-up, which leaves nothing behind."""
    runs: tuple[Run, ...]
    """Oldest first."""

    @property
    def last(self) -> Run:
        """The run that tells how the order stands."""
        return self.runs[-1]

    @property
    def failed(self) -> bool:
        """Whether an event told that the order can't be kept; only the choreography has events."""
        return any(isinstance(step, Logged) and step.type in FAILURES for run in self.runs for step in run.steps)

    def compensations_given_up(self) -> set[str]:
        """Services whose compensation gave up, and has not succeeded since."""
        latest: dict[str, Outcome] = {}
        for work, outcome in self._outcomes():
            if is_compensation(work.activity):
                latest[service_of_activity(work.activity)] = outcome
        return {service for service, outcome in latest.items() if outcome == "given up"}

    def given_up_for_now(self) -> set[str]:
        """Services with work that waits for a redrive, by the history: what the search attribute has to name."""
        recipients = self._recipients()
        latest = {(work.event_id, work.activity): outcome for work, outcome in self._outcomes()}
        parked = set()
        for (event_id, activity), outcome in latest.items():
            service = service_of_activity(activity)
            recipient = recipients.get((event_id, activity), Recipient(service, activity, service not in CRITICAL))
            if outcome == "given up" and recipient.parks:
                parked.add(recipient.subscriber)
        return parked

    def _recipients(self) -> dict[tuple[str | None, str], Recipient]:
        return {
            (step.event_id, recipient.handler): recipient
            for run in self.runs
            for step in run.steps
            if isinstance(step, Logged)
            for recipient in step.recipients
        }

    def _outcomes(self) -> Iterator[tuple[Handed, Outcome]]:
        for run in self.runs:
            handed = {step.task: step for step in run.steps if isinstance(step, Handed)}
            yield from ((handed[step.task], step.outcome) for step in run.steps if isinstance(step, Ended))


def placed_order(key: Key, runs: tuple[Run, ...]) -> PlacedOrder | None:
    """The order that these runs are about; None where they are about no order, as a bus carries any event."""
    if key.style == "saga":
        start = runs[0].start
        return PlacedOrder(key, _content(start["order"]), bool(start.get("rehearsal")), runs)
    placements = [
        step for run in runs for step in run.steps if isinstance(step, Logged) and step.type == "order.placed"
    ]
    if not placements:
        return None
    return PlacedOrder(key, _content(placements[0].data), placements[0].rehearsal, runs)


def _content(order: Json) -> Content:
    return Content(
        customer_id=order.get("customer_id"),
        country=order["country"],
        day=order["placed_at"][:10],
        lines=tuple(
            Line(line["stock_code"], line["quantity"], int(Decimal(str(line["unit_price"])) * 100))
            for line in order["lines"]
        ),
    )
