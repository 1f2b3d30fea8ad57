"""The fault plan: what may go wrong with each effect, and how often."""

import math
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.documents import json_of, text_of
from runtime.errors import InputError

_PLANS = Path(__file__).with_name("plans")
_PROFILES = Path(__file__).with_name("profiles")
_LONGEST_NAME = 40
_OVER = " over "

Settings = TypeVar("Settings", bound=BaseModel)
_Z99 = NormalDist().inv_cdf(0.99)

Share = Annotated[float, Field(ge=0, le=1)]
"""The share of orders that something befalls."""

_LONGEST_MS = 600_000.0

Milliseconds = Annotated[float, Field(ge=0, le=_LONGEST_MS)]


class LogNormal(BaseModel):
    """A service time as services have it: mostly short, now and then long."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    p50_ms: Annotated[float, Field(gt=0, le=_LONGEST_MS)]
    p99_ms: Annotated[float, Field(gt=0, le=_LONGEST_MS)]

    @model_validator(mode="after")
    def _in_order(self) -> "LogNormal":
        if self.p99_ms < self.p50_ms:
            raise ValueError("p99_ms must not be below p50_ms")
        return self

    def at(self, quantile: float) -> float:
        """The time in ms that this share of calls does not exceed: exp(ln p50 + z sigma), sigma = ln(p99/p50) / z99.

        No time is longer than a plan can name, though one call in a thousand would take hours where the two are far
        apart.
        """
        sigma = (math.log(self.p99_ms) - math.log(self.p50_ms)) / _Z99
        logarithm = math.log(self.p50_ms) + sigma * NormalDist().inv_cdf(quantile)
        return math.exp(logarithm) if logarithm < math.log(_LONGEST_MS) else _LONGEST_MS


class ActionFaults(BaseModel):
    """What may befall one effect; each is drawn on its own, and nothing befalls it by default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    service_time_ms: Milliseconds = 0
    """How long the service takes, on every attempt."""
    service_time: LogNormal | None = None
    """How much longer it takes, drawn per order."""
    usual_service_time: LogNormal | None = None
    """The same where nobody has measured it: it gives way to any other service time, a profile's too."""
    transient: Share = 0
    """Fails before the effect, at the first `transient_attempts` attempts."""
    transient_attempts: Annotated[int, Field(ge=1, le=1_000)] = 2
    ack_lost: Share = 0
    """The effect happens, and the answer is lost."""
    permanent: Share = 0
    """Fails before the effect, at whatever attempt."""
    permanent_after: Share = 0
    """The effect happens, and the answer is a failure for good, at whatever attempt."""
    twice: Share = 0
    """Delivered twice in a row."""
    late: Share = 0
    """The first delivery is held for `late_ms`; longer than an attempt may take, it comes after the second one."""
    late_ms: Milliseconds = 500

    @property
    def drawn_service_time(self) -> LogNormal | None:
        """What is drawn per order; None where the service takes no longer than `service_time_ms`."""
        return self.service_time or (None if self.service_time_ms else self.usual_service_time)

    def over(self, profile: "ActionFaults") -> "ActionFaults":
        """These on top of a profile's: only what was set here replaces what the profile says."""
        both = _laid_over(self, profile)
        is_measured = both.service_time is not None or both.service_time_ms > 0
        return both.model_copy(update={"usual_service_time": None}) if is_measured else both


class Customers(BaseModel):
    """Customers who change their mind, at whatever moment, and how long shipping lets them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    cancel: Share
    """The share of the orders that their customers cancel."""
    overtaking: Share = 0.05
    """The share of those whose wish arrives before the order itself."""
    after: LogNormal = LogNormal(p50_ms=60, p99_ms=2_000)
    """How long after placing it the others want it cancelled."""
    handover_ms: Milliseconds = 150
    """From the begin of the fulfilment until the carrier has the parcel, when it is too late."""


class FaultPlan(BaseModel):
    """What may go wrong, by service and effect (or the effect's undoing), and by customers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=2 * _LONGEST_NAME + len(_OVER))]
    services: dict[str, dict[str, ActionFaults]] = {}
    customers: Customers | None = None

    def of(self, service: str, action: str) -> ActionFaults | None:
        """What may befall this effect of this service."""
        return self.services.get(service, {}).get(action)

    def over(self, profile: "FaultPlan") -> "FaultPlan":
        """This plan on top of a profile: only what it sets itself replaces what the profile says, one by one."""
        services = {
            service: _merged(self.services.get(service, {}), profile.services.get(service, {}))
            for service in {**profile.services, **self.services}
        }
        customers = self.customers if "customers" in self.model_fields_set else profile.customers
        if self.customers is not None and profile.customers is not None:
            customers = _laid_over(self.customers, profile.customers)
        return FaultPlan(name=f"{self.name}{_OVER}{profile.name}", services=services, customers=customers)

    def with_cancelled_share(self, share: float) -> "FaultPlan":
        """The same plan, with this share of the orders cancelled by their customers."""
        customers = Customers(cancel=share) if self.customers is None else self.customers
        return self.model_copy(update={"customers": customers.model_copy(update={"cancel": share})})


def _merged(ours: dict[str, ActionFaults], profile: dict[str, ActionFaults]) -> dict[str, ActionFaults]:
    """What may befall a service's effects, by effect."""
    return {
        effect: ours[effect].over(profile[effect])
        if effect in ours and effect in profile
        else {**profile, **ours}[effect]
        for effect in {**profile, **ours}
    }


def _laid_over(ours: Settings, profile: Settings) -> Settings:
    """The profile's settings, replaced by those that were set in ours, also where that is to the default."""
    return profile.model_copy(update={name: getattr(ours, name) for name in ours.model_fields_set})


def plan_names() -> list[str]:
    """The plans that ship with orderlab."""
    return sorted(file.stem for file in _PLANS.glob("*.json"))


def profile_names() -> list[str]:
    """The profiles that ship with orderlab: plans with the service times and failure rates of a kind of system."""
    return sorted(file.stem for file in _PROFILES.glob("*.json"))


def load_profile(name_or_file: str, actions: dict[str, frozenset[str]]) -> FaultPlan:
    """Read a profile that ships with orderlab, or a team's own; arguments and errors as for `load_plan`."""
    return _load(name_or_file, actions, _PROFILES, "profile")


def load_plan(name_or_file: str, actions: dict[str, frozenset[str]]) -> FaultPlan:
    """Read a plan that ships with orderlab, or a person's own.

    Args:
        name_or_file: a name from `plan_names`, or a JSON file.
        actions: service to its effects and their undoing: all that a plan can name.

    Raises:
        InputError: there is none, or it can't be used; in one line that names the place.
    """
    return _load(name_or_file, actions, _PLANS, "fault plan")


def _load(name_or_file: str, actions: dict[str, frozenset[str]], directory: Path, kind: str) -> FaultPlan:
    shipped = sorted(file.stem for file in directory.glob("*.json"))
    path = directory / f"{name_or_file}.json" if name_or_file in shipped else Path(name_or_file)
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # a name that no file can have
        known = ", ".join(shipped)
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"no {kind} {name_or_file!r} ({why}); take a file, or one of: {known}") from error
    text = text_of(content, where=f"{kind} {name_or_file}")
    json_of(text, where=f"{kind} {name_or_file}")
    try:
        plan = FaultPlan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{kind} {name_or_file}: {where + ': ' if where else ''}{first['msg']}") from error
    if len(plan.name) > _LONGEST_NAME:
        raise InputError(f"{kind} {name_or_file}: name: no longer than {_LONGEST_NAME} characters, please")
    for service, faults in plan.services.items():
        if service not in actions:
            raise InputError(f"{kind} {name_or_file}: no service {service!r}; there are {', '.join(actions)}")
        for action in faults:
            if action not in actions[service]:
                known = ", ".join(sorted(actions[service]))
                raise InputError(f"{kind} {name_or_file}: {service} has no action {action!r}; there are {known}")
    return plan
