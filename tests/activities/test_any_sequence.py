"""Two orders under one id, placed, failing and cancelled in any sequence: both styles keep the same, true books."""

import contextlib
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from activities.reacting import Reporter
from activities.shipping import ShippingActivities
from events.catalogue import OrderFailed
from events.edge import cancel_requested, order_placed
from orders.cancelling import CancelRequest
from orders.model import Order, OrderLine
from runtime.errors import OrderIdTakenError, SupersededError
from services.order_placed import registry
from services.service import Cancellation
from stores import shipping
from stores.ledger import Ledger
from tests.activities.conftest import Seen, placed

What = Literal["place", "fail", "customer cancels"]
Call = tuple[What, int]

ORDERS = [
    Order(
        order_id="v1",
        country="United Kingdom",
        placed_at=datetime(2026, 11, 24, 12, tzinfo=UTC),
        lines=(OrderLine.model_validate({"stock_code": "85123A", "description": "T-LIGHT", **said}),),
    )
    for said in ({"quantity": 6, "unit_price": "2.55"}, {"quantity": 99, "unit_price": "2.55"})
]


class Shop:
    """Shipping, asked by a saga and told by events of the same things."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger(url, shipping.METADATA)
        self._ship = ShippingActivities(self.ledger, Reporter("shipping", registry("")))

    def ask(self, what: What, order: Order) -> None:
        """As a saga does."""
        if what == "place":
            self._ship.begin_fulfilment(placed(order, "saga"))
        elif what == "fail":
            self._ship.cancel_shipment(
                Cancellation(style="saga", order_id=order.order_id, reason="it failed", content=order.fingerprint)
            )
        elif self._ship.decide_cancellation(CancelRequest(style="saga", order_id=order.order_id)).accepted:
            self._ship.cancel_shipment(Cancellation(style="saga", order_id=order.order_id, reason="the customer"))

    def tell(self, what: What, order: Order) -> None:
        """As the bus does; what shipping answers is told to it, too."""
        event = order_placed(order)
        if what == "place":
            reaction = self._ship.on_order_placed(event)
        elif what == "fail":
            fact = OrderFailed(order_id=order.order_id, service="invoicing", reason="it failed")
            failed = event.follow_up("x", "invoice.failed", source="orderlab/invoicing", time=event.time, data=fact)
            reaction = self._ship.on_order_cancelled(failed)
        else:
            reaction = self._ship.on_cancel_requested(cancel_requested(order.order_id))
        for routed in reaction.events:
            if routed.event.type == "order.cancelled":
                self._ship.on_order_cancelled(routed.event)


def books_after(calls: list[Call], way: Callable[[Shop], Callable[[What, Order], None]]) -> tuple[list[str], list[int]]:
    """The effects, in sequence, and the quantities that were shipped."""
    with tempfile.TemporaryDirectory() as directory:
        seen = Seen(f"sqlite:///{Path(directory) / 'shipping.db'}")
        shop = Shop(seen.url)
        for what, number in calls:
            with contextlib.suppress(OrderIdTakenError, SupersededError):
                way(shop)(what, ORDERS[number])
        shop.ledger.engine.dispose()
        return [one.effect for one in seen.effects()], [row["quantity"] for row in seen.rows("shipment_lines")]


def expected(calls: list[Call]) -> tuple[list[str], list[int]]:
    """What has to be in the books: of the first order that was met under the id, and of no other."""
    owner: int | None = None
    shipped: Literal["no", "yes", "undone", "never"] = "no"
    for what, number in calls:
        is_meant = what == "customer cancels" or owner in {None, number}
        if what == "place" and is_meant and shipped == "no":
            owner, shipped = number, "yes"
        elif what != "place" and is_meant:
            owner = number if what == "fail" and owner is None else owner
            shipped = "undone" if shipped in {"yes", "undone"} else "never"
    effects = {"yes": ["shipment.created"], "undone": ["shipment.created", "shipment.cancelled"]}.get(shipped, [])
    return effects, [ORDERS[owner].lines[0].quantity] if effects and owner is not None else []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["place", "fail", "customer cancels"]), st.integers(0, 1)), max_size=6),
)
def test_both_styles_ship_and_undo_the_order_that_has_the_id_and_never_the_other(calls: list[Call]) -> None:
    in_the_saga = books_after(calls, lambda shop: shop.ask)
    in_the_choreography = books_after(calls, lambda shop: shop.tell)

    assert in_the_saga == in_the_choreography == expected(calls)
