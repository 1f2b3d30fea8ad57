"""The fingerprint by which services tell an order from another one under its id."""

from typing import Any

import pytest

from orders.model import Order

SAID: dict[str, Any] = {
    "order_id": "v1",
    "customer_id": "17850",
    "country": "United Kingdom",
    "placed_at": "2026-11-24T12:00:00",
    "lines": [{"stock_code": "85123A", "description": "T-LIGHT HOLDER", "quantity": 6, "unit_price": "2.50"}],
}
LINE = SAID["lines"][0]


def fingerprint(**changes: Any) -> str:  # noqa: ANN401 - fields of a model
    return Order.model_validate({**SAID, **changes}).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": [{**LINE, "unit_price": 2.5}]},
        {"lines": [{**LINE, "unit_price": "2.5"}]},
        {"lines": [{**LINE, "description": "  T-LIGHT HOLDER "}]},
        {"placed_at": "2026-11-24 12:00:00.000"},
    ],
)
def test_orders_that_say_the_same_in_other_letters_have_one_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(**changes) == fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": "v2"},
        {"customer_id": None},
        {"customer_id": "17851"},
        {"country": "Norway"},
        {"placed_at": "2026-11-24T12:00:00.000001"},
        {"placed_at": "2026-11-24T12:00:00Z"},
        {"lines": [{**LINE, "quantity": 99}]},
        {"lines": [{**LINE, "unit_price": "2.51"}]},
        {"lines": [{**LINE, "description": "LANTERN"}]},
        {"lines": [LINE, LINE]},
    ],
)
def test_orders_that_say_something_else_have_another_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(**changes) != fingerprint()


def test_the_fingerprint_stays_what_services_have_kept_of_earlier_orders() -> None:
    assert fingerprint() == "dcfd7851c825a23a5cae38698b22fa35"
