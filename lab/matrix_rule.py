"""The fault matrix's cases, and the rule that judges them: what the guarantees demand of an order that meets a fault.

It shares no code with the workflows: all it knows of the scenario is what the auditor knows, too.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from events.log import OrderState
from faults.plan import ActionFaults, FaultPlan
from lab.audit.scenario import CRITICAL, SERVICE_OF, UNDO_OF
from orders.model import Style

Fault = Literal["transient", "permanent", "twice", "late"]
When = Literal["before", "after"]
"""Whether the fault comes before the effect or when that has happened."""

FAILED_ATTEMPTS = 2
"""How often a transient fault fails an effect."""

LATE_MS = 300

_BEFALLS: dict[tuple[Fault, When], ActionFaults] = {
    ("transient", "before"): ActionFaults(transient=1, transient_attempts=FAILED_ATTEMPTS),
    ("transient", "after"): ActionFaults(ack_lost=1),
    ("permanent", "before"): ActionFaults(permanent=1),
    ("permanent", "after"): ActionFaults(permanent_after=1),
    ("twice", "after"): ActionFaults(twice=1),
    ("late", "before"): ActionFaults(late=1, late_ms=LATE_MS),
}
_BEFALLS_UNDOING: tuple[tuple[Fault, When], ...] = (("transient", "before"), ("permanent", "before"))

_RETRIES: dict[tuple[Fault, When], int] = {("transient", "before"): FAILED_ATTEMPTS, ("transient", "after"): 1}
"""So many at least: with fewer, the fault never came about."""

UNDOING = frozenset(UNDO_OF.values())
"""The effects that undo another."""

_EVERYTHING = frozenset(UNDO_OF)
_UNDOES = {undo: effect for effect, undo in UNDO_OF.items()}


class Case(BaseModel):
    """One fault that befalls one effect, or the undoing of one."""

    model_config = ConfigDict(frozen=True)

    service: str
    effect: str
    fault: Fault
    when: When

    @property
    def undoes(self) -> str | None:
        """What is undone by the effect; None where it is none that undoes."""
        return _UNDOES.get(self.effect)

    @property
    def plan(self) -> FaultPlan:
        """Makes it happen; to the undoing of an effect by having another service cancel the order."""
        services = {self.service: {self.effect: _BEFALLS[self.fault, self.when]}}
        if self.undoes is not None:
            culprit = _culprit(self.service)
            services[SERVICE_OF[culprit]] = {culprit: _BEFALLS["permanent", "before"]}
        return FaultPlan(name="matrix", services=services)


CASES: tuple[Case, ...] = (
    *(
        Case(service=SERVICE_OF[effect], effect=effect, fault=fault, when=when)
        for effect in UNDO_OF
        for fault, when in _BEFALLS
    ),
    *(
        Case(service=SERVICE_OF[effect], effect=undo, fault=fault, when=when)
        for effect, undo in UNDO_OF.items()
        for fault, when in _BEFALLS_UNDOING
    ),
)
"""The whole matrix; each case is run in both styles."""


class Cell(Case):
    """A case in one style, and what came of it."""

    style: Style
    order_id: str
    state: OrderState | None
    """How the order ended; None for no legal state."""
    detail: str | None
    """Why, as the order's workflow tells it."""
    effects: tuple[str, ...]
    """What was done, by the services' databases, in sequence."""
    compensations: tuple[str, ...]
    """What was undone, likewise."""
    effect_after_ms: int | None
    """From the call that placed the order to the commit of the effect that the fault befell; None if there was none."""
    retries: int
    """Attempts beyond the first, of all activities, by the history."""
    parked: tuple[str, ...]
    """Services with work in the dead-letter queue."""
    wrong: tuple[str, ...] = ()
    """Where this is not what the guarantees demand."""

    @computed_field  # type: ignore[prop-decorator]  # pydantic's documentation says so
    @property
    def verdict(self) -> Literal["ok", "broken"]:
        """Whether it is what the guarantees demand."""
        return "broken" if self.wrong else "ok"


@dataclass(frozen=True)
class Expectation:
    """What the guarantees demand of an order that meets a fault."""

    state: OrderState
    happens: frozenset[str]
    """Effects that have to happen."""
    may_happen: frozenset[str] = frozenset()
    """Effects that may happen besides: nobody has to begin what will not be kept."""
    stays: frozenset[str] = frozenset()
    """Effects that are not undone."""
    parked: str | None = None
    """The service whose work is given up."""
    retries: int = 0
    """So many at least."""


def expected(case: Case) -> Expectation:
    """The business rule.

    A critical service that gives up cancels the order, and each effect that happened is undone. The work of another is
    parked, and all else is done. What passes leaves no trace. An undoing that gives up keeps no other from its work.
    """
    gives_up = case.fault == "permanent"
    retries = _RETRIES.get((case.fault, case.when), 0)
    if case.undoes is not None:
        return Expectation(
            state=OrderState.ATTENTION if gives_up else OrderState.CANCELLED,
            happens=frozenset({case.undoes}),
            may_happen=_EVERYTHING - {_culprit(case.service)},
            stays=frozenset({case.undoes}) if gives_up else frozenset(),
            parked=case.service if gives_up else None,
            retries=retries,
        )
    if not gives_up:
        return Expectation(state=OrderState.COMPLETED, happens=_EVERYTHING, stays=_EVERYTHING, retries=retries)
    happened = frozenset({case.effect} if case.when == "after" else ())
    if case.service in CRITICAL:
        return Expectation(state=OrderState.CANCELLED, happens=happened, may_happen=_EVERYTHING - {case.effect})
    return Expectation(
        state=OrderState.PARKED,
        happens=happened | {effect for effect in _EVERYTHING if SERVICE_OF[effect] != case.service},
        may_happen=_EVERYTHING - {case.effect},
        stays=_EVERYTHING,
        parked=case.service,
    )


def complaints(cell: Cell) -> tuple[str, ...]:
    """Where what came of a case is not what the rule demands; nothing where all is well."""
    demanded = expected(cell)
    done, undone, parked = set(cell.effects), set(cell.compensations), set(cell.parked)
    to_undo = {UNDO_OF[effect] for effect in (done & _EVERYTHING) - demanded.stays}
    may_park = set() if demanded.parked is None else {demanded.parked}
    # An undoing that gave up may be parked; what has to be is that it asks for a person, and the state tells that.
    must_park = may_park if demanded.state is OrderState.PARKED else set()
    found = []
    if cell.state is not demanded.state:
        found.append(f"ended {cell.state or 'in no legal state'} instead of {demanded.state}")
    times = Counter((*cell.effects, *cell.compensations))
    found += [f"{effect} happened {count} times" for effect, count in times.items() if count > 1]
    found += [f"{effect} never happened" for effect in sorted((demanded.happens - done) | (to_undo - undone))]
    surplus = (done - demanded.happens - demanded.may_happen) | (undone - to_undo)
    found += [f"{effect} happened and should not have" for effect in sorted(surplus)]
    found += [f"{service} has nothing parked" for service in sorted(must_park - parked)]
    found += [f"{service} has work parked and should have none" for service in sorted(parked - may_park)]
    if cell.retries < demanded.retries:
        found.append(f"{cell.retries} retries instead of {demanded.retries}: the fault never came about")
    if cell.fault == "late" and (cell.effect_after_ms or 0) < LATE_MS:
        found.append(f"{cell.effect} was not {LATE_MS} ms late: the fault never came about")
    return tuple(found)


def _culprit(service: str) -> str:
    """The effect of another critical service whose failure cancels the order."""
    return next(effect for effect in reversed(UNDO_OF) if SERVICE_OF[effect] in CRITICAL - {service})
