"""A gift beside what is paid for: shipped, on the invoice at 0, and right in everybody's books."""

import sqlite3
from contextlib import closing
from decimal import Decimal

from sqlalchemy import make_url

from events.log import OrderState
from lab.audit import audit
from lab.status import end_of
from orders.model import STYLES, Order, OrderLine
from tests.labs import Lab, Labs


def with_gifts(order: Order) -> Order:
    """The order with two free lines, one of them of an article that is also paid for."""
    gift = OrderLine(stock_code="GIFT", description="FREE GIFT", quantity=2, unit_price=Decimal(0))
    second = order.lines[0].model_copy(update={"unit_price": Decimal(0), "quantity": 1})
    return Order.model_validate(order.model_dump() | {"lines": (*order.lines, gift, second)})


def rows(lab: Lab, service: str, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(make_url(lab.settings.database_url(service)).database or "")) as db:
        return list(db.execute(query))


async def test_a_free_line_is_shipped_and_stands_on_the_invoice_at_0_in_both_styles(labs: Labs, order: Order) -> None:
    given = with_gifts(order)
    async with labs() as lab:
        states = [(await lab.run(given, style)).state for style in STYLES]
        found = await audit(lab.client, lab.settings, lab.name)
        shipped = rows(lab, "shipping", "SELECT quantity FROM shipment_lines WHERE stock_code = 'GIFT'")
        billed = rows(lab, "invoicing", "SELECT stock_code, quantity FROM invoice_lines WHERE amount_pence = 0")
        totals = rows(lab, "invoicing", "SELECT total_pence FROM invoices")
        sold = rows(lab, "analytics", "SELECT units, revenue_pence FROM sold_products WHERE stock_code = 'GIFT'")
        mails = [file.read_text() for file in lab.settings.mail_dir.rglob("*") if file.is_file()]

    assert states == [OrderState.COMPLETED] * 2
    assert (found.checked, found.violations) == (2, [])
    assert shipped == [(2,)] * 2
    assert billed == [("GIFT", 2), (order.lines[0].stock_code, 1)] * 2
    assert totals == [(order.total_pence,)] * 2
    assert sold == [(2, 0)] * 2
    assert sum("2 x FREE GIFT  GBP 0.00" in mail for mail in mails) == 2


async def test_an_order_with_a_free_line_is_undone_to_the_last_of_it(labs: Labs, order: Order) -> None:
    given = with_gifts(order)
    async with labs() as lab:
        for style in STYLES:
            placed = await lab.placer.place(given, style)
            await end_of(lab.client, placed)
            assert (await lab.placer.canceller.cancel(given.order_id, style)).accepted
            state, _ = await end_of(lab.client, placed)
            assert state is OrderState.CANCELLED
        found = await audit(lab.client, lab.settings, lab.name)
        left = rows(lab, "analytics", "SELECT units, revenue_pence FROM sales_by_product WHERE product = 'GIFT'")

    assert found.violations == []
    assert left == [(0, 0)] * 2
