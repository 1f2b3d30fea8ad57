"""Both styles over hours and days, on a server whose clock jumps over the times in which nothing is under way.

All else is as it is: workflows, activities, databases, the mail server, and each service's own policy.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError

from events.bus import REDRIVE
from events.log import OrderState
from hosting.workers import hosting
from lab.placing import Placed
from lab.status import OrderStatus, end_of, status_of
from orders.model import STYLES, Order, Style
from runtime.attempts import AttemptPolicy
from runtime.errors import NoServerError
from runtime.search import PARKED
from services.analytics import RECORD_SALE
from services.invoicing import ISSUE_INVOICE
from services.marketing import THANK_CUSTOMER
from services.order_placed import SERVICES
from services.shipping import BEGIN_FULFILMENT, CANCEL_SHIPMENT, ON_ORDER_CANCELLED, SHIPPING
from tests.labs import Activity, Lab, failing, in_place_of, open_lab
from tests.time_skipping import SkippingServer, find_skipping_server, open_skipping_server

STEPS: dict[Style, dict[str, str]] = {
    "saga": {
        step.service.name: step.activity for step in (BEGIN_FULFILMENT, ISSUE_INVOICE, THANK_CUSTOMER, RECORD_SALE)
    },
    "choreography": {service.name: f"{service.name}.on_order_placed" for service in SERVICES},
}
"""Activity type of what each service does for an order."""

CALL_OFF: dict[Style, str] = {"saga": CANCEL_SHIPMENT.activity, "choreography": ON_ORDER_CANCELLED}

FORWARD = ["campaign.left", "confirmation.sent", "invoice.issued", "sale.recorded", "shipment.created"]
ALL_BUT_MARKETING = ["invoice.issued", "sale.recorded", "shipment.created"]
ALL_UNDONE_BUT_SHIPPING = [
    *("campaign.left", "campaign.rejoined", "cancellation.sent", "confirmation.sent"),
    *("credit_note.issued", "invoice.issued", "sale.recorded", "sale.reversed"),
]

WINDOW = {service.name: timedelta(seconds=service.attempts.window_s) for service in SERVICES}
PAUSE = timedelta(minutes=10)
ALMOST = timedelta(seconds=1)
LIMIT_S = 60
"""Of real time, for whatever is waited for."""

pytestmark = pytest.mark.parametrize("style", STYLES)


@pytest.fixture(scope="session")
async def skipping_command() -> list[str]:
    try:
        return await asyncio.to_thread(find_skipping_server)
    except NoServerError as error:
        pytest.skip(f"The time-skipping server can't be had here: {error}")


@pytest.fixture
async def skipping_server(skipping_command: list[str], tmp_path: Path) -> AsyncIterator[SkippingServer]:
    """One for each test: what a failed test leaves under way would stop the clock of the next one."""
    async with open_skipping_server(skipping_command, tmp_path / "server.log") as server:
        yield server


@pytest.fixture(autouse=True)
def _without_thousands_of_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="temporalio.activity")


@dataclass
class failing_for(failing):  # noqa: N801 - reads as what a service is
    """A service whose activity of this type fails for so long by the server's clock, and then is in order.

    Args:
        lasting: for how long.
        pause: how long it asks to be left alone after each failure, as a `Retry-After` does. Without it there is an
            attempt each minute, and each takes some milliseconds of real time.
    """

    lasting: timedelta = timedelta(days=365)
    pause: timedelta | None = None
    calls: int = 0
    _since: datetime | None = None

    def instead_of(self, real: Activity) -> Activity:
        """The activity to host."""

        def fail(work: Any) -> Any:  # noqa: ANN401 - whatever the real one takes and gives
            self.calls += 1
            now = activity.info().started_time
            self._since = self._since or now
            if now - self._since < self.lasting:
                raise ApplicationError("down for days", next_retry_delay=self.pause)
            return real(work)

        return in_place_of(real, fail)


@dataclass(frozen=True)
class Work:
    """What the history tells of an activity that has ended."""

    attempts: int
    """Number of the last one; 0 if no worker ever took it."""
    lasted: timedelta
    """From its scheduling to its end."""


@dataclass(frozen=True)
class LongRun:
    """An order on its way."""

    lab: Lab
    order: Order
    placed: Placed
    handle: WorkflowHandle[Any, Any]

    @classmethod
    async def of(cls, order: Order, style: Style, lab: Lab) -> "LongRun":
        placed = await lab.placer.place(order, style)
        status = await status_of(lab.client, style, order.order_id)
        assert status is not None
        assert not placed.known
        return cls(lab, order, placed, lab.client.get_workflow_handle(status.workflow_id))

    @property
    def effects(self) -> list[str]:
        return sorted(self.lab.effects(self.order, self.placed.style))

    async def end(self) -> OrderStatus:
        """How the order stands once it has come to one of its ends."""
        async with asyncio.timeout(LIMIT_S):
            await end_of(self.lab.client, self.placed, look_every_s=0.1)
        status = await status_of(self.lab.client, self.placed.style, self.order.order_id)
        assert status is not None
        return status

    async def until_only_waiting_for(self, *activity_types: str) -> datetime:
        """Wait until this is all that is left to do; answers when the first of it will be given up."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                pending = (await self.handle.describe()).raw_description.pending_activities
                if {work.activity_type.name for work in pending} == {*activity_types}:
                    return min(work.expiration_time.ToDatetime(UTC) for work in pending)
                await asyncio.sleep(0.02)

    async def work(self, activity_type: str) -> Work:
        """What became of the first activity of this type."""
        events = (await self.handle.fetch_history()).events
        scheduled = next(
            e for e in events if e.activity_task_scheduled_event_attributes.activity_type.name == activity_type
        )
        begun = [e.activity_task_started_event_attributes for e in events]
        ended = next(
            event
            for event in events
            for attributes in (
                event.activity_task_completed_event_attributes,
                event.activity_task_failed_event_attributes,
                event.activity_task_timed_out_event_attributes,
            )
            if attributes.scheduled_event_id == scheduled.event_id
        )
        return Work(
            attempts=max((b.attempt for b in begun if b.scheduled_event_id == scheduled.event_id), default=0),
            lasted=ended.event_time.ToDatetime() - scheduled.event_time.ToDatetime(),
        )

    async def is_open_and_listed_as_parked(self) -> bool:
        description = await self.handle.describe()
        listed = description.typed_search_attributes.get(PARKED)
        return description.status is WorkflowExecutionStatus.RUNNING and listed == ["marketing"]

    async def redrive_marketing(self) -> OrderStatus:
        delivery = f"{self.order.order_id}/order.placed>marketing.on_order_placed"
        await self.handle.signal(REDRIVE, "marketing" if self.placed.style == "saga" else delivery)
        async with asyncio.timeout(LIMIT_S):
            await self.handle.result()
        return await self.end()


def failing_within(outage: timedelta, policy: AttemptPolicy) -> int:
    """How many attempts begin before the outage is over, if each fails at once."""
    attempts, passed_s, pause_s = 0, 0.0, policy.first_retry_s
    while passed_s < outage.total_seconds():
        attempts += 1
        passed_s += pause_s
        pause_s = min(pause_s * policy.backoff, policy.longest_pause_s)
    return attempts


async def test_a_critical_service_that_fails_for_two_days_is_tried_as_its_policy_says_and_then_ships_once(
    skipping_server: SkippingServer, tmp_path: Path, order: Order, style: Style
) -> None:
    two_days = timedelta(days=2)
    shipping_fails = failing_for(STEPS[style]["shipping"], lasting=two_days)
    async with open_lab(skipping_server.client, tmp_path, fakes=[shipping_fails]) as lab:
        run = await LongRun.of(order, style, lab)
        began = time.monotonic()
        await skipping_server.skip(two_days + timedelta(minutes=2))
        took = timedelta(seconds=time.monotonic() - began)
        status = await run.end()
        work = await run.work(STEPS[style]["shipping"])

    assert status.state is OrderState.COMPLETED
    assert run.effects == FORWARD
    # the attempts themselves take time, too
    fewest, most = (failing_within(outage, SHIPPING.attempts) + 1 for outage in (two_days - took, two_days))
    assert fewest <= work.attempts <= most
    assert work.attempts == shipping_fails.calls


@pytest.mark.parametrize("away", [["shipping"], [service.name for service in SERVICES]], ids=["one", "all"])
async def test_services_that_are_away_for_thirty_hours_do_their_work_once_they_are_back(
    skipping_server: SkippingServer, tmp_path: Path, order: Order, style: Style, away: list[str]
) -> None:
    async with open_lab(skipping_server.client, tmp_path, absent=away) as lab:
        run = await LongRun.of(order, style, lab)
        await run.until_only_waiting_for(*(STEPS[style][service] for service in away))
        await skipping_server.skip(timedelta(hours=30), waiting=len(away))
        async with hosting(lab.client, away, lab.settings, lab.name):
            status = await run.end()
        work = await run.work(STEPS[style]["shipping"])

    assert status.state is OrderState.COMPLETED
    assert run.effects == FORWARD
    assert work.attempts == 1
    assert timedelta(hours=30) <= work.lasted < timedelta(hours=30, minutes=1)


async def test_days_after_what_failed_for_longer_than_its_window_was_parked_a_redrive_does_it(
    skipping_server: SkippingServer, tmp_path: Path, order: Order, style: Style
) -> None:
    marketing_fails = failing_for(STEPS[style]["marketing"], lasting=timedelta(days=4), pause=PAUSE)
    async with open_lab(skipping_server.client, tmp_path, fakes=[marketing_fails]) as lab:
        run = await LongRun.of(order, style, lab)
        await skipping_server.skip(WINDOW["marketing"])
        parked = await run.end()
        work = await run.work(STEPS[style]["marketing"])
        done_without = run.effects
        await skipping_server.skip(timedelta(days=3))
        waits = await run.is_open_and_listed_as_parked()
        status = await run.redrive_marketing()

    assert parked.state is OrderState.PARKED
    assert "retry window over" in (parked.detail or "")
    assert "down for days" in (parked.detail or "")
    assert WINDOW["marketing"] - PAUSE <= work.lasted <= WINDOW["marketing"]
    assert done_without == ALL_BUT_MARKETING
    assert waits
    assert status.state is OrderState.COMPLETED
    assert run.effects == FORWARD


async def test_days_after_what_no_worker_took_within_its_window_was_parked_it_is_done_on_redrive(
    skipping_server: SkippingServer, tmp_path: Path, order: Order, style: Style
) -> None:
    async with open_lab(skipping_server.client, tmp_path, absent=["marketing"]) as lab:
        run = await LongRun.of(order, style, lab)
        given_up = await run.until_only_waiting_for(STEPS[style]["marketing"])
        await skipping_server.skip(given_up - await skipping_server.now() - ALMOST, waiting=1)
        parked = await run.end()
        work = await run.work(STEPS[style]["marketing"])
        done_without = run.effects
        await skipping_server.skip(timedelta(days=3))
        waits = await run.is_open_and_listed_as_parked()
        async with hosting(lab.client, ["marketing"], lab.settings, lab.name):
            status = await run.redrive_marketing()

    assert parked.state is OrderState.PARKED
    assert "retry window over: no worker took it" in (parked.detail or "")
    assert work.attempts == 0
    assert abs(work.lasted - WINDOW["marketing"]) < ALMOST
    assert done_without == ALL_BUT_MARKETING
    assert waits
    assert status.state is OrderState.COMPLETED
    assert run.effects == FORWARD


async def test_a_critical_service_that_fails_for_longer_than_its_window_cancels_the_order(
    skipping_server: SkippingServer, tmp_path: Path, order: Order, style: Style
) -> None:
    shipping_fails = failing_for(STEPS[style]["shipping"], pause=PAUSE)
    async with open_lab(skipping_server.client, tmp_path, fakes=[shipping_fails]) as lab:
        run = await LongRun.of(order, style, lab)
        await skipping_server.skip(WINDOW["shipping"])
        status = await run.end()
        work = await run.work(STEPS[style]["shipping"])

    assert status.state is OrderState.CANCELLED
    assert "retry window over" in (status.detail or "")
    assert "down for days" in (status.detail or "")
    assert WINDOW["shipping"] - PAUSE <= work.lasted <= WINDOW["shipping"]
    assert run.effects == ALL_UNDONE_BUT_SHIPPING


async def test_an_order_is_cancelled_when_a_critical_service_is_away_for_longer_than_its_window(
    skipping_server: SkippingServer, tmp_path: Path, order: Order, style: Style
) -> None:
    async with open_lab(skipping_server.client, tmp_path, absent=["shipping"]) as lab:
        run = await LongRun.of(order, style, lab)
        given_up = await run.until_only_waiting_for(STEPS[style]["shipping"])
        await skipping_server.skip(given_up - await skipping_server.now() - ALMOST, waiting=1)
        # then shipping comes back too late to ship, and hears of the cancellation
        await run.until_only_waiting_for(CALL_OFF[style])
        async with hosting(lab.client, ["shipping"], lab.settings, lab.name):
            status = await run.end()
        work = await run.work(STEPS[style]["shipping"])

    assert status.state is OrderState.CANCELLED
    assert "retry window over: no worker took it" in (status.detail or "")
    assert work.attempts == 0
    assert abs(work.lasted - WINDOW["shipping"]) < ALMOST
    assert run.effects == ALL_UNDONE_BUT_SHIPPING
