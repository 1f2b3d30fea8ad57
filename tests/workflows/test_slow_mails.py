"""Orders whose mail server takes its time, in both styles, on a real Temporal server."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client

from events.envelope import Event
from events.log import OrderState
from events.transport import EventPublisher
from lab.audit import AuditReport, audit
from lab.cancelling import Canceller
from lab.effects import all_effects
from lab.placing import Placed
from lab.runs import workflow_id
from lab.status import end_of, status_of
from orders.model import STYLES, Order, Style
from services.order_placed import registry
from services.service import task_queue
from tests.labs import Lab, Labs, open_lab
from tests.mail_servers import SlowServer

BOTH = pytest.mark.parametrize("style", STYLES)


@pytest.fixture
def slow() -> Iterator[SlowServer]:
    with SlowServer().running() as server:
        server.answers.clear()
        server.slow_to = "Your order"
        yield server


async def marketing_at_work(client: Client, order: Order, style: Style) -> PendingActivityInfo | None:
    """What the server knows of the attempt that marketing is at."""
    described = await client.get_workflow_handle(workflow_id(style, order.order_id)).describe()
    pending = described.raw_description.pending_activities
    return next((one for one in pending if one.activity_type.name.startswith("marketing.")), None)


async def until_it_failed(client: Client, order: Order, style: Style) -> None:
    """Wait until an attempt of marketing has failed, and the next one waits."""
    async with asyncio.timeout(30):
        while True:
            work = await marketing_at_work(client, order, style)
            if work is not None and work.HasField("last_failure"):
                return
            await asyncio.sleep(0.05)


async def until_it_beats(client: Client, order: Order, style: Style, *, after_s: float) -> PendingActivityInfo:
    """Wait until marketing has told that it is still at it, so long after it began."""
    async with asyncio.timeout(30):
        while True:
            work = await marketing_at_work(client, order, style)
            if work is not None and work.HasField("last_heartbeat_time"):
                began, beat = (
                    datetime.fromtimestamp(at.ToMicroseconds() / 1e6)  # noqa: DTZ006 - only compared
                    for at in (work.last_started_time, work.last_heartbeat_time)
                )
                if beat - began >= timedelta(seconds=after_s):
                    return work
            await asyncio.sleep(0.05)


async def ended(lab: Lab, order: Order, style: Style) -> OrderState | None:
    await asyncio.wait_for(end_of(lab.client, Placed(style, order.order_id, known=True), look_every_s=0.1), 30)
    status = await status_of(lab.client, style, order.order_id)
    assert status is not None
    return status.state


@BOTH
async def test_a_mail_that_takes_longer_than_a_killed_worker_is_waited_for_goes_out_once(
    labs: Labs, slow: SlowServer, order: Order, style: Style
) -> None:
    async with labs(smtp_url=slow.url) as lab:
        await lab.placer.place(order, style)
        work = await until_it_beats(lab.client, order, style, after_s=5.1)
        slow.answers.set()
        state = await ended(lab, order, style)
        report = await audit(lab.client, lab.settings, lab.name)

    assert work.attempt == 1
    assert state is OrderState.COMPLETED
    assert slow.subjects == [f"Your order {order.order_id}"]
    assert report == AuditReport(checked=1, violations=[])


@BOTH
async def test_an_order_cancelled_while_its_mail_is_sent_waits_for_no_mail_server(
    labs: Labs, slow: SlowServer, order: Order, style: Style
) -> None:
    slow.slow_to = f"Your order {order.order_id}"
    async with labs(smtp_url=slow.url) as lab:
        await lab.placer.place(order, style)
        await until_it_beats(lab.client, order, style, after_s=1)
        slow.slow_to = "nothing any more"  # but the confirmation still waits
        answer = await Canceller(lab.client, lab.name).cancel(order.order_id, style)
        state = await ended(lab, order, style)
        before_the_answer = not slow.answers.is_set()
        report = await audit(lab.client, lab.settings, lab.name)
        effects = lab.effects(order, style)

    assert answer.accepted
    assert before_the_answer
    assert state is OrderState.CANCELLED
    assert slow.subjects == [f"Your order {order.order_id}", f"Your order {order.order_id} was cancelled"]
    assert {"confirmation.sent", "cancellation.sent"} <= set(effects)
    assert report == AuditReport(checked=1, violations=[])


@BOTH
async def test_an_order_cancelled_while_its_mail_is_sent_is_told_once_the_mail_is_out_if_that_is_soon(
    labs: Labs, slow: SlowServer, order: Order, style: Style
) -> None:
    async with labs(smtp_url=slow.url) as lab:
        await lab.placer.place(order, style)
        await until_it_beats(lab.client, order, style, after_s=1)
        answer = await Canceller(lab.client, lab.name).cancel(order.order_id, style)
        told_early = len(slow.mails) > 1
        slow.answers.set()
        state = await ended(lab, order, style)
        report = await audit(lab.client, lab.settings, lab.name)
        certain = {record.effect: record.certain for record in all_effects(lab.settings, order.order_id)}

    assert answer.accepted
    assert not told_early
    assert certain["confirmation.sent"]
    assert state is OrderState.CANCELLED
    assert slow.subjects == [f"Your order {order.order_id}", f"Your order {order.order_id} was cancelled"]
    assert report == AuditReport(checked=1, violations=[])


@BOTH
async def test_an_order_cancelled_while_its_mail_may_be_out_is_undone_at_once(
    labs: Labs, slow: SlowServer, order: Order, style: Style
) -> None:
    slow.answers.set()
    slow.closes = True
    async with labs(smtp_url=slow.url) as lab:
        await lab.placer.place(order, style)
        await until_it_failed(lab.client, order, style)
        slow.closes = False
        await Canceller(lab.client, lab.name).cancel(order.order_id, style)
        state = await ended(lab, order, style)
        report = await audit(lab.client, lab.settings, lab.name)

    assert state is OrderState.CANCELLED
    assert slow.subjects == [f"Your order {order.order_id}", f"Your order {order.order_id} was cancelled"]
    assert report == AuditReport(checked=1, violations=[])


async def until_it_knows_that_it_is_called_off(client: Client, order: Order) -> None:
    """Wait until marketing has been told: it is, with the answer to a heartbeat."""
    asked: Timestamp | None = None
    async with asyncio.timeout(30):
        while True:
            work = await marketing_at_work(client, order, "choreography")
            if work is not None and work.state == PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED:
                if asked is not None and work.last_heartbeat_time != asked:
                    return
                asked = asked or work.last_heartbeat_time
            await asyncio.sleep(0.05)


async def test_a_mail_that_lasts_while_a_new_run_is_due_is_awaited_for_a_while_and_known_to_be_out(
    impatient_client: Client, slow: SlowServer, order: Order, tmp_path: Path
) -> None:
    async with open_lab(impatient_client, tmp_path / "long-mail", smtp_url=slow.url) as lab:
        await lab.placer.place(order, "choreography")
        await until_it_beats(lab.client, order, "choreography", after_s=1)
        publisher = EventPublisher(lab.client, registry(lab.name), lab=lab.name, task_queue=task_queue("bus", lab.name))
        for number in range(60):
            noted = Event(
                id=str(number), source="/erp", type="note.taken", subject=order.order_id, time=datetime.now(UTC)
            )
            await publisher.publish(noted)
        await until_it_knows_that_it_is_called_off(lab.client, order)
        slow.answers.set()
        state = await ended(lab, order, "choreography")
        report = await audit(lab.client, lab.settings, lab.name)

    assert state is OrderState.COMPLETED
    assert slow.subjects == [f"Your order {order.order_id}"]
    assert report.violations == []
