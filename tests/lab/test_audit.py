"""The auditor: a healthy lab passes, and each kind of violation, planted in a copy of a real lab, is found."""

import ast
import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import make_url
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from events.catalogue import OrderFailed
from events.edge import order_placed
from faults.dice import Dice
from faults.plan import Customers, FaultPlan
from hosting.workers import hosting
from lab.audit import AuditReport, Violation, audit, temporal
from lab.audit.cancelling import has_request, must_end_alike
from lab.audit.databases import Books, read_books
from lab.audit.endings import ending_violations
from lab.audit.history import Fact, read_run
from lab.audit.orders import PlacedOrder, placed_order
from lab.audit.scenario import Key
from lab.audit.sequence import sequence_violations
from lab.cancelling import Canceller
from lab.effects import all_effects
from lab.placing import Placed, Placer
from lab.runs import runs_of, workflow_id
from lab.status import end_of
from orders.loader import OrderBook
from orders.model import STYLES, Order, Style
from runtime.errors import OrderlabError
from runtime.settings import PROJECT, Settings
from services.order_placed import SERVICES
from services.service import task_queue
from tests.labs import Lab, Labs, failing, holding, until, until_listed
from tests.record_histories import HISTORIES


@dataclass(frozen=True)
class Past:
    """A lab that has run orders in both styles, and is at rest."""

    lab: Lab
    orders: list[Order]

    @property
    def order(self) -> Order:
        return self.orders[0]

    def copy(self, target: Path) -> Settings:
        """The settings of a copy of its databases and mails, to plant something in."""
        settings = Settings(data=target)
        (target / "services").mkdir()
        for service in SERVICES:
            with (
                closing(opened(self.lab.settings, service.name)) as ours,
                closing(opened(settings, service.name)) as to,
            ):
                ours.backup(to)
        shutil.copytree(self.lab.settings.mail_dir, settings.mail_dir)
        return settings


def opened(settings: Settings, service: str) -> sqlite3.Connection:
    return sqlite3.connect(make_url(settings.database_url(service)).database or "", isolation_level=None)


def change(settings: Settings, database: str, *statements: str, **values: str | int) -> None:
    """Change rows of a service's database, and make sure that some are changed; `MINE` stands for an order's rows."""
    with closing(opened(settings, database)) as db:
        for statement in statements:
            changing = statement.replace("MINE", "style = :style AND order_id = :order_id")
            assert db.execute(changing, values).rowcount != 0, statement


def insert_effect(settings: Settings, service: str, order: Order, style: Style, effect: str) -> None:
    key = f"{style}/{order.order_id}/{service}/{effect}"
    with closing(opened(settings, service)) as db:
        is_taken = db.execute("SELECT 1 FROM effects WHERE idempotency_key = ?", [key]).fetchone()
    change(
        settings,
        service,
        "INSERT INTO effects VALUES (:key, :order_id, :style, :service, :effect, 'done', :at_us, '{}')",
        key=f"planted/{key}" if is_taken else key,
        order_id=order.order_id,
        style=style,
        service=service,
        effect=effect,
        at_us=time.time_ns() // 1_000,
    )


def decide(settings: Settings, order: Order, style: Style, *, accepted: bool) -> None:
    """Make shipping have decided about a cancellation, just after it had made up the parcel."""
    change(
        settings,
        "shipping",
        "INSERT INTO cancellations SELECT style, order_id, :accepted, :reason, at_us + 1 FROM effects "
        "WHERE MINE AND effect = 'shipment.created'",
        style=style,
        order_id=order.order_id,
        accepted=accepted,
        reason="cancelled by the customer" if accepted else "the parcel has been handed over to the carrier",
    )


def without_constraints(settings: Settings, database: str, table: str) -> None:
    """Make a table take a row twice."""
    with closing(opened(settings, database)) as db:
        for statement in (
            "PRAGMA foreign_keys=off",
            "CREATE TABLE copied AS SELECT * FROM TABLE_",
            "DROP TABLE TABLE_",
            "ALTER TABLE copied RENAME TO TABLE_",
        ):
            db.execute(statement.replace("TABLE_", table))


async def past(labs: Labs, orders: list[Order], *broken: str) -> Past:
    async with labs(fakes=[failing(one) for one in broken]) as lab:
        await asyncio.gather(*(lab.run(order, style) for order in orders for style in STYLES))
    return Past(lab, orders)


def draw(book: OrderBook, label: str) -> list[Order]:
    """A real order of a member of the campaign, one of a guest, and one of a customer who is no member."""
    taken = book.take(20, 1, label)
    guest = next(order for order in taken if order.customer_id is None)
    member, other, *_ = (o for o in taken if o.customer_id is not None and o.country == "United Kingdom")
    return [member, guest, other.model_copy(update={"customer_id": "not-in-the-data"})]


@pytest.fixture(scope="module")
async def completed(labs: Labs, book: OrderBook) -> Past:
    return await past(labs, draw(book, "audit-completed"))


@pytest.fixture(scope="module")
async def cancelled(labs: Labs, book: OrderBook) -> Past:
    return await past(labs, draw(book, "audit-cancelled"), "shipping.begin_fulfilment", "shipping.on_order_placed")


@pytest.fixture(scope="module")
async def parked(labs: Labs, book: OrderBook) -> Past:
    return await past(labs, draw(book, "audit-parked"), "marketing.thank_customer", "marketing.on_order_placed")


@pytest.fixture(scope="module")
async def in_attention(labs: Labs, book: OrderBook) -> Past:
    broken = ("shipping.begin_fulfilment", "shipping.on_order_placed")
    compensations = ("analytics.reverse_sale", "analytics.on_order_cancelled")
    return await past(labs, draw(book, "audit-attention")[:1], *broken, *compensations)


TOO_LATE = Dice(plan=FaultPlan(name="too late", customers=Customers(cancel=0, handover_ms=0)), seed=1)
"""The parcel is handed over the moment that it is made up."""

THANKING = ("marketing.thank_customer", "marketing.on_order_placed")
TELLING = ("marketing.tell_customer", "marketing.on_order_cancelled")
INVOICING = ("invoicing.issue_invoice", "invoicing.on_order_placed")
"""Activities of both styles."""

UNDONE, LATE, REFUSED = range(3)
"""The orders whose customers changed their minds: after the end, before they were placed, and when it was too late."""


async def cancel(lab: Lab, order: Order, style: Style) -> bool:
    """Change the customer's mind, and wait until all has come of that which will; whether it was in time."""
    answer = await Canceller(lab.client, lab.name).cancel(order.order_id, style)
    await ended(lab, order, style)
    return answer.accepted


async def ended(lab: Lab, order: Order, style: Style) -> None:
    await asyncio.wait_for(end_of(lab.client, Placed(style, order.order_id, known=True), look_every_s=0.1), 30)


@pytest.fixture(scope="module")
async def changed_minds(labs: Labs, book: OrderBook) -> Past:
    orders = draw(book, "audit-changed-minds")
    undone, late, refused = orders
    nobody_s = undone.model_copy(update={"order_id": f"{undone.order_id}-never-placed"})

    async def change(style: Style) -> list[bool]:
        await lab.run(undone, style)
        await Placer(lab.client, lab.name, TOO_LATE).place(refused, style)
        await ended(lab, refused, style)
        answers = [await cancel(lab, order, style) for order in (undone, late, refused, nobody_s)]
        await lab.placer.place(late, style)
        await ended(lab, late, style)
        return answers

    async with labs() as lab:
        assert await asyncio.gather(*(change(style) for style in STYLES)) == [[True, True, False, True]] * 2
    return Past(lab, orders)


async def audit_of(past: Past, settings: Settings | None = None, **options: Any) -> AuditReport:  # noqa: ANN401 - as audit takes them
    return await audit(past.lab.client, settings or past.lab.settings, past.lab.name, **options)


async def read(past: Past, style: Style, which: int = 0) -> PlacedOrder:
    """An order as the auditor reads it."""
    key = Key(style, past.orders[which].order_id)
    runs = (await temporal.TemporalReader(past.lab.client, past.lab.name).read({key: ()}))[key]
    order = placed_order(key, runs)
    assert order is not None
    return order


def has(report: AuditReport, order_id: str, style: Style | None, guarantee: int, what: str) -> bool:
    """Whether exactly this violation is among those found."""
    found = [(one.order_id, one.style, one.guarantee) for one in report.violations if what in one.what]
    return found == [(order_id, style, guarantee)]


# A healthy lab


async def test_orders_that_ended_as_they_may_violate_nothing(
    completed: Past, cancelled: Past, parked: Past, in_attention: Past
) -> None:
    for case in (completed, cancelled, parked, in_attention):
        report = await audit_of(case)

        assert report == AuditReport(checked=2 * len(case.orders), violations=[])


async def test_an_order_that_is_parked_and_then_redriven_violates_nothing(labs: Labs, order: Order) -> None:
    async with labs(fakes=[failing("analytics.record_sale", times=1)]) as lab:
        status = await lab.run(order, "saga")
        run = lab.client.get_workflow_handle(status.workflow_id)
        before = await audit(lab.client, lab.settings, lab.name)
        await run.signal("redrive", "analytics")
        await run.result()
        after = await audit(lab.client, lab.settings, lab.name)

    assert status.state == "parked"
    assert before == after == AuditReport(checked=1, violations=[])


async def test_a_warm_up_is_not_an_order_and_leaves_nothing(labs: Labs, order: Order, tmp_path: Path) -> None:
    async with labs() as lab:
        for style in STYLES:
            await lab.placer.place(order, style, rehearsal=True)
            await lab.client.get_workflow_handle(workflow_id(style, order.order_id)).result()
    here = Past(lab, [order])
    clean = await audit_of(here)
    settings = here.copy(tmp_path)
    insert_effect(settings, "invoicing", order, "saga", "invoice.issued")
    report = await audit_of(here, settings)

    assert clean == AuditReport(checked=0, violations=[])
    assert has(report, order.order_id, "saga", 1, "it was a rehearsal")


async def test_only_the_orders_that_were_asked_for_are_checked(completed: Past) -> None:
    report = await audit_of(completed, order_ids=[completed.order.order_id])

    assert report == AuditReport(checked=2, violations=[])


async def test_orders_that_the_server_does_not_list_yet_are_found_by_what_they_left(
    completed: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporal.TemporalReader, "listed", AsyncMock(return_value={}))

    report = await audit_of(completed)

    assert report == AuditReport(checked=2 * len(completed.orders), violations=[])


async def test_orders_that_the_server_never_lists_are_read_as_far_as_they_are_known(
    completed: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporal.TemporalReader, "_list", AsyncMock(return_value={}))
    monkeypatch.setattr(temporal, "PATIENCE_S", 0)

    report = await audit_of(completed)

    assert report == AuditReport(checked=2 * len(completed.orders), violations=[])


async def test_orders_of_a_version_that_kept_no_cancellations_violate_nothing(completed: Past, tmp_path: Path) -> None:
    settings = completed.copy(tmp_path)
    change(settings, "shipping", "DROP TABLE cancellations")

    report = await audit_of(completed, settings)

    assert report == AuditReport(checked=2 * len(completed.orders), violations=[])


async def test_another_lab_s_orders_on_the_same_server_are_not_checked(completed: Past, tmp_path: Path) -> None:
    report = await audit(completed.lab.client, Settings(data=tmp_path), "nobody-s-lab")

    assert report == AuditReport(checked=0, violations=[])


# A healthy lab whose customers change their minds


async def test_orders_that_were_cancelled_or_could_not_be_any_more_violate_nothing(changed_minds: Past) -> None:
    report = await audit_of(changed_minds)

    assert report == AuditReport(checked=6, violations=[])  # the order that was cancelled and never placed is none


async def test_orders_cancelled_while_a_service_was_away_violate_nothing(
    labs: Labs, fresh_orders: Callable[[int], list[Order]]
) -> None:
    both, saga_only = fresh_orders(2)
    async with labs(absent=["invoicing"]) as lab:
        for order, style in product((both, saga_only), STYLES):
            await lab.placer.place(order, style)
            await until(lambda order=order, style=style: bool(lab.effects(order, style)))  # type: ignore[misc]
            if order is both or style == "saga":
                await Canceller(lab.client, lab.name).cancel(order.order_id, style)
        async with hosting(lab.client, ["invoicing"], lab.settings, lab.name):
            for order, style in product((both, saga_only), STYLES):
                await ended(lab, order, style)
            report = await audit(lab.client, lab.settings, lab.name)

    assert report == AuditReport(checked=4, violations=[])


async def test_orders_cancelled_while_something_is_parked_violate_nothing(labs: Labs, order: Order) -> None:
    async with labs(fakes=[failing(one) for one in THANKING]) as lab:
        for style in STYLES:
            await lab.run(order, style)
            await cancel(lab, order, style)
        report = await audit(lab.client, lab.settings, lab.name)

    assert report == AuditReport(checked=2, violations=[])


async def test_cancelled_orders_that_ask_for_attention_and_are_redriven_violate_nothing(
    labs: Labs, order: Order
) -> None:
    async with labs(fakes=[failing(one, times=1) for one in TELLING]) as lab:
        for style in STYLES:
            await lab.run(order, style)
            await cancel(lab, order, style)
        before = await audit(lab.client, lab.settings, lab.name)
        parked = ("marketing", f"{order.order_id}/order.cancelled>{TELLING[1]}")
        for style, delivery in zip(STYLES, parked, strict=True):
            run = lab.client.get_workflow_handle(workflow_id(style, order.order_id))
            await run.signal("redrive", delivery)
            await run.result()
        after = await audit(lab.client, lab.settings, lab.name)

    assert before == after == AuditReport(checked=2, violations=[])


async def test_customers_who_cancel_what_is_being_undone_anyway_violate_nothing(
    labs: Labs, order: Order, tmp_path: Path
) -> None:
    telling = [holding(one) for one in TELLING]
    async with labs(fakes=[*(failing(one) for one in INVOICING), *telling]) as lab:
        for style, held in zip(STYLES, telling, strict=True):
            await Placer(lab.client, lab.name, TOO_LATE).place(order, style)
            await until(held.begun.is_set)
            asked = await Canceller(lab.client, lab.name).cancel(order.order_id, style)
            assert asked.accepted
            held.released.set()
            await ended(lab, order, style)
    here = Past(lab, [order])
    report = await audit_of(here)
    settings = here.copy(tmp_path)
    decide(settings, order, "saga", accepted=False)  # as if somebody else had asked before
    after_a_refusal = await audit_of(here, settings)

    assert report == after_a_refusal == AuditReport(checked=2, violations=[])


async def test_a_saga_that_temporal_cancelled_after_its_customer_was_refused_violates_nothing(
    labs: Labs, order: Order
) -> None:
    thanking = holding(THANKING[0])
    async with labs(fakes=[thanking]) as lab:
        await Placer(lab.client, lab.name, TOO_LATE).place(order, "saga")
        await until(lambda: thanking.begun.is_set() and "shipment.created" in lab.effects(order, "saga"))
        asked = await Canceller(lab.client, lab.name).cancel(order.order_id, "saga")
        await lab.client.get_workflow_handle(workflow_id("saga", order.order_id)).cancel()
        thanking.released.set()
        await ended(lab, order, "saga")
        await lab.placer.place(order, "choreography")  # completes, and nobody asks for the same in both styles
        await ended(lab, order, "choreography")
        report = await audit(lab.client, lab.settings, lab.name)

    assert not asked.accepted
    assert report == AuditReport(checked=2, violations=[])


@pytest.mark.parametrize(("event_type", "by_hand"), [("invoice.failed", "ann"), ("order.cancelled", None)])
async def test_an_order_that_the_shop_gave_up_after_its_customer_was_refused_violates_nothing(
    labs: Labs, order: Order, event_type: str, by_hand: str | None
) -> None:
    placed, fact = order_placed(order), OrderFailed(order_id=order.order_id, service="invoicing", reason="sold out")
    async with labs() as lab:
        await Placer(lab.client, lab.name, TOO_LATE).place(order, "choreography")
        await ended(lab, order, "choreography")
        accepted = await cancel(lab, order, "choreography")
        told = placed.follow_up("by-hand", event_type, source="shop", time=placed.time, data=fact)
        await lab.placer.publish(told.model_copy(update={"byhand": by_hand}))
        await ended(lab, order, "choreography")
        effects = lab.effects(order, "choreography")
        report = await audit(lab.client, lab.settings, lab.name)

    assert not accepted
    assert "credit_note.issued" in effects
    assert (report.checked, report.violations) == (1, [])
    assert [act.by for act in report.acts] == ([] if by_hand is None else [by_hand])


async def test_a_request_that_is_parked_leaves_the_order_parked_and_violates_nothing(labs: Labs, order: Order) -> None:
    async with labs(fakes=[failing("shipping.on_cancel_requested")]) as lab:
        await lab.run(order, "choreography")
        with pytest.raises(OrderlabError, match="nobody could decide"):
            await cancel(lab, order, "choreography")
        report = await audit(lab.client, lab.settings, lab.name)

    assert report == AuditReport(checked=1, violations=[])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("which", [UNDONE, LATE])
@pytest.mark.parametrize("listed", [slice(0, 1), slice(1, 2)])
async def test_the_runs_before_and_after_a_cancellation_are_read_though_only_one_is_listed(
    changed_minds: Past, monkeypatch: pytest.MonkeyPatch, style: Style, which: int, listed: slice
) -> None:
    key, lab = Key(style, changed_minds.orders[which].order_id), changed_minds.lab
    runs = await runs_of(lab.client, key.workflow_id)
    others = await temporal.TemporalReader(lab.client, lab.name).listed()
    monkeypatch.setattr(temporal.TemporalReader, "listed", AsyncMock(return_value={**others, key: runs[listed]}))

    report = await audit_of(changed_minds)

    assert len(runs) == 2
    assert report == AuditReport(checked=6, violations=[])


@pytest.mark.parametrize("style", STYLES)
async def test_an_order_placed_so_long_after_its_cancellation_that_the_server_forgot_that_violates_nothing(
    changed_minds: Past, style: Style
) -> None:
    order = await read(changed_minds, style, LATE)
    remembered = placed_order(order.key, order.runs[1:])
    assert remembered is not None

    found = ending_violations(remembered, read_books(changed_minds.lab.settings))

    assert len(order.runs) == 2
    assert found == []
    assert has_request(remembered)


@pytest.mark.parametrize("style", STYLES)
async def test_a_cancellation_that_comes_while_the_auditor_reads_is_read_as_well(
    changed_minds: Past, monkeypatch: pytest.MonkeyPatch, style: Style
) -> None:
    key, lab = Key(style, changed_minds.orders[UNDONE].order_id), changed_minds.lab
    before, after = await runs_of(lab.client, key.workflow_id)
    latest = AsyncMock(side_effect=[before, after])
    monkeypatch.setattr(temporal.TemporalReader, "listed", AsyncMock(return_value={key: [before]}))
    monkeypatch.setattr(temporal.TemporalReader, "latest_run", latest)
    monkeypatch.setattr(Books, "keys", lambda _: set())  # there are no other orders for now

    report = await audit_of(changed_minds)

    assert latest.await_count == 2
    assert report == AuditReport(checked=1, violations=[])


# Guarantee 1


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("service", "table", "what"),
    [
        ("shipping", "shipments", "shipments holds 2 of it where shipment.created happened once"),
        ("invoicing", "invoices", "invoices holds 2 of it where invoice.issued happened once"),
        ("marketing", "campaign_exits", "campaign_exits holds 2 of it"),
        ("marketing", "mails", "mails holds 2 of it where confirmation.sent happened once"),
        ("analytics", "sales", "sales holds 2 of it where sale.recorded happened once"),
    ],
)
async def test_a_second_row_of_one_effect_is_found(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    completed: Past, tmp_path: Path, style: Style, service: str, table: str, what: str
) -> None:
    settings, order_id = completed.copy(tmp_path), completed.order.order_id
    without_constraints(settings, service, table)
    change(
        settings,
        service,
        "INSERT INTO TABLE_ SELECT * FROM TABLE_ WHERE MINE".replace("TABLE_", table),
        style=style,
        order_id=order_id,
    )

    report = await audit_of(completed, settings)

    assert has(report, order_id, style, 1, what)


@pytest.mark.parametrize("style", STYLES)
async def test_an_effect_that_the_ledger_has_twice_is_found(completed: Past, tmp_path: Path, style: Style) -> None:
    settings = completed.copy(tmp_path)
    insert_effect(settings, "shipping", completed.order, style, "shipment.created")

    report = await audit_of(completed, settings)

    assert has(report, completed.order.order_id, style, 1, "shipment.created is recorded 2 times")


@pytest.mark.parametrize(
    ("service", "changes", "what"),
    [
        ("shipping", "UPDATE shipments SET status = 'cancelled'", "the shipment is cancelled where"),
        ("shipping", "UPDATE shipments SET country = 'Norway'", "the shipment goes to Norway"),
        ("invoicing", "UPDATE invoices SET total_pence = total_pence + 1", "pence, the order of"),
        ("marketing", "DELETE FROM campaign_exits", "campaign_exits holds 0 of it"),
        ("marketing", "DELETE FROM mails", "mails holds 0 of it where confirmation.sent happened once"),
        ("marketing", "UPDATE mails SET address = '1@customers.example'", "the mail of confirmation.sent went to"),
        ("analytics", "UPDATE sales SET country = 'Norway'", "the sale is of"),
        ("analytics", "UPDATE sold_products SET units = units + 1", "the sale is of something else"),
        ("invoicing", "DELETE FROM effects", "invoices holds 1 of it where invoice.issued never happened"),
        ("shipping", "UPDATE shipments SET status = 'lost'", "the shipment is 'lost', which none can be"),
        (
            "shipping",
            "UPDATE shipments SET tracking_number = 'RR000000999GB'",
            "the tracking number RR000000999GB, not",
        ),
        ("shipping", "UPDATE shipments SET tracking_number = NULL", "the tracking number None, not"),
        (
            "shipping",
            "UPDATE effects SET fact = json_remove(fact, '$.tracking_number')",
            "recorded with tracking_number 'nothing'",
        ),
        (
            "invoicing",
            "UPDATE effects SET fact = json_set(fact, '$.total_pence', 1)",
            "invoice.issued was recorded with total_pence 1, and is of",
        ),
        ("invoicing", "UPDATE effects SET fact = 'no JSON'", "recorded with invoice_number 'nothing'"),
        ("analytics", "UPDATE effects SET fact = NULL", "recorded with day 'nothing'"),
        ("invoicing", "UPDATE effects SET at_us = at_us - 3600000000", "invoice.issued is dated before the order was"),
        ("invoicing", "UPDATE effects SET at_us = at_us + 3600000000", "invoice.issued is dated after all that was"),
        (
            "marketing",
            "UPDATE campaign_exits SET campaign = 'easter'",
            "is out of the campaign 'easter', which there is",
        ),
        ("shipping", "DELETE FROM order_contents", "shipping has done something, and has not kept the order's content"),
        ("analytics", "UPDATE sold_products SET revenue_pence = revenue_pence - 1", "the sale is of something else"),
    ],
)
async def test_a_row_that_does_not_fit_what_was_done_is_found(
    completed: Past, tmp_path: Path, service: str, changes: str, what: str
) -> None:
    settings, order_id = completed.copy(tmp_path), completed.order.order_id
    change(settings, service, f"{changes} WHERE MINE", style="saga", order_id=order_id)

    report = await audit_of(completed, settings)

    assert has(report, order_id, "saga", 1, what)


@pytest.mark.parametrize(
    ("service", "changes", "what"),
    [
        ("invoicing", "UPDATE invoice_lines SET unit_price_pence = 1 WHERE line = 1", "lists something else than was"),
        ("invoicing", "UPDATE invoice_lines SET description = 'BRICK' WHERE line = 1", "lists something else than was"),
        ("invoicing", "UPDATE invoice_lines SET line = 99 WHERE line = 1", "lists something else than was ordered"),
        ("shipping", "UPDATE shipment_lines SET line = 99 WHERE line = 1", "holds something else than was ordered"),
        ("shipping", "UPDATE handovers SET at_us = at_us + 3600000000", "handed over 3,600.0 s off the 60.0 s"),
        ("shipping", "UPDATE handovers SET at_us = at_us - 3600000000", "off the 60.0 s that the plan says"),
        ("shipping", "DELETE FROM handovers", "handovers has 0 rows of one shipment"),
        (
            "marketing",
            "DELETE FROM campaign_audience",
            "campaign.left is recorded, which this order gives no reason for",
        ),
    ],
)
async def test_what_was_changed_in_every_order_is_found_in_each(
    completed: Past, tmp_path: Path, service: str, changes: str, what: str
) -> None:
    settings = completed.copy(tmp_path)
    change(settings, service, changes)

    report = await audit_of(completed, settings)

    found = {one.order_id for one in report.violations if what in one.what}
    assert completed.order.order_id in found


async def test_a_parcel_is_handed_over_as_the_fault_plan_of_its_order_says(changed_minds: Past, tmp_path: Path) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[REFUSED].order_id
    moved = "UPDATE handovers SET at_us = at_us + 60000000 WHERE shipment_id = (SELECT id FROM shipments WHERE MINE)"
    change(settings, "shipping", moved, style="saga", order_id=order_id)

    report = await audit_of(changed_minds, settings)

    assert has(report, order_id, "saga", 1, "off the 0.0 s that the plan says")
    assert has(report, order_id, "saga", 1, "has refused the cancellation, though no parcel had been handed over")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ("UPDATE effects SET effect = 'shipment.lost'", "the ledger has an effect 'shipment.lost', which there is not"),
        ("UPDATE effects SET service = 'customs'", "the ledger says that 'customs' did shipment.created"),
        ("UPDATE effects SET service = 'invoicing'", "the ledger says that 'invoicing' did shipment.created"),
        ("UPDATE effects SET state = 'perhaps'", "shipment.created is 'perhaps', which no key can be"),
        ("UPDATE effects SET idempotency_key = 'x'", "shipment.created is under the key 'x' and not under"),
        ("UPDATE effects SET style = 'hybrid'", "effects has a row of the style 'hybrid', which there is not"),
        ("UPDATE shipments SET style = 'hybrid'", "shipments has a row of the style 'hybrid', which there is not"),
        ("UPDATE order_contents SET service = 'customs'", "order_contents has a row of 'customs', which is no service"),
        (
            "INSERT INTO effects SELECT 'x', order_id, style, service, effect, 'closed', at_us, NULL FROM effects",
            "shipment.created is done and closed at once",
        ),
    ],
)
async def test_a_row_that_no_service_could_have_written_is_found(
    completed: Past, tmp_path: Path, changes: str, what: str
) -> None:
    settings, order_id = completed.copy(tmp_path), completed.order.order_id
    change(settings, "shipping", f"{changes} WHERE MINE", style="saga", order_id=order_id)

    report = await audit_of(completed, settings)

    assert has(report, order_id, None, 1, what)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("service", ["shipping", "invoicing", "analytics"])
async def test_an_effect_that_was_undone_before_it_was_done_is_found(
    changed_minds: Past, tmp_path: Path, style: Style, service: str
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[UNDONE].order_id
    changes = (
        "UPDATE effects SET at_us = (SELECT max(at_us) + 2000000 FROM effects WHERE MINE) "
        "WHERE MINE AND effect IN ('shipment.created', 'invoice.issued', 'sale.recorded')"
    )
    change(settings, service, changes, style=style, order_id=order_id)

    report = await audit_of(changed_minds, settings)

    assert has(report, order_id, None, 1, "is dated before")


@pytest.mark.parametrize("style", STYLES)
async def test_a_service_whose_clock_was_set_back_a_little_between_doing_and_undoing_is_not_accused(
    changed_minds: Past, tmp_path: Path, style: Style
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[UNDONE].order_id
    changes = (
        "UPDATE effects SET at_us = (SELECT min(at_us) - 500000 FROM effects WHERE MINE) "
        "WHERE MINE AND effect = 'credit_note.issued'"
    )
    change(settings, "invoicing", changes, style=style, order_id=order_id)

    report = await audit_of(changed_minds, settings)

    assert report.violations == []


@pytest.mark.parametrize(
    "number", ["INV-S-00000A", "INV-S-1", "INV-C-000099", "S000001", "INV-S-\u0661\u0661\u0661\u0661\u0661\u0661"]
)
async def test_a_number_of_another_form_is_found(completed: Past, tmp_path: Path, number: str) -> None:
    settings, order_id = completed.copy(tmp_path), completed.order.order_id
    change(
        settings,
        "invoicing",
        "UPDATE invoice_lines SET invoice = :number WHERE invoice = (SELECT number FROM invoices WHERE MINE)",
        "UPDATE invoices SET number = :number WHERE MINE",
        style="saga",
        order_id=order_id,
        number=number,
    )

    report = await audit_of(completed, settings)

    assert has(report, order_id, "saga", 1, "is no number of the series INV-S")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("service", [service.name for service in SERVICES])
async def test_a_content_that_was_changed_is_found_also_of_an_order_that_its_customer_cancelled(
    changed_minds: Past, tmp_path: Path, style: Style, service: str
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[UNDONE].order_id
    change(settings, service, "UPDATE order_contents SET content = 'x' WHERE MINE", style=style, order_id=order_id)

    report = await audit_of(changed_minds, settings)

    assert any(one.order_id == order_id and "of another order under this id" in one.what for one in report.violations)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("which", "changes", "what"),
    [
        (
            UNDONE,
            "UPDATE cancellations SET reason = 'because'",
            "has accepted the cancellation, as 'because', which nobody asked for",
        ),
        (
            REFUSED,
            "UPDATE cancellations SET reason = 'because'",
            "has refused the cancellation, as 'because', which is no reason to",
        ),
        (
            UNDONE,
            "UPDATE cancellations SET at_us = at_us - 3600000000",
            "shipping's decision of its cancellation is dated before the order",
        ),
        (
            UNDONE,
            "UPDATE cancellations SET at_us = at_us + 3600000000",
            "shipping's decision of its cancellation is dated after all",
        ),
        (
            UNDONE,
            "UPDATE cancellations SET accepted = 0",
            "has refused the cancellation, though no parcel had been handed over",
        ),
        (
            REFUSED,
            "UPDATE cancellations SET accepted = 1",
            "has accepted the cancellation of a parcel that had been handed over",
        ),
    ],
)
async def test_a_decision_that_shipping_could_not_have_made_is_found(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    changed_minds: Past, tmp_path: Path, style: Style, which: int, changes: str, what: str
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[which].order_id
    change(settings, "shipping", f"{changes} WHERE MINE", style=style, order_id=order_id)

    report = await audit_of(changed_minds, settings)

    assert has(report, order_id, style, 1, what)


@pytest.mark.parametrize("style", STYLES)
async def test_an_effect_that_could_still_happen_though_its_service_has_compensated_is_found(
    changed_minds: Past, tmp_path: Path, style: Style
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[LATE].order_id
    change(settings, "invoicing", "DELETE FROM effects WHERE MINE", style=style, order_id=order_id)

    report = await audit_of(changed_minds, settings)

    assert has(report, order_id, style, 2, "invoice.issued is neither undone nor closed, though invoicing has")


async def test_a_credit_note_of_another_amount_is_found(cancelled: Past, tmp_path: Path) -> None:
    settings, order_id = cancelled.copy(tmp_path), cancelled.order.order_id
    change(
        settings,
        "invoicing",
        "UPDATE credit_notes SET total_pence = 1 WHERE invoice = "
        "(SELECT number FROM invoices WHERE style = 'saga' AND order_id = :order_id)",
        order_id=order_id,
    )

    report = await audit_of(cancelled, settings)

    assert has(report, order_id, "saga", 1, "is of 1 pence")


def mail_of(settings: Settings, order: Order, style: Style, kind: str) -> Path:
    wanted = f"{style}.{order.order_id}.marketing.{kind}@"
    return next(file for file in settings.mail_dir.glob("*.eml") if wanted in file.read_text(encoding="utf-8"))


async def test_a_second_copy_of_a_mail_is_found(completed: Past, tmp_path: Path) -> None:
    settings = completed.copy(tmp_path)
    mail = mail_of(settings, completed.order, "choreography", "confirmation.sent")
    shutil.copy(mail, mail.with_name("again.eml"))

    report = await audit_of(completed, settings)

    assert has(report, completed.order.order_id, "choreography", 1, "2 mails were kept where confirmation.sent")


async def test_a_mail_that_was_sent_again_under_another_id_is_found(completed: Past, tmp_path: Path) -> None:
    settings = completed.copy(tmp_path)
    mail = mail_of(settings, completed.order, "saga", "confirmation.sent")
    again = mail.read_text(encoding="utf-8").replace("<saga.", "<again.saga.")
    mail.with_name("again.eml").write_text(again, encoding="utf-8")

    report = await audit_of(completed, settings)

    assert has(report, completed.order.order_id, None, 1, "that marketing has no note of")


async def test_a_mail_that_never_arrived_is_found(completed: Past, tmp_path: Path) -> None:
    settings = completed.copy(tmp_path)
    mail_of(settings, completed.order, "saga", "confirmation.sent").unlink()

    report = await audit_of(completed, settings)

    assert has(report, completed.order.order_id, "saga", 1, "0 mails were kept where confirmation.sent happened once")


def leave_unknown(settings: Settings, order: Order, state: str) -> None:
    """As if nobody had heard whether the order's confirmation is out."""
    changing = "UPDATE effects SET state = :state WHERE MINE AND effect = 'confirmation.sent'"
    change(settings, "marketing", changing, state=state, style="saga", order_id=order.order_id)


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_mail_that_may_be_out_and_was_undone_may_have_arrived_or_not(
    cancelled: Past, tmp_path: Path, *, arrived: bool
) -> None:
    settings = cancelled.copy(tmp_path)
    leave_unknown(settings, cancelled.order, "possible")
    if not arrived:
        mail_of(settings, cancelled.order, "saga", "confirmation.sent").unlink()

    assert (await audit_of(cancelled, settings)).violations == []


@pytest.mark.parametrize("state", ["begun", "possible"])
async def test_a_mail_that_may_be_out_and_whose_cancellation_was_never_sent_is_found(
    cancelled: Past, tmp_path: Path, state: str
) -> None:
    settings, order_id = cancelled.copy(tmp_path), cancelled.order.order_id
    leave_unknown(settings, cancelled.order, state)
    mail_of(settings, cancelled.order, "saga", "cancellation.sent").unlink()
    for table, column in (("effects", "effect"), ("mails", "kind")):
        deletion = f"DELETE FROM {table} WHERE MINE AND {column} = 'cancellation.sent'"  # noqa: S608 - our own names
        change(settings, "marketing", deletion, style="saga", order_id=order_id)

    report = await audit_of(cancelled, settings)

    assert has(report, order_id, "saga", 2, "confirmation.sent may be left of a cancelled order")


async def test_a_mail_that_may_have_arrived_twice_after_all_is_found_where_the_server_drops_repeats(
    cancelled: Past, tmp_path: Path
) -> None:
    settings, order_id = cancelled.copy(tmp_path), cancelled.order.order_id
    leave_unknown(settings, cancelled.order, "possible")
    mail = mail_of(settings, cancelled.order, "saga", "confirmation.sent")
    shutil.copy(mail, mail.with_name("again.eml"))

    report = await audit_of(cancelled, settings)

    assert has(report, order_id, "saga", 1, "2 mails were kept where confirmation.sent")


async def test_a_completed_order_of_which_nobody_knows_whether_its_mail_is_out_is_found(
    completed: Past, tmp_path: Path
) -> None:
    settings, order_id = completed.copy(tmp_path), completed.order.order_id
    leave_unknown(settings, completed.order, "begun")

    report = await audit_of(completed, settings, parity=False)

    assert has(report, order_id, "saga", 2, "nobody knows whether confirmation.sent happened, and it is not parked")


async def test_mails_on_a_server_of_the_user_s_own_are_not_looked_for(completed: Past, tmp_path: Path) -> None:
    settings = completed.copy(tmp_path)
    shutil.rmtree(settings.mail_dir)

    outside = await audit_of(completed, settings.model_copy(update={"smtp_url": "smtp://mail.example.com:25"}))
    loopback = settings.model_copy(update={"smtp_url": "smtp://127.0.0.1:25"})
    not_ours = await audit_of(completed, loopback)
    settings.mail_dir.mkdir()
    ours = await audit_of(completed, loopback)

    assert outside.violations == []
    assert not_ours.violations == []
    assert len(ours.violations) == 4  # two customers in two styles


async def test_a_guest_who_was_written_to_is_found(completed: Past, tmp_path: Path) -> None:
    settings, guest = completed.copy(tmp_path), completed.orders[1]
    insert_effect(settings, "marketing", guest, "saga", "confirmation.sent")

    report = await audit_of(completed, settings)

    assert has(report, guest.order_id, "saga", 1, "confirmation.sent is recorded, which this order gives no reason for")


async def test_an_undoing_of_what_never_happened_is_found(completed: Past, tmp_path: Path) -> None:
    settings, guest = completed.copy(tmp_path), completed.orders[1]
    insert_effect(settings, "marketing", guest, "choreography", "cancellation.sent")

    report = await audit_of(completed, settings)

    what = "cancellation.sent is recorded, but never confirmation.sent"
    assert has(report, guest.order_id, "choreography", 1, what)


async def test_effects_of_an_order_that_nobody_placed_are_found(completed: Past, tmp_path: Path) -> None:
    settings = completed.copy(tmp_path)
    stranger = completed.order.model_copy(update={"order_id": "never-placed"})
    insert_effect(settings, "shipping", stranger, "saga", "shipment.created")

    everything = await audit_of(completed, settings)
    others = await audit_of(completed, settings, order_ids=[completed.order.order_id])

    assert has(everything, "never-placed", "saga", 1, "no such order was placed")
    assert others.violations == []


async def test_effects_of_an_order_that_the_server_has_forgotten_by_now_are_no_violation(
    completed: Past, tmp_path: Path
) -> None:
    settings = completed.copy(tmp_path)
    insert_effect(
        settings, "shipping", completed.order.model_copy(update={"order_id": "long-ago"}), "saga", "shipment.created"
    )
    change(settings, "shipping", "UPDATE effects SET at_us = 0 WHERE order_id = 'long-ago'")

    assert (await audit_of(completed, settings)).violations == []


async def test_what_was_undone_lately_of_an_order_that_the_server_has_forgotten_is_no_violation(
    completed: Past, tmp_path: Path
) -> None:
    settings, long_ago = completed.copy(tmp_path), completed.order.model_copy(update={"order_id": "long-ago"})
    for effect in ("shipment.created", "shipment.cancelled"):
        insert_effect(settings, "shipping", long_ago, "saga", effect)
    change(
        settings,
        "shipping",
        "UPDATE effects SET at_us = 0 WHERE idempotency_key LIKE '%long-ago/shipping/shipment.created'",
    )

    assert (await audit_of(completed, settings)).violations == []


async def test_effects_of_an_order_that_was_cancelled_and_never_placed_are_found(
    changed_minds: Past, tmp_path: Path
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), f"{changed_minds.orders[UNDONE].order_id}-never-placed"
    never = changed_minds.orders[UNDONE].model_copy(update={"order_id": order_id})
    for style in STYLES:
        insert_effect(settings, "invoicing", never, style, "invoice.issued")

    report = await audit_of(changed_minds, settings)

    what = "invoice.issued in the databases, but no such order was placed"
    assert [one for one in report.violations if one.what == what] == [
        Violation(order_id=order_id, style=style, guarantee=1, what=what) for style in sorted(STYLES)
    ]


@pytest.mark.parametrize(
    ("service", "changes", "what"),
    [
        ("invoicing", "UPDATE invoices SET number = 'INV-S-000007' WHERE number = 'INV-S-000001'", "has no number 1,"),
        ("invoicing", "UPDATE number_series SET last = 9 WHERE series = 'INV-C'", "INV-C stands at 9"),
        ("analytics", "UPDATE sales_by_day SET orders = orders + 1 WHERE style = 'saga'", "sales_by_day: saga"),
        ("analytics", "UPDATE sales_by_country SET units = 0 WHERE style = 'saga'", "sales_by_country: saga"),
        ("analytics", "DELETE FROM sales_by_product WHERE style = 'choreography'", "sales_by_product: choreography"),
    ],
)
async def test_numbers_with_a_gap_and_figures_that_do_not_add_up_are_found(
    completed: Past, tmp_path: Path, service: str, changes: str, what: str
) -> None:
    settings = completed.copy(tmp_path)
    change(settings, service, changes)

    report = await audit_of(completed, settings, order_ids=[])

    assert {(one.order_id, one.style, one.guarantee) for one in report.violations} == {("*", None, 1)}
    assert any(what in one.what for one in report.violations)


async def test_a_number_that_was_given_twice_is_found(completed: Past, tmp_path: Path) -> None:
    settings = completed.copy(tmp_path)
    without_constraints(settings, "invoicing", "invoices")
    change(settings, "invoicing", "UPDATE invoices SET number = 'INV-S-000001' WHERE number = 'INV-S-000002'")

    report = await audit_of(completed, settings, order_ids=[])

    assert has(report, "*", None, 1, "INV-S has 1 more than once")


# Guarantee 2


@pytest.mark.parametrize("style", STYLES)
async def test_an_effect_that_is_missing_is_found(completed: Past, tmp_path: Path, style: Style) -> None:
    settings, order_id = completed.copy(tmp_path), completed.order.order_id
    change(
        settings,
        "shipping",
        "DELETE FROM effects WHERE MINE",
        "DELETE FROM shipment_lines WHERE shipment_id = (SELECT id FROM shipments WHERE MINE)",
        "DELETE FROM handovers WHERE shipment_id = (SELECT id FROM shipments WHERE MINE)",
        "DELETE FROM shipments WHERE MINE",
        style=style,
        order_id=order_id,
    )

    report = await audit_of(completed, settings, parity=False)

    assert [(one.order_id, one.style, one.guarantee) for one in report.violations] == [(order_id, style, 2)]
    assert "shipment.created never happened" in report.violations[0].what


@pytest.mark.parametrize("style", STYLES)
async def test_an_effect_that_is_left_of_a_cancelled_order_is_found(
    cancelled: Past, tmp_path: Path, style: Style
) -> None:
    settings, order_id = cancelled.copy(tmp_path), cancelled.order.order_id
    change(
        settings,
        "invoicing",
        "DELETE FROM effects WHERE MINE AND effect = 'credit_note.issued'",
        "DELETE FROM credit_notes WHERE invoice = (SELECT number FROM invoices WHERE MINE)",
        style=style,
        order_id=order_id,
    )

    report = await audit_of(cancelled, settings)

    assert has(report, order_id, style, 2, "invoice.issued is left of a cancelled order")
    assert has(report, order_id, None, 3, "invoice.issued: ")


@pytest.mark.parametrize("style", STYLES)
async def test_what_else_is_left_is_found_where_one_compensation_gave_up(
    in_attention: Past, tmp_path: Path, style: Style
) -> None:
    settings, order_id = in_attention.copy(tmp_path), in_attention.order.order_id
    change(
        settings,
        "marketing",
        "DELETE FROM effects WHERE MINE AND effect = 'cancellation.sent'",
        style=style,
        order_id=order_id,
    )

    report = await audit_of(in_attention, settings)

    assert has(report, order_id, style, 2, "confirmation.sent is left of a cancelled order")


@pytest.mark.parametrize("style", STYLES)
async def test_a_completed_order_of_which_a_part_was_undone_is_found(
    completed: Past, tmp_path: Path, style: Style
) -> None:
    settings, order_id = completed.copy(tmp_path), completed.order.order_id
    insert_effect(settings, "analytics", completed.order, style, "sale.reversed")

    report = await audit_of(completed, settings)

    assert has(report, order_id, style, 2, "shipment.created is left of a cancelled order")


@pytest.mark.parametrize("style", STYLES)
async def test_an_order_that_misses_something_which_is_not_parked_is_found(
    parked: Past, tmp_path: Path, style: Style
) -> None:
    settings, order_id = parked.copy(tmp_path), parked.order.order_id
    change(settings, "analytics", "DELETE FROM effects WHERE MINE", style=style, order_id=order_id)

    report = await audit_of(parked, settings)

    assert has(report, order_id, style, 2, "sale.recorded never happened, and is not parked")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("listed", [{"analytics"}, {"analytics", "marketing"}])
async def test_a_dead_letter_queue_that_lists_others_than_those_who_gave_up_is_found(
    parked: Past, style: Style, listed: set[str]
) -> None:
    order = await read(parked, style)
    otherwise = replace(order, runs=(replace(order.last, parked=frozenset(listed)),))

    found = ending_violations(otherwise, read_books(parked.lab.settings))

    assert f"marketing gave up, but {', '.join(sorted(listed))} is listed as parked" in found


async def test_an_order_whose_workflow_says_otherwise_than_the_databases_is_found(
    cancelled: Past, tmp_path: Path
) -> None:
    settings, order, deleted = cancelled.copy(tmp_path), cancelled.order, "DELETE FROM effects WHERE MINE"
    for style in STYLES:
        for service, effects in {
            "shipping": "effect = 'shipment.created'",  # its key was closed, as it never happened
            "invoicing": "effect = 'credit_note.issued'",
            "marketing": "effect IN ('cancellation.sent', 'campaign.rejoined')",
            "analytics": "effect = 'sale.reversed'",
        }.items():
            change(settings, service, f"{deleted} AND {effects}", style=style, order_id=order.order_id)
        insert_effect(settings, "shipping", order, style, "shipment.created")

    report = await audit_of(cancelled, settings)

    what = "its workflow says cancelled, the databases say completed"
    found = [(one.order_id, one.style, one.guarantee) for one in report.violations if one.what.startswith(what)]
    assert found == [(order.order_id, "choreography", 2), (order.order_id, "saga", 2)]


async def test_an_order_that_does_not_move_is_found(labs: Labs, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal, "PATIENCE_S", 0.3)
    async with labs(absent=["saga", "shipping"]) as lab:
        for style in STYLES:
            await lab.placer.place(order, style)
        report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])

    assert report.checked == 2
    assert has(report, order.order_id, "saga", 2, "stuck: its workflow is open with a workflow task under way")
    assert has(report, order.order_id, "choreography", 2, "stuck: its workflow is open with shipping.on_order_placed")


async def test_an_order_whose_workflow_was_terminated_is_found(labs: Labs, order: Order) -> None:
    async with labs(absent=["saga", "bus"]) as lab:
        for style in STYLES:
            await lab.placer.place(order, style)
            await lab.client.get_workflow_handle(workflow_id(style, order.order_id)).terminate()
        report = await audit(lab.client, lab.settings, lab.name, order_ids=[order.order_id])

    assert [(one.order_id, one.style, one.guarantee, one.what) for one in report.violations] == [
        (order.order_id, style, 2, f"its workflow was terminated: `orderlab repair {order.order_id}` finishes it")
        for style in sorted(STYLES)
    ]


async def test_an_order_whose_workflow_was_terminated_is_in_order_again_when_a_cancellation_has_undone_it(
    labs: Labs, order: Order
) -> None:
    async with labs(absent=["invoicing"], fakes=[failing(THANKING[1])]) as lab:
        for style in STYLES:
            await lab.placer.place(order, style)
            await until(lambda style=style: "shipment.created" in lab.effects(order, style))  # type: ignore[misc]
            await lab.client.get_workflow_handle(workflow_id(style, order.order_id)).terminate()
        broken = await audit(lab.client, lab.settings, lab.name, parity=False)
        async with hosting(lab.client, ["invoicing"], lab.settings, lab.name):
            for style in STYLES:
                await cancel(lab, order, style)
            healed = await audit(lab.client, lab.settings, lab.name)

    assert ["its workflow was terminated" in one.what for one in broken.violations] == [True] * 2
    assert healed == AuditReport(checked=2, violations=[])


async def test_an_order_whose_cancellation_was_terminated_is_found(labs: Labs, order: Order) -> None:
    async with labs(fakes=[failing("analytics.reverse_sale")]) as lab:
        await lab.run(order, "saga")
        await cancel(lab, order, "saga")
        await lab.client.get_workflow_handle(workflow_id("saga", order.order_id)).terminate()
        report = await audit(lab.client, lab.settings, lab.name)

    assert has(report, order.order_id, "saga", 2, "its workflow was terminated")


@pytest.mark.parametrize("style", STYLES)
async def test_an_order_that_was_kept_though_shipping_has_accepted_its_cancellation_is_found(
    completed: Past, parked: Past, tmp_path: Path, style: Style
) -> None:
    for case, state in ((completed, "completed"), (parked, "parked")):
        (tmp_path / state).mkdir()
        settings = case.copy(tmp_path / state)
        decide(settings, case.order, style, accepted=True)

        report = await audit_of(case, settings)

        what = f"shipping has accepted its cancellation, but it is {state}"
        assert has(report, case.order.order_id, style, 2, what)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("which", "changes", "what"),
    [
        (UNDONE, "UPDATE cancellations SET accepted = 0", "nothing critical failed, and shipping has refused that"),
        (UNDONE, "DELETE FROM cancellations", "nothing critical failed, and shipping has never decided that"),
        (LATE, "DELETE FROM cancellations", "nothing critical failed, and shipping has never decided that"),
        (REFUSED, "UPDATE cancellations SET accepted = 1", "accepted its cancellation, but it is completed"),
        (
            REFUSED,
            "UPDATE cancellations SET accepted = 1",
            "told that cancelling is refused, which shipping has accepted",
        ),
        (REFUSED, "DELETE FROM cancellations", "told that cancelling is refused, which shipping has never decided"),
    ],
)
async def test_an_order_or_an_answer_that_is_not_as_shipping_decided_is_found(  # noqa: PLR0913, PLR0917 - parameters
    changed_minds: Past, tmp_path: Path, style: Style, which: int, changes: str, what: str
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[which].order_id
    change(settings, "shipping", f"{changes} WHERE MINE", style=style, order_id=order_id)

    report = await audit_of(changed_minds, settings)

    assert has(report, order_id, style, 2, what)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ("UPDATE cancellations SET accepted = 0", "told that cancelling is accepted, which shipping has refused"),
        ("DELETE FROM cancellations", "told that cancelling is accepted, which shipping has never decided"),
    ],
)
async def test_an_acceptance_on_the_bus_that_is_not_shipping_s_is_found_whatever_became_of_the_order(
    changed_minds: Past, tmp_path: Path, changes: str, what: str
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[UNDONE].order_id
    change(settings, "shipping", f"{changes} WHERE MINE", style="choreography", order_id=order_id)

    report = await audit_of(changed_minds, settings)

    assert has(report, order_id, "choreography", 2, what)


async def test_a_cancellation_that_let_itself_be_cancelled_is_found(changed_minds: Past) -> None:
    order = await read(changed_minds, "saga", UNDONE)
    stopped = replace(order, runs=(*order.runs[:-1], replace(order.last, closed="cancelled", stopped=True)))

    found = ending_violations(stopped, read_books(changed_minds.lab.settings))

    repair = f"`orderlab repair {order.key.order_id}` finishes it"
    assert found == [f"its workflow was cancelled: {repair}"]


async def test_a_run_that_a_person_has_reset_does_its_work_once_more_and_any_other_must_not(completed: Past) -> None:
    order = await read(completed, "choreography")
    run = replace(order.last, collected=(Fact("/desk", "t-1", "ticket.created", None),))  # it goes on with a log
    reset = replace(run, run_id="reset", reset_of=run.run_id, does_again=True)
    asks_anew = replace(reset, does_again=False)
    other = replace(run, run_id="another")

    assert sequence_violations((run, reset)) == []
    for follows in (asks_anew, other):
        assert any("again, though it had handled it" in what for what in sequence_violations((run, follows)))


def test_only_an_update_that_cancels_counts_as_a_customer_s_wish() -> None:
    events = recorded("saga-refused")
    wish = read_run(events)
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            event.workflow_execution_update_accepted_event_attributes.accepted_request.input.name = "another"
    another = read_run(events)

    assert (wish.asked, wish.answers) == (True, (False,))
    assert (another.asked, another.answers) == (False, ())


@pytest.mark.parametrize("told", [True, False])
async def test_a_saga_that_answered_without_asking_shipping_and_kept_the_order_is_found(
    completed: Past, told: bool
) -> None:
    order = await read(completed, "saga")
    answered = replace(order, runs=(replace(order.last, asked=True, answers=(told,)),))

    found = ending_violations(answered, read_books(completed.lab.settings))

    named = "accepted" if told else "refused"
    assert found == [f"the customer was told that cancelling is {named}, which shipping has never decided"]


async def test_an_order_that_was_asked_for_and_is_nowhere_is_found(completed: Past) -> None:
    report = await audit_of(completed, order_ids=["lost"])

    assert report.violations == [
        Violation(order_id="lost", style=None, guarantee=2, what="it was placed in neither style")
    ]


# Guarantee 3


async def test_a_state_that_differs_between_the_styles_is_found(labs: Labs, order: Order) -> None:
    other = order.model_copy(update={"lines": order.lines[:1], "country": "Norway"})
    async with labs() as lab:
        await lab.run(order, "saga")
        await lab.run(other, "choreography")
        report = await audit(lab.client, lab.settings, lab.name)
        without = await audit(lab.client, lab.settings, lab.name, parity=False)

    differing = [one.what.split(":", maxsplit=1)[0] for one in report.violations]
    assert differing == ["invoice.issued", "sale.recorded", "shipment.created"]
    assert {(one.order_id, one.style, one.guarantee) for one in report.violations} == {(order.order_id, None, 3)}
    assert without.violations == []


async def test_a_state_that_differs_is_found_where_both_styles_were_told_of_the_cancellation_before_the_order(
    changed_minds: Past, tmp_path: Path
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[LATE].order_id
    change(
        settings,
        "shipping",
        "INSERT INTO shipments (style, order_id, status, country) VALUES (:style, :order_id, 'preparing', 'Norway')",
        style="saga",
        order_id=order_id,
    )

    report = await audit_of(changed_minds, settings)

    assert has(report, order_id, None, 3, "shipment.created: ")


async def test_a_state_that_differs_is_found_also_where_a_customer_wanted_to_cancel_and_was_refused(
    changed_minds: Past, tmp_path: Path
) -> None:
    settings, order_id = changed_minds.copy(tmp_path), changed_minds.orders[REFUSED].order_id
    change(
        settings,
        "analytics",
        "DELETE FROM effects WHERE MINE",
        "DELETE FROM sales WHERE MINE",
        "DELETE FROM sold_products WHERE MINE",
        style="saga",
        order_id=order_id,
    )

    report = await audit_of(changed_minds, settings)

    assert has(report, order_id, None, 3, "sale.recorded: nothing in the saga")


async def test_a_refused_request_excuses_no_difference_and_an_accepted_or_undecided_one_does(
    changed_minds: Past,
) -> None:
    books = read_books(changed_minds.lab.settings)
    saga, choreography = [await read(changed_minds, style, REFUSED) for style in STYLES]
    undone = await read(changed_minds, "saga", UNDONE)

    assert must_end_alike(saga, choreography, books)
    assert not must_end_alike(undone, choreography, books)
    assert not must_end_alike(saga, choreography, Books({}))


async def test_an_order_of_the_longest_id_and_customer_number_whose_mails_have_folded_headers_is_not_accused(
    labs: Labs, order: Order
) -> None:
    longest = order.model_copy(update={"order_id": order.order_id.ljust(80, "O"), "customer_id": "c" * 64})
    async with labs() as lab:
        for style in STYLES:
            await lab.placer.place(longest, style)
            await ended(lab, longest, style)
        kept = await audit(lab.client, lab.settings, lab.name)
        for style in STYLES:
            await cancel(lab, longest, style)
        undone = await audit(lab.client, lab.settings, lab.name)
        mails = len(list(lab.settings.mail_dir.glob("*.eml")))

    assert mails == 4
    assert kept == undone == AuditReport(checked=2, violations=[])


async def test_a_state_that_differs_by_the_moment_of_a_cancellation_is_no_violation(
    labs: Labs, fresh_orders: Callable[[int], list[Order]]
) -> None:
    late, undone, bus_only = fresh_orders(3)
    async with labs() as lab:
        await cancel(lab, late, "saga")
        for order in (late, undone, bus_only):
            for style in STYLES:
                await lab.placer.place(order, style)
                await ended(lab, order, style)
        await cancel(lab, undone, "saga")
        await cancel(lab, bus_only, "choreography")
        report = await audit(lab.client, lab.settings, lab.name)

    assert report == AuditReport(checked=6, violations=[])


async def test_an_order_that_services_began_before_they_heard_of_its_earlier_cancellation_need_not_end_as_its_saga(
    labs: Labs, order: Order
) -> None:
    never_reversed = FaultPlan.model_validate(
        {"name": "never reversed", "services": {"analytics": {"sale.reversed": {"permanent": 1}}}}
    )
    shipping = holding("shipping.on_cancel_requested")
    async with labs(fakes=[shipping], absent=["bus"]) as lab:
        placer = Placer(lab.client, lab.name, Dice(plan=never_reversed, seed=1))
        await cancel(lab, order, "saga")
        async with hosting(lab.client, ["bus"], lab.settings, lab.name):
            asked = asyncio.create_task(placer.canceller.cancel(order.order_id, "choreography"))
            await asyncio.to_thread(shipping.begun.wait, 30)
        shipping.released.set()
        # shipping has answered, and before the bus hears of that, it hears of the order
        await until(lambda: bool(read_books(lab.settings).of("cancellations", Key("choreography", order.order_id))))
        for style in STYLES:
            await placer.place(order, style)
        async with hosting(lab.client, ["bus"], lab.settings, lab.name):
            await asked
            for style in STYLES:
                await ended(lab, order, style)
        report = await audit(lab.client, lab.settings, lab.name)
        recorded_in = [record.style for record in all_effects(lab.settings) if record.effect == "sale.recorded"]

    assert recorded_in == ["choreography"]
    assert report == AuditReport(checked=2, violations=[])


async def test_a_saga_that_temporal_cancelled_need_not_end_as_the_choreography_does(labs: Labs, order: Order) -> None:
    async with labs(absent=["saga"]) as lab:
        await lab.placer.place(order, "saga")
        await lab.client.get_workflow_handle(workflow_id("saga", order.order_id)).cancel()
        async with hosting(lab.client, ["saga"], lab.settings, lab.name):
            await ended(lab, order, "saga")
        await lab.run(order, "choreography")
        await until_listed(lab.client, workflow_id("saga", order.order_id))  # it left no effect to find it by
        report = await audit(lab.client, lab.settings, lab.name)

    assert report == AuditReport(checked=2, violations=[])


async def test_a_saga_that_temporal_would_have_cancelled_too_late_must_end_as_the_choreography_does(
    completed: Past,
) -> None:
    saga, choreography = [await read(completed, style) for style in STYLES]
    stopped = replace(saga, runs=(replace(saga.last, stopped=True),))

    assert must_end_alike(stopped, choreography, read_books(completed.lab.settings))


# Guarantee 4


def recorded(name: str) -> list[HistoryEvent]:
    return list(WorkflowHistory.from_json(name, (HISTORIES / f"{name}.json").read_text(encoding="utf-8")).events)


def handing(events: list[HistoryEvent], activity_type: str) -> HistoryEvent:
    """The first time that this work was handed over."""
    return next(e for e in events if e.activity_task_scheduled_event_attributes.activity_type.name == activity_type)


def ending(events: list[HistoryEvent], handed: HistoryEvent) -> HistoryEvent:
    """How it ended."""
    return next(
        event
        for event in events
        if handed.event_id
        in {
            event.activity_task_completed_event_attributes.scheduled_event_id,
            event.activity_task_failed_event_attributes.scheduled_event_id,
        }
    )


def postponed(events: list[HistoryEvent]) -> None:
    """Shipping hears of the failure first, and of the order afterwards."""
    placed, failed = (handing(events, f"shipping.{handler}") for handler in ("on_order_placed", "on_order_cancelled"))
    late = [placed, ending(events, placed)]
    for event in late:
        events.remove(event)
    after = events.index(ending(events, failed)) + 1
    events[after:after] = late


def overlapping(events: list[HistoryEvent]) -> None:
    """Shipping hears of the failure while it is still at the order."""
    placed, failed = (handing(events, f"shipping.{handler}") for handler in ("on_order_placed", "on_order_cancelled"))
    late = ending(events, placed)
    events.remove(late)
    events.insert(events.index(failed) + 1, late)


def forgotten(events: list[HistoryEvent]) -> None:
    """Shipping never hears of the failure."""
    handed = handing(events, "shipping.on_order_cancelled")
    events.remove(ending(events, handed))
    events.remove(handed)


def redriven_for_nothing(events: list[HistoryEvent]) -> None:
    """Marketing is handed the order again, though it succeeded the first time."""
    handed = handing(events, "marketing.on_order_placed")
    failed = ending(events, handed)
    failed.ClearField("activity_task_failed_event_attributes")
    failed.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    failed.activity_task_completed_event_attributes.scheduled_event_id = handed.event_id


def misled(events: list[HistoryEvent]) -> None:
    """Analytics is handed the order by a handler that did not subscribe to it."""
    handed = handing(events, "analytics.on_order_placed")
    handed.activity_task_scheduled_event_attributes.activity_type.name = "analytics.on_something_else"


def credulous(events: list[HistoryEvent]) -> None:
    """The bus hands out that invoicing gave up, though it was marketing that told so."""
    start = events[0].workflow_execution_started_event_attributes.input.payloads[0]
    start.data = json.dumps({**json.loads(start.data), "keeps_who_told": True}).encode()
    really, told = (f'"source":"orderlab/{it}","type":"invoice.failed"'.encode() for it in ("marketing", "invoicing"))
    for event in events:
        handed = event.activity_task_scheduled_event_attributes.input.payloads
        answered = event.activity_task_completed_event_attributes.result.payloads
        for payload in (*handed, *answered):
            payload.data = payload.data.replace(told, really)


@pytest.mark.parametrize("name", [file.stem for file in sorted(HISTORIES.glob("choreography-*.json"))])
def test_recorded_buses_hand_over_in_sequence_also_after_a_redrive(name: str) -> None:
    assert sequence_violations([read_run(recorded(name))]) == []


def test_a_bus_goes_on_in_sequence_after_a_later_event() -> None:
    runs = [read_run(recorded(name)) for name in ("choreography-guest", "choreography-later-event")]

    assert sequence_violations(runs) == []


@pytest.mark.parametrize(
    ("name", "doctor", "what"),
    [
        ("choreography-cancelled", postponed, "shipping.on_order_cancelled) before"),
        ("choreography-cancelled", overlapping, "shipping.on_order_cancelled) while it was at"),
        ("choreography-cancelled", forgotten, "shipping was never handed"),
        ("choreography-parked", redriven_for_nothing, "again, though it had handled it"),
        ("choreography-completed", misled, "which did not go to it"),
        ("choreography-cancelled", credulous, "on_order_cancelled), which did not go to it"),
    ],
)
def test_a_bus_that_breaks_the_sequence_is_found(
    name: str, doctor: Callable[[list[HistoryEvent]], None], what: str
) -> None:
    events = recorded(name)
    doctor(events)

    found = sequence_violations([read_run(events)])

    assert what in found[0]


def skipping(events: list[HistoryEvent], *, supersedes: str | None, content: str) -> None:
    """Marketing is never handed the order; its handler of the cancellation, of this content, makes that pointless."""
    placed = handing(events, "marketing.on_order_placed")
    for event in (placed, ending(events, placed)):
        events.remove(event)
    hears, also = '"handler":"marketing.on_order_cancelled"', f'"supersedes":{json.dumps(supersedes)}'
    for event in events:
        for payload in event.activity_task_completed_event_attributes.result.payloads:
            text = payload.data.decode().replace(hears, f"{hears},{also}")
            cancelled = '"type":"order.cancelled"'
            payload.data = text.replace(cancelled, f'{cancelled},"ordercontent":{content}').encode()


@pytest.mark.parametrize(
    ("supersedes", "content", "is_found"),
    [("marketing.on_order_placed", "null", False), (None, "null", True), ("marketing.on_order_placed", '"b"', True)],
    ids=["pointless", "not pointless", "about another order"],
)
def test_only_what_a_later_event_makes_pointless_may_be_passed_by(
    supersedes: str | None, content: str, *, is_found: bool
) -> None:
    events = recorded("choreography-called-off")
    skipping(events, supersedes=supersedes, content=content)

    assert bool(sequence_violations([read_run(events)])) is is_found


@workflow.defn(name="EventBus")
class HastyBus:
    """A bus that continues as new at once, then hands the event to shipping twice at a time, and to nobody else."""

    @workflow.init
    def __init__(self, start: dict[str, Any]) -> None:
        self._pending: list[dict[str, Any]] = start["pending"]
        self._is_first_run = not self._pending

    @workflow.run
    async def run(self, start: dict[str, Any]) -> None:  # noqa: ARG002 - taken by __init__
        await workflow.wait_condition(lambda: bool(self._pending))
        event, to = self._pending[0]["event"], self._pending[0]["recipients"][0]
        if self._is_first_run:
            workflow.continue_as_new({"log": {"entries": [{"id": event["id"]}]}, "pending": self._pending})
        window = timedelta(seconds=30)
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    to["handler"], event, task_queue=to["task_queue"], start_to_close_timeout=window
                )
                for _ in range(2)
            )
        )

    @workflow.signal
    def publish(self, routed: dict[str, Any]) -> None:
        self._pending.append(routed)


async def test_a_bus_that_hands_over_twice_at_once_is_found_on_a_real_server(
    labs: Labs, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with labs(absent=["bus"]) as lab:
        bus = Worker(
            lab.client,
            task_queue=task_queue("bus", lab.name),
            workflows=[HastyBus],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with bus:
            await lab.placer.place(order, "choreography")
            await lab.client.get_workflow_handle(workflow_id("choreography", order.order_id)).result()
        report = await audit(lab.client, lab.settings, lab.name)
    key = Key("choreography", order.order_id)
    runs: Sequence[str] = ()
    async with asyncio.timeout(20):
        while len(runs) < 2:  # the list of workflows follows a moment later
            runs = (await temporal.TemporalReader(lab.client, lab.name).listed()).get(key, ())
    for listed in runs:
        monkeypatch.setattr(temporal.TemporalReader, "listed", AsyncMock(return_value={key: [listed]}))
        assert await audit(lab.client, lab.settings, lab.name) == report

    assert report.checked == 1
    assert has(report, order.order_id, "choreography", 4, "while it was at")
    assert [one.guarantee for one in report.violations if "never happened" in one.what] == [2, 2, 2, 2]
    assert {one.guarantee for one in report.violations} == {2, 4}  # the ledger kept the effect from happening twice


# The auditor itself


def test_the_auditor_shares_nothing_with_what_it_judges_but_the_tables() -> None:
    allowed = {"runtime.settings", "runtime.errors", "stores"}
    ours = {path.name for path in PROJECT.iterdir() if (path / "__init__.py").exists()} - {"lab"}
    for file in (PROJECT / "lab" / "audit").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                assert module in allowed or module.split(".")[0] not in ours, file
                assert module.startswith("lab.audit") or not module.startswith("lab"), file
                if module == "stores":
                    assert {name.name for name in node.names} == {service.name for service in SERVICES}
            elif isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & ours, file
