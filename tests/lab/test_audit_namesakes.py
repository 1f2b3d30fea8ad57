"""The auditor, where an order id was given twice: what was done for the one order is not taken for the other's."""

import asyncio
import time
from pathlib import Path

import pytest

from lab.audit import AuditReport
from orders.loader import OrderBook
from orders.model import STYLES, Style
from runtime.settings import Settings
from tests.lab.test_audit import Past, audit_of, change, draw, has, insert_effect
from tests.labs import Lab, Labs, forget, namesake


@pytest.fixture(scope="module")
async def refused(labs: Labs, book: OrderBook) -> Past:
    """An order that was completed and forgotten, and another one that was then refused under its id."""
    order = draw(book, "audit-refused")[0]

    async def refuse(lab: Lab, style: Style) -> None:
        await lab.run(order, style)
        await forget(lab.client, order, style)
        await lab.run(namesake(order), style)

    async with labs() as lab:
        await asyncio.gather(*(refuse(lab, style) for style in STYLES))
    return Past(lab, [namesake(order)])


@pytest.fixture(scope="module")
async def again(labs: Labs, book: OrderBook) -> Past:
    """An order that was completed, forgotten and placed again."""
    order = draw(book, "audit-again")[0]

    async def place_again(lab: Lab, style: Style) -> None:
        await lab.run(order, style)
        await forget(lab.client, order, style)
        await lab.run(order, style)

    async with labs() as lab:
        await asyncio.gather(*(place_again(lab, style) for style in STYLES))
    return Past(lab, [order])


@pytest.fixture(scope="module")
async def forgotten(labs: Labs, book: OrderBook) -> Past:
    """An order that was completed and forgotten."""
    order = draw(book, "audit-forgotten")[0]

    async def complete(lab: Lab, style: Style) -> None:
        await lab.run(order, style)
        await forget(lab.client, order, style)

    async with labs() as lab:
        await asyncio.gather(*(complete(lab, style) for style in STYLES))
    return Past(lab, [order])


@pytest.mark.parametrize("style", STYLES)
async def test_an_effect_that_neither_an_order_nor_the_memory_of_one_explains_is_found(
    forgotten: Past, tmp_path: Path, style: Style
) -> None:
    settings = forgotten.copy(tmp_path)
    change_mine(forgotten, settings, style, "DELETE FROM order_contents WHERE MINE")

    before, report = await audit_of(forgotten), await audit_of(forgotten, settings)

    assert before == AuditReport(checked=0, violations=[])
    assert has(report, forgotten.order.order_id, style, 1, "but no such order was placed")
    assert {one.style for one in report.violations} == {style}


@pytest.mark.parametrize("style", STYLES)
async def test_an_effect_that_is_left_of_a_refused_order_is_found(
    forgotten: Past, tmp_path: Path, style: Style
) -> None:
    settings, filed = forgotten.copy(tmp_path), f"{forgotten.order.order_id}|12345678"
    filing = "UPDATE {} SET order_id = :filed WHERE MINE"
    for table in ("order_contents", "effects"):
        change(
            settings,
            "analytics",
            filing.format(table),
            style=style,
            order_id=forgotten.order.order_id,
            filed=filed,
        )

    report = await audit_of(forgotten, settings)

    assert has(report, filed, style, 1, "sale.recorded is left of an order that was refused")


async def test_an_order_that_was_refused_because_of_a_forgotten_one_violates_nothing(
    refused: Past, again: Past
) -> None:
    assert await audit_of(refused) == AuditReport(checked=2, violations=[])
    assert await audit_of(again) == AuditReport(checked=2, violations=[])


@pytest.mark.parametrize("style", STYLES)
async def test_undoing_something_of_the_older_order_for_a_refused_one_is_found(
    refused: Past, tmp_path: Path, style: Style
) -> None:
    settings = refused.copy(tmp_path)
    insert_effect(settings, "invoicing", refused.order, style, "credit_note.issued")

    report = await audit_of(refused, settings)

    what = "credit_note.issued of another order under this id happened after this one was placed"
    assert has(report, refused.order.order_id, style, 1, what)


@pytest.mark.parametrize("style", STYLES)
async def test_doing_something_under_an_id_for_an_order_other_than_the_one_that_was_placed_is_found(
    refused: Past, tmp_path: Path, style: Style
) -> None:
    settings = refused.copy(tmp_path)
    change_mine(refused, settings, style, "UPDATE effects SET at_us = :now WHERE MINE", now=time.time_ns() // 1_000 + 1)

    report = await audit_of(refused, settings)

    what = "sale.recorded of another order under this id happened after this one was placed"
    assert has(report, refused.order.order_id, style, 1, what)


@pytest.mark.parametrize("style", STYLES)
async def test_effects_of_an_older_order_that_no_service_knows_to_be_another_s_are_found(
    refused: Past, tmp_path: Path, style: Style
) -> None:
    settings = refused.copy(tmp_path)
    change_mine(refused, settings, style, "DELETE FROM order_contents WHERE MINE")

    report = await audit_of(refused, settings)

    assert has(report, refused.order.order_id, style, 1, "the sale is of something else than was ordered")
    assert has(report, refused.order.order_id, style, 2, "shipment.created never happened, and is not parked")


@pytest.mark.parametrize("style", STYLES)
async def test_an_order_that_was_taken_though_a_service_keeps_its_id_for_another_is_found(
    again: Past, tmp_path: Path, style: Style
) -> None:
    settings = again.copy(tmp_path)
    change_mine(again, settings, style, "UPDATE order_contents SET content = 'another' WHERE MINE")

    report = await audit_of(again, settings)

    what = "analytics keep this id for an order with other content, but nobody refused this one"
    assert has(report, again.order.order_id, style, 1, what)
    assert has(report, again.order.order_id, style, 2, "sale.recorded never happened, and is not parked")


@pytest.mark.parametrize("style", STYLES)
async def test_an_order_that_is_shown_as_completed_though_all_of_it_was_undone_before_is_found(
    again: Past, tmp_path: Path, style: Style
) -> None:
    settings, order = again.copy(tmp_path), again.order
    for service, effect in (
        ("shipping", "shipment.cancelled"),
        ("invoicing", "credit_note.issued"),
        ("marketing", "cancellation.sent"),
        ("marketing", "campaign.rejoined"),
        ("analytics", "sale.reversed"),
    ):
        insert_effect(settings, service, order, style, effect)
        change(
            settings,
            service,
            "UPDATE effects SET at_us = 0 WHERE effect = :effect AND MINE",
            effect=effect,
            style=style,
            order_id=order.order_id,
        )

    report = await audit_of(again, settings)

    assert has(report, order.order_id, style, 2, "its workflow says completed, the databases say cancelled")


def change_mine(past: Past, settings: Settings, style: Style, statement: str, **values: int) -> None:
    """Change what analytics has of the order."""
    change(settings, "analytics", statement, style=style, order_id=past.order.order_id, **values)
