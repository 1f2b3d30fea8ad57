"""A fault plan on top of a profile: what the plan sets itself counts, and where it sets nothing, the profile."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.dice import Dice
from faults.plan import ActionFaults, FaultPlan, LogNormal, load_plan, load_profile, plan_names, profile_names
from runtime.errors import InputError
from services.order_placed import ACTIONS

SHARES = st.floats(0, 1)
TIMES = st.builds(LogNormal, p50_ms=st.floats(1, 100), p99_ms=st.floats(100, 1_000)).map(LogNormal.model_dump)
SETTINGS = {
    "service_time_ms": st.floats(0, 1_000),
    "service_time": st.none() | TIMES,
    "transient": SHARES,
    "transient_attempts": st.integers(1, 5),
    "ack_lost": SHARES,
    "permanent": SHARES,
    "permanent_after": SHARES,
    "twice": SHARES,
    "late": SHARES,
    "late_ms": st.floats(0, 1_000),
}
CUSTOMERS = st.fixed_dictionaries(
    {"cancel": SHARES}, optional={"overtaking": SHARES, "after": TIMES, "handover_ms": st.floats(0, 1_000)}
)
EFFECTS = [(service, effect) for service, effects in ACTIONS.items() for effect in effects]
SERVICES = st.dictionaries(st.sampled_from(EFFECTS), st.fixed_dictionaries({}, optional=SETTINGS), max_size=4).map(
    lambda drawn: {s: {e: faults for (of, e), faults in drawn.items() if of == s} for s, _ in drawn}
)
PLANS = st.fixed_dictionaries({"name": st.just("ours")}, optional={"services": SERVICES, "customers": CUSTOMERS})


def plan(says: dict[str, Any]) -> FaultPlan:
    return FaultPlan.model_validate(says)


def set_in(says: dict[str, Any]) -> dict[tuple[str, ...], object]:
    """All settings of a plan as a file has them, by their place."""
    effects = {
        (service, effect, name): value
        for service, of_service in says.get("services", {}).items()
        for effect, settings in of_service.items()
        for name, value in settings.items()
    }
    return effects | {("customers", name): value for name, value in (says.get("customers") or {}).items()}


@given(PLANS)
def test_a_plan_that_sets_nothing_leaves_a_profile_as_it_is(profile: dict[str, Any]) -> None:
    nothing = plan({"name": "nothing", "services": {service: {} for service in profile.get("services", {})}})

    both = nothing.over(plan(profile))

    assert both.model_dump(exclude={"name"}) == plan(profile).model_dump(exclude={"name"})


@given(PLANS, PLANS)
def test_each_setting_is_the_plans_where_it_sets_it_and_else_the_profiles_and_else_the_default(
    ours: dict[str, Any], profile: dict[str, Any]
) -> None:
    both = set_in(plan(ours).over(plan(profile)).model_dump())

    said = set_in(profile) | set_in(ours)
    assert {place: both[place] for place in said} == said
    defaults = ActionFaults().model_dump()
    for place in both.keys() - said.keys():
        if place[0] != "customers":
            assert both[place] == defaults[place[-1]], place


@given(PLANS)
def test_a_plan_on_top_of_itself_is_itself(ours: dict[str, Any]) -> None:
    both = plan(ours).over(plan(ours))

    assert both.model_dump(exclude={"name"}) == plan(ours).model_dump(exclude={"name"})


@pytest.mark.parametrize("profile", profile_names())
@pytest.mark.parametrize("name", plan_names())
def test_no_shipped_plan_takes_the_service_times_from_a_profile(name: str, profile: str) -> None:
    measured = load_profile(profile, ACTIONS)

    both = load_plan(name, ACTIONS).over(measured)

    for service, effects in measured.services.items():
        for effect, faults in effects.items():
            merged = both.of(service, effect)
            assert merged is not None
            assert merged.service_time == faults.service_time
            assert merged.drawn_service_time == faults.service_time


def test_hostile_over_a_web_shop_takes_the_shops_time_and_goes_wrong_as_hostile_does() -> None:
    both = load_plan("hostile", ACTIONS).over(load_profile("web-shop", ACTIONS))

    created = both.of("shipping", "shipment.created")
    assert created is not None
    assert created.service_time == LogNormal(p50_ms=40, p99_ms=250)
    assert created.usual_service_time is None
    assert (created.transient, created.permanent, created.late_ms) == (0.08, 0.03, 300)
    assert both.name == "hostile over web-shop"


def test_without_a_profile_hostile_services_take_the_time_that_is_usual() -> None:
    dice = Dice(plan=load_plan("hostile", ACTIONS), seed=7)

    times_ms = [dice.throw(str(order), "shipping", "shipment.created").service_time_s * 1e3 for order in range(2_000)]

    assert sorted(times_ms)[1_000] == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("setting", [{"service_time_ms": 30}, {"service_time": {"p50_ms": 9, "p99_ms": 9}}])
def test_a_usual_time_gives_way_to_any_other(setting: dict[str, Any]) -> None:
    usual = ActionFaults.model_validate({"usual_service_time": {"p50_ms": 2, "p99_ms": 20}})

    both = usual.over(ActionFaults.model_validate(setting))

    assert both == ActionFaults.model_validate(setting)


@pytest.mark.parametrize(
    ("setting", "profile"),
    [
        ({"late_ms": 500}, {"late_ms": 300}),
        ({"transient": 0}, {"transient": 0.5}),
        ({"transient_attempts": 2}, {"transient_attempts": 5}),
        ({"service_time": None}, {"service_time": {"p50_ms": 40, "p99_ms": 250}}),
        ({"service_time_ms": 0}, {"service_time_ms": 40}),
    ],
    ids=str,
)
def test_what_a_plan_sets_to_the_default_is_set_too(setting: dict[str, Any], profile: dict[str, Any]) -> None:
    both = ActionFaults.model_validate(setting).over(ActionFaults.model_validate(profile))

    assert both == ActionFaults()


def test_a_plans_customers_keep_what_the_profile_alone_knows_of_them() -> None:
    profile = plan({"name": "shop", "customers": {"cancel": 0.1, "overtaking": 0.5, "handover_ms": 9_000}})

    both = plan({"name": "ours", "customers": {"cancel": 0.3}}).over(profile).customers

    assert both is not None
    assert (both.cancel, both.overtaking, both.handover_ms) == (0.3, 0.5, 9_000)


def test_a_plan_without_customers_by_its_own_word_has_none_over_any_profile() -> None:
    profile = plan({"name": "shop", "customers": {"cancel": 0.1}})

    assert plan({"name": "ours", "customers": None}).over(profile).customers is None
    assert plan({"name": "ours"}).over(profile).customers is not None


def test_two_long_names_are_both_told_in_full() -> None:
    ours, profile = plan({"name": "a" * 40}), plan({"name": "b" * 40})

    both = ours.over(profile)

    assert both.name == f"{'a' * 40} over {'b' * 40}"
    assert Dice.model_validate_json(Dice(plan=both, seed=1).model_dump_json()).plan.name == both.name


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"name": "a" * 41}))

    with pytest.raises(InputError, match="name"):
        load_plan(str(file), ACTIONS)
