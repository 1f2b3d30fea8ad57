"""An order as it was placed, read from the histories of the workflow that runs it."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from lab.audit.history import Ended, Fact, Handed, Identity, Json, LatePlacement, Logged, Outcome, Recipient, Run, Wish
from lab.audit.scenario import CRITICAL, ORDER_SAGA, SERVICE_OF_FACT, Key, is_compensation, service_of_activity

BROKEN_OFF = {"terminated", "failed", "timed out"}
"""How a run can close without a result."""

HANDOVER_US = 60_000_000
"""From the begin of the fulfilment until the parcel is handed over, by the shop's rule."""


@dataclass(frozen=True)
class Line:
    """One article of an order."""

    stock_code: str
    description: str
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
    fingerprint: str
    """By which the services tell it from another order under the same id."""

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
    placed_us: int
    """When the server was given it: microseconds since 1970."""
    handover_us: int
    """After how long the parcel is handed over, by its fault plan or, without one, by the shop's rule: microseconds."""
    runs: tuple[Run, ...]
    """Oldest first."""

    @property
    def last(self) -> Run:
        """The run that tells how the order stands."""
        return self.runs[-1]

    @property
    def wishes(self) -> tuple[Wish, ...]:
        """What customers asked for who wanted it cancelled, and were not turned away."""
        return tuple(wish for run in self.runs for wish in run.wishes)

    @property
    def log(self) -> tuple[Fact, ...]:
        """All events about it, each once, in sequence; only the choreography has events."""
        found: dict[tuple[Identity, str | None, str | None], Fact] = {}
        for run in self.runs:
            for fact in (*run.inherited, *run.own_facts):
                found.setdefault((fact.identity, fact.told_by, fact.by_hand), fact)
        return tuple(found.values())

    def services_that_fell_silent(self) -> set[str]:
        """Services of which any work was ever given up, or was called off as it had become pointless.

        An attempt at it may have done it, and nobody was told.
        """
        ended: dict[tuple[Identity | None, str], set[Outcome]] = {}
        for work, outcome in _outcomes(self.runs):
            before = ended.get((work.event, work.activity), set())
            ended[work.event, work.activity] = {outcome} | (before & {"given up"})
        return {
            service_of_activity(activity) for (_, activity), ends in ended.items() if ends & {"given up", "called off"}
        }

    @property
    def was_broken_off(self) -> bool:
        """Whether any of its runs was, by a person or by the server."""
        return any(run.closed in BROKEN_OFF for run in self.runs)

    def has_given_up(self, activities: Iterable[str]) -> bool:
        """Whether work of one of these activity types was ever given up."""
        wanted = set(activities)
        return any(outcome == "given up" and work.activity in wanted for work, outcome in _outcomes(self.runs))

    def has_ended_as(self, wanted: Outcome) -> bool:
        """Whether any work came to this end."""
        return any(outcome == wanted for _, outcome in _outcomes(self.runs))

    def compensations_given_up(self) -> set[str]:
        """Services whose compensation gave up, and has not succeeded since."""
        latest: dict[str, Outcome] = {}
        for work, outcome in _outcomes(self._lasting_runs()):
            if is_compensation(work.activity):
                latest[service_of_activity(work.activity)] = outcome
        return {service for service, outcome in latest.items() if outcome == "given up"}

    def compensated(self) -> set[str]:
        """Services that have ever ended a compensation of it, whether there was anything to undo or not.

        Not of another order under its id, which is undone as it was refused; nor where a stranger spoke for a service,
        which no service believes, whoever hands it over.
        """
        own = {None, self.content.fingerprint}
        not_its_own = {fact.identity for fact in self.log if fact.content not in own or _is_a_stranger_s(fact)}
        return {
            service_of_activity(work.activity)
            for work, outcome in _outcomes(self.runs)
            if outcome == "done" and is_compensation(work.activity) and work.event not in not_its_own
        }

    @property
    def was_refused(self) -> bool:
        """Whether a service has refused it, as its id is another order's: the saga is told so, and the log."""
        refusal = f"{self.key.order_id}/{self.content.fingerprint[:8]}/order.cancelled"
        return self.has_ended_as("refused") or any(fact.event_id == refusal for fact in self.log)

    def given_up_for_now(self) -> set[str]:
        """Services with work that waits for a redrive, by the history: what the search attribute has to name."""
        recipients = self._recipients()
        latest = {(work.event, work.activity): outcome for work, outcome in _outcomes(self._lasting_runs())}
        parked = set()
        for (event, activity), outcome in latest.items():
            service = service_of_activity(activity)
            recipient = recipients.get((event, activity), Recipient(service, activity, service not in CRITICAL))
            if outcome == "given up" and recipient.parks:
                parked.add(recipient.subscriber)
        return parked

    def _recipients(self) -> dict[tuple[Identity | None, str], Recipient]:
        return {
            (step.fact.identity, recipient.handler): recipient
            for run in self.runs
            for step in run.steps
            if isinstance(step, Logged)
            for recipient in step.recipients
        }

    def _lasting_runs(self) -> tuple[Run, ...]:
        """The runs since the last one that was broken off: what that one had parked went with it.

        One that a person has reset, and that begins where another did, has what was parked then.
        """
        lasting: tuple[Run, ...] = ()
        begun: dict[str | None, tuple[Run, ...]] = {}
        for run in self.runs:
            if run.does_again:
                lasting = begun.get(run.reset_of, ())
            begun[run.run_id] = lasting
            lasting = () if run.closed in BROKEN_OFF else (*lasting, run)
        return lasting


def _is_a_stranger_s(fact: Fact) -> bool:
    """Whether it is a service's to tell, and but says that it is neither that one's nor a person's."""
    owner = SERVICE_OF_FACT.get(fact.type)
    return owner is not None and not fact.by_hand and fact.source != f"orderlab/{owner}"


def _outcomes(runs: Iterable[Run]) -> Iterator[tuple[Handed, Outcome]]:
    for run in runs:
        handed = {step.task: step for step in run.steps if isinstance(step, Handed)}
        yield from ((handed[step.task], step.outcome) for step in run.steps if isinstance(step, Ended))


def placed_order(key: Key, runs: tuple[Run, ...]) -> PlacedOrder | None:
    """The order that these runs are about.

    Returns:
        None where nobody has placed one: a bus carries any event, and a customer may cancel what they never order.
    """
    for run in runs:
        for order, dice, rehearsal, at_us in _placements(run):
            return PlacedOrder(key, _content(order), rehearsal, at_us, _handover_us(dice), runs)
    return None


def _handover_us(dice: Json) -> int:
    customers = dice["plan"].get("customers") if dice else None
    return int(customers.get("handover_ms", 150) * 1e3) if customers else HANDOVER_US


def _placements(run: Run) -> Iterator[tuple[Json, Json, bool, int]]:
    """The orders that a run was given, which all say the same, their dice, whether they are a warm-up's, and when."""
    first = (LatePlacement(run.start, run.started_us),) if run.workflow_type == ORDER_SAGA else ()
    for placement, at_us in (*first, *run.late_placements):
        yield placement["order"], placement.get("dice"), bool(placement.get("rehearsal")), at_us
    for step in run.steps:
        # what is no order, and came past the edge, is no placement: services refuse it
        if isinstance(step, Logged) and step.fact.type == "order.placed" and "lines" in (step.data or ()):
            yield step.data, json.loads(step.dice) if step.dice else None, step.rehearsal, step.at_us


def _content(order: Json) -> Content:
    lines = tuple(
        Line(line["stock_code"], line["description"], line["quantity"], int(Decimal(str(line["unit_price"])) * 100))
        for line in order["lines"]
    )
    return Content(
        customer_id=order.get("customer_id"),
        country=order["country"],
        day=order["placed_at"][:10],
        lines=lines,
        fingerprint=_fingerprint(order, lines),
    )


def _fingerprint(order: Json, lines: tuple[Line, ...]) -> str:
    """The first 32 digits of SHA-256 over the compact JSON of what the order says, prices in pence."""
    articles = [[line.stock_code, line.description, line.quantity, line.unit_price_pence] for line in lines]
    placed_at = datetime.fromisoformat(order["placed_at"]).isoformat()
    said = [order["order_id"], order.get("customer_id"), order["country"], placed_at, articles]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()[:32]
