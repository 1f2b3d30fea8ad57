"""Fault plans: those that ship, and a person's own."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faults.dice import Dice, Throw
from faults.plan import FaultPlan, LogNormal, load_plan, load_profile, plan_names, profile_names
from orders.loader import load_orders
from runtime.errors import InputError
from runtime.settings import PROJECT, SHIPPED_ORDERS
from services.order_placed import ACTIONS, UNDONE_BY

ORDERS = [str(number) for number in range(2_000)]
CRITICAL = ("shipment.created", "invoice.issued")
FORWARD = [(service, effect) for service, effects in UNDONE_BY.items() for effect in effects]


def throws(plan: str, orders: list[str], seed: int = 7) -> dict[str, list[Throw]]:
    """What befalls the forward effects of these orders."""
    dice = Dice(plan=load_plan(plan, ACTIONS), seed=seed)
    return {order: [dice.throw(order, service, effect) for service, effect in FORWARD] for order in orders}


def test_the_shipped_plans_can_all_be_used() -> None:
    assert plan_names() == ["calm", "customers", "flaky", "hostile", "outage", "poison"]
    for name in plan_names():
        assert load_plan(name, ACTIONS).name == name


def test_nothing_befalls_anyone_when_it_is_calm() -> None:
    assert {throw for order in throws("calm", ORDERS[:50]).values() for throw in order} == {Throw()}


def test_in_a_hostile_run_every_kind_occurs_a_fifth_of_the_orders_is_hit_and_a_twentieth_is_cancelled() -> None:
    thrown = throws("hostile", ORDERS)

    def hit(throw: Throw) -> bool:
        return any(
            (
                throw.transient_attempts,
                throw.late_s,
                throw.permanent,
                throw.permanent_after,
                throw.ack_lost,
                throw.twice,
            )
        )

    def cancels(order: list[Throw]) -> bool:
        return any(
            throw.permanent or throw.permanent_after
            for (_, effect), throw in zip(FORWARD, order, strict=True)
            if effect in CRITICAL
        )

    everything = [throw for order in thrown.values() for throw in order]
    assert all(any(getattr(throw, kind) for throw in everything) for kind in Throw.__dataclass_fields__)
    assert sum(any(hit(throw) for throw in order) for order in thrown.values()) >= 0.2 * len(ORDERS)
    assert sum(cancels(order) for order in thrown.values()) >= 0.05 * len(ORDERS)


@given(
    st.floats(min_value=0, max_value=600_000, exclude_min=True),
    st.floats(min_value=0, max_value=600_000, exclude_min=True),
    st.floats(min_value=2**-54, max_value=1 - 2**-53),
)
@example(5e-324, 600_000, 0.999)
@example(1, 600_000, 1 - 2**-53)
def test_no_time_that_is_drawn_is_longer_than_a_plan_can_name(one: float, other: float, quantile: float) -> None:
    p50_ms, p99_ms = sorted((one, other))

    drawn = LogNormal(p50_ms=p50_ms, p99_ms=p99_ms).at(quantile)

    assert 0 <= drawn <= 600_000


def test_a_share_hits_about_that_share_of_the_orders() -> None:
    plan = FaultPlan.model_validate(
        {"name": "third", "services": {"shipping": {"shipment.created": {"transient": 0.3}}}}
    )
    dice = Dice(plan=plan, seed=1)

    hit = sum(bool(dice.throw(order, "shipping", "shipment.created").transient_attempts) for order in ORDERS)

    assert 0.27 * len(ORDERS) < hit < 0.33 * len(ORDERS)


@given(st.integers(), st.text(min_size=1, max_size=20), st.sampled_from(FORWARD))
def test_the_same_order_meets_the_same_fate_in_every_run_of_a_seed(
    seed: int, order: str, action: tuple[str, str]
) -> None:
    plan = load_plan("hostile", ACTIONS)

    first = Dice(plan=plan, seed=seed, label=".first-run").throw(f"{order}.first-run", *action)
    again = Dice(plan=plan, seed=seed, label=".second").throw(f"{order}.second", *action)

    assert first == again


def test_the_shipped_customers_cancel_as_often_as_those_of_the_data_set() -> None:
    book = load_orders(SHIPPED_ORDERS)
    dice = Dice(plan=load_plan("customers", ACTIONS), seed=7)

    cancelled = sum(dice.change_of_mind(order) is not None for order in ORDERS)

    of_the_data = book.cancellations / (len(book.orders) + book.orders_refused + book.cancellations)
    assert dice.plan.customers is not None
    assert dice.plan.customers.cancel == pytest.approx(of_the_data, abs=0.0005)
    assert cancelled == pytest.approx(of_the_data * len(ORDERS), rel=0.15)


def test_customers_change_their_minds_before_soon_after_and_long_after_they_have_ordered() -> None:
    dice = Dice(plan=load_plan("customers", ACTIONS).with_cancelled_share(1), seed=7)

    moments = [mind.after_s for order in ORDERS if (mind := dice.change_of_mind(order)) is not None]

    after = [moment for moment in moments if moment is not None]
    assert len(moments) == len(ORDERS)
    assert 0.03 * len(ORDERS) < moments.count(None) < 0.07 * len(ORDERS)
    assert sorted(after)[len(after) // 2] == pytest.approx(0.06, rel=0.1)
    assert max(after) > 1


@given(st.integers(), st.text(min_size=1, max_size=20))
def test_the_same_customer_changes_their_mind_at_the_same_moment_in_every_run_of_a_seed(seed: int, order: str) -> None:
    plan = load_plan("flaky", ACTIONS).with_cancelled_share(0.5)

    first = Dice(plan=plan, seed=seed, label=".first-run").change_of_mind(f"{order}.first-run")
    again = Dice(plan=plan, seed=seed, label=".second").change_of_mind(f"{order}.second")

    assert first == again


def test_nobody_changes_their_mind_where_the_plan_has_no_customers() -> None:
    assert Dice(plan=load_plan("hostile", ACTIONS), seed=7).change_of_mind("536365") is None


def test_another_seed_hits_others() -> None:
    assert throws("hostile", ORDERS[:100], seed=1) != throws("hostile", ORDERS[:100], seed=2)


def test_dice_come_through_json_as_they_were() -> None:
    dice = Dice(plan=load_plan("hostile", ACTIONS), seed=3, label=".x")

    assert Dice.model_validate_json(dice.model_dump_json(exclude_defaults=True)) == dice


@given(st.floats(0.1, 1_000), st.floats(1, 50))
def test_a_drawn_service_time_has_the_percentiles_that_were_asked_for(p50_ms: float, spread: float) -> None:
    times = LogNormal(p50_ms=p50_ms, p99_ms=p50_ms * spread)

    assert times.at(0.5) == pytest.approx(p50_ms)
    assert times.at(0.99) == pytest.approx(p50_ms * spread)


def shipping(**faults: object) -> dict[str, object]:
    return {"name": "mine", "services": {"shipping": {"shipment.created": faults}}}


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (shipping(transient=1.1), "transient"),
        (shipping(permanent=-0.1), "permanent"),
        (shipping(colour=1), "colour"),
        (shipping(service_time={"p50_ms": 10, "p99_ms": 5}), "p99_ms"),
        (shipping(late_ms=-1), "late_ms"),
        ({"name": "mine", "services": {"shiping": {}}}, "shiping"),
        ({"name": "mine", "services": {"shipping": {"invoice.issued": {}}}}, "invoice.issued"),
        ({"services": {}}, "name"),
        ({"name": "mine", "customers": {}}, "customers.cancel"),
        ({"name": "mine", "customers": {"cancel": 2}}, "customers.cancel"),
        ({"name": "mine", "customers": {"cancel": 0.1, "handover_ms": -1}}, "customers.handover_ms"),
        ([], "mine.json"),
    ],
)
def test_a_plan_that_can_t_be_used_is_refused_by_the_place(tmp_path: Path, plan: object, names: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(plan))

    with pytest.raises(InputError, match=names):
        load_plan(str(file), ACTIONS)


@pytest.mark.parametrize("content", ["{", None], ids=["not json", "missing"])
def test_a_plan_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(InputError, match=r"mine\.json"):
        load_plan(str(file), ACTIONS)


def test_a_person_s_own_plan_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(shipping(service_time={"p50_ms": 80, "p99_ms": 400}, transient=0.01)))

    of: Callable[[str, str], object] = load_plan(str(file), ACTIONS).of

    assert of("shipping", "shipment.created") is not None
    assert of("shipping", "shipment.cancelled") is None


def test_the_plan_that_the_readme_shows_can_be_used(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    file = tmp_path / "ours.json"
    file.write_text(shown)

    assert load_plan(str(file), ACTIONS).name == "ours"


def test_the_shipped_profiles_can_all_be_used_and_take_time() -> None:
    assert profile_names() == ["legacy-erp", "web-shop"]
    for name in profile_names():
        profile = load_profile(name, ACTIONS)
        times = [faults.service_time for effects in profile.services.values() for faults in effects.values()]
        assert profile.name == name
        assert all(time is not None for time in times)


def test_a_fault_plan_over_a_profile_keeps_what_the_profile_alone_says() -> None:
    profile = FaultPlan.model_validate(shipping(service_time={"p50_ms": 80, "p99_ms": 400}, transient=0.01))
    faults = FaultPlan.model_validate(
        {"name": "worse", "services": {"shipping": {"shipment.created": {"transient": 1}}}}
    )

    both = faults.over(profile).of("shipping", "shipment.created")

    assert both is not None
    assert both.transient == 1
    assert both.service_time == LogNormal(p50_ms=80, p99_ms=400)


def test_a_plan_over_a_profile_has_the_customers_of_either() -> None:
    profile = FaultPlan.model_validate(shipping(transient=0.01))

    assert load_plan("customers", ACTIONS).over(profile).customers is not None
    assert profile.over(load_plan("customers", ACTIONS)).customers is not None
    assert profile.over(profile).customers is None


SHIPMENT = '{"name": "mine", "services": {"shipping": {"shipment.created": {%s}}}}'
WISHES = '{"name": "mine", "customers": {"cancel": 0.5, %s}}'
NO_NUMBERS = ["true", "false", '"0.5"', '"1"', "null", "[1]"]


@pytest.mark.parametrize("load", [load_plan, load_profile])
@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize(
    ("text", "setting"),
    [
        *((SHIPMENT, f'"{share}": %s') for share in ("transient", "ack_lost", "permanent", "permanent_after", "twice")),
        *((SHIPMENT, f'"{name}": %s') for name in ("late", "late_ms", "service_time_ms", "transient_attempts")),
        (SHIPMENT, '"service_time": {"p50_ms": %s, "p99_ms": 2}'),
        (SHIPMENT, '"usual_service_time": {"p50_ms": 1, "p99_ms": %s}'),
        *((WISHES, f'"{name}": %s') for name in ("overtaking", "handover_ms")),
        (WISHES, '"after": {"p50_ms": 1, "p99_ms": %s}'),
    ],
)
def test_what_is_no_number_is_refused_and_not_taken_for_one(
    tmp_path: Path, load: Callable[..., FaultPlan], text: str, setting: str, value: str
) -> None:
    file = tmp_path / "mine.json"
    file.write_text(text % (setting % value))

    with pytest.raises(InputError, match=r"mine.json: [\w.]+: Input should be a valid (number|integer)"):
        load(str(file), ACTIONS)


@pytest.mark.parametrize("attempts", ["2.5", "2.0"])
def test_attempts_are_counted_in_whole_numbers(tmp_path: Path, attempts: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(SHIPMENT % f'"transient_attempts": {attempts}')

    with pytest.raises(InputError, match="transient_attempts"):
        load_plan(str(file), ACTIONS)


def test_a_share_of_all_or_none_may_be_a_whole_number(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(SHIPMENT % '"transient": 1, "late": 0, "late_ms": 5')
    plan = load_plan(str(file), ACTIONS)

    assert FaultPlan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.services["shipping"]["shipment.created"].transient == 1
