"""The figures: counted as they say they are."""

from datetime import UTC, datetime

import pytest

from events.log import OrderState
from lab.histories import RunCost, count
from lab.measure import Measured, Timing
from lab.parity import Parity, compare_styles
from lab.placing import Placed
from lab.replay import histories_in
from lab.report import Percentiles
from lab.show import parity
from lab.summary import ratios, reactions_ms, style_report
from orders.model import STYLES, Style
from stores.ledger import EffectRecord
from tests.lab.compare.samples import comparison
from tests.record_histories import HISTORIES

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def effect(
    style: Style, name: str, order: str = "1", *, service: str = "shipping", after_ms: int = 0, **fact: str
) -> EffectRecord:
    return EffectRecord(
        order_id=order,
        style=style,
        service=service,
        effect=name,
        idempotency_key=f"{style}/{order}/{service}/{name}",
        at=datetime.fromtimestamp(NOON.timestamp() + after_ms / 1e3, UTC),
        fact=dict(fact),
    )


def timing(style: Style, order: str = "1", *, ms: float = 10) -> Timing:
    return Timing(
        Placed(style, order, known=False), int(NOON.timestamp() * 1e6), ms / 2, ms, OrderState.COMPLETED, None
    )


@pytest.mark.parametrize(
    ("saga", "choreography"),
    [
        ([], []),
        (["shipment.created"], ["shipment.created"]),
        (["shipment.created", "shipment.cancelled"], []),
        (["shipment.created", "shipment.cancelled"], ["shipment.created", "shipment.cancelled"]),
    ],
)
def test_styles_with_the_same_net_state_are_alike(saga: list[str], choreography: list[str]) -> None:
    effects = [effect("saga", name) for name in saga] + [effect("choreography", name) for name in choreography]

    assert compare_styles(["1"], effects).differences == []


@pytest.mark.parametrize(
    ("saga", "choreography"),
    [
        (["shipment.created"], []),
        ([], ["shipment.created"]),
        (["shipment.created", "shipment.cancelled"], ["shipment.created"]),
    ],
)
def test_styles_with_another_net_state_differ(saga: list[str], choreography: list[str]) -> None:
    effects = [effect("saga", name) for name in saga] + [effect("choreography", name) for name in choreography]

    (difference,) = compare_styles(["1"], effects).differences

    assert (difference.order_id, difference.service) == ("1", "shipping")
    assert difference.saga != difference.choreography


def test_running_numbers_make_no_difference_but_what_was_done_does() -> None:
    def created(style: Style, number: str, country: str) -> EffectRecord:
        return effect(style, "shipment.created", tracking_number=number, country=country)

    same = compare_styles(["1"], [created("saga", "A", "EIRE"), created("choreography", "B", "EIRE")])
    other = compare_styles(["1"], [created("saga", "A", "EIRE"), created("choreography", "A", "France")])

    assert (same.compared, len(same.differences), len(other.differences)) == (1, 0, 1)


@pytest.mark.parametrize(
    ("name", "actions", "retries"),
    [
        ("saga-completed", 1 + 4, 0),
        ("choreography-completed", 1 + 4, 0),
        ("saga-guest", 1 + 3, 0),
        ("choreography-guest", 1 + 3, 0),
        ("saga-cancelled", 1 + 4 + 4, 0),
        # the failure event's recipients are found by one activity, then four services are told
        ("choreography-cancelled", 1 + 4 + 1 + 4, 0),
        # parking and unparking are an upsert each, the redrive is a signal and an activity more
        ("saga-parked", 1 + 4 + 2 + 1 + 1, 0),
        # what is parked is listed and not listed any more, an update, shipping decides, four compensations
        ("saga-called-off", 1 + 4 + 2 + 1 + 1 + 4, 0),
        # a start and an update by one call
        ("saga-cancelled-later", 1 + 1 + 1 + 4, 0),
        ("choreography-parked", 1 + 4 + 2 + 1 + 1, 0),
    ],
)
def test_actions_are_counted_in_the_history(name: str, actions: int, retries: int) -> None:
    history = next(history for history in histories_in(HISTORIES) if history.workflow_id == name)

    counted = count(list(history.events))

    assert counted == RunCost(events=len(history.events), actions=actions, retries=retries)


def test_percentiles_are_interpolated_and_of_nothing_there_are_none() -> None:
    assert Percentiles.of([]) is None
    assert Percentiles.of([7.0]) == Percentiles(p50=7, p95=7, p99=7, max=7, n=1)
    assert Percentiles.of([float(ms) for ms in range(101)]) == Percentiles(p50=50, p95=95, p99=99, max=100, n=101)


def test_a_service_has_reacted_when_its_last_effect_is_committed() -> None:
    effects = [
        effect("saga", "confirmation.sent", service="marketing", after_ms=30),
        effect("saga", "campaign.left", service="marketing", after_ms=45),
        effect("saga", "cancellation.sent", service="marketing", after_ms=900),
    ]

    assert reactions_ms("saga", [timing("saga")], effects) == {("marketing", "1"): pytest.approx(45, abs=0.01)}


def test_a_ratio_is_of_the_same_order_in_both_styles() -> None:
    measured = Measured(
        one_at_a_time=[timing("saga", str(n), ms=10 * n) for n in (1, 2, 3)]
        + [timing("choreography", str(n), ms=20 * n) for n in (1, 2, 3)],
        rates={"saga": [(10, 1.0), (10, 2.0)], "choreography": [(10, 2.0), (10, 4.0)]},
    )

    found = ratios(measured, [], seed=1)

    assert (found["end_to_end_ms"].median, found["end_to_end_ms"].low, found["end_to_end_ms"].high) == (2, 2, 2)
    assert found["orders_per_s"].median == 0.5


def test_what_was_not_measured_is_null() -> None:
    for style in STYLES:
        report = style_report(style, Measured(one_at_a_time=[timing(style)]), [], [], {})

        assert (report.orders_per_s, report.actions_per_order, report.retries, report.blast_radius) == (None,) * 4
        assert report.cancellations is None
        assert report.reaction_ms["shipping"] is None
        assert report.end_states == {"completed": 1}


@pytest.mark.parametrize(
    ("compared", "said"),
    [
        (200, None),
        (199, "The other one was cancelled at a moment of the clock"),
        (198, "The other 2 were cancelled at a moment of the clock"),
        (0, "The other 200 were cancelled at a moment of the clock"),
    ],
)
def test_the_orders_that_are_not_compared_are_told_in_words_that_fit_their_number(
    compared: int, said: str | None
) -> None:
    told = str(parity(comparison(parity=Parity(compared=compared, differences=[]))))

    assert f"{compared} of {compared} orders" in told
    assert said in told if said else "The other" not in told
