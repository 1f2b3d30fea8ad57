"""The life of one order, in both styles: whatever is done to it, how it is shown agrees with what was done for it.

Hypothesis draws the deeds: the order is placed, also with other content, events about it are published, it is cancelled,
redriven, repaired; workers and the server are killed; its workflow is terminated, or reset to its beginning; meanwhile the
fault plan makes its effects fail, for a while or for good. The server suggests a new run after few events, so that logs
continue as new all the time. `make lives` draws 500 lives; the tests draw a few.
"""

import asyncio
import itertools
import shlex
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError

from events.envelope import Event
from events.log import OrderState
from events.reading import whole_log_of
from faults.dice import Dice
from faults.plan import ActionFaults, Customers, FaultPlan
from lab.audit import audit
from lab.dead_letters import parked, redrive
from lab.effects import all_effects
from lab.parity import UNDONE_BY
from lab.patience import persistently
from lab.placing import Placed, Placer
from lab.processes import Child
from lab.repair import repair
from lab.replay import histories_of, replay
from lab.running import whole_lab
from lab.runs import workflow_id
from lab.status import OrderStatus, end_of, status_of
from orders.cancelling import CancelDecision
from orders.loader import OrderBook, campaign_audience
from orders.model import STYLES, Order, Style
from runtime.errors import OrderlabError
from runtime.settings import Settings
from server.binary import find_temporal_binary
from server.session import Session
from services.order_placed import SERVICES, WORKERS
from services.order_placed import UNDONE_BY as EFFECTS
from tests.labs import namesake
from tests.processes import forget_environment

LIVES = {"long": 500}
"""How many are drawn, by the profile of hypothesis (`--hypothesis-profile=long`)."""

FEW = 30
DEEDS = 12
"""At most so many in a life."""

PATIENCE_S = 120
NEW_RUN_AFTER_EVENTS = 50

FAULTS = {
    "fails twice": ActionFaults(transient=1),
    "its answer is lost": ActionFaults(ack_lost=1),
    "is delivered twice": ActionFaults(twice=1),
    "is late": ActionFaults(late=1, late_ms=300),
    "fails for good": ActionFaults(permanent=1),
    "happens, but fails for good": ActionFaults(permanent_after=1),
}
ACTIONS = [(service, action) for service, effects in EFFECTS.items() for pair in effects.items() for action in pair]
CRITICAL = {effect for service in SERVICES if service.critical for effect in EFFECTS[service.name]}
HANDOVER_MS = (60_000, 0, 100)

Answer = TypeVar("Answer")


@dataclass
class Shop:
    """A lab with a process per worker, on a loop in a thread of its own, as hypothesis runs no coroutines."""

    session: Session
    settings: Settings
    processes: Sequence[Child]
    book: OrderBook
    loop: asyncio.AbstractEventLoop
    seen: Counter[str] = field(default_factory=Counter)
    """How often what occurred."""
    labels: Iterator[str] = field(default_factory=lambda: map("l{}".format, itertools.count()))

    @property
    def client(self) -> Client:
        return self.session.client

    def begin(self, work: Coroutine[Any, Any, Answer]) -> Future[Answer]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self.begin(work).result(PATIENCE_S)

    def due(self, order: Order) -> set[str]:
        """What is done for an order that is kept."""
        due = set(UNDONE_BY)
        if order.is_guest:
            due.discard("confirmation.sent")
        if order.customer_id not in campaign_audience(self.book.orders):
            due.discard("campaign.left")
        return due


class LifeOfAnOrder(RuleBasedStateMachine):
    """What is done to one order."""

    shop: Shop
    order: Order
    dice: Dice

    def __init__(self) -> None:
        super().__init__()
        self.placed: set[Style] = set()
        self.wanted_off: list[Style] = []
        self.answers: dict[Style, list[CancelDecision]] = {style: [] for style in STYLES}
        self.tickets: list[str] = []
        self.called_off_elsewhere = False
        self.meddled: set[Style] = set()
        """Styles in which a person has terminated or reset a workflow."""
        self.under_way: list[Future[Any]] = []

    @initialize(
        mishaps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(list(FAULTS))), max_size=2),
        handover_ms=st.sampled_from(HANDOVER_MS),
        which=st.integers(0, 20),
    )
    def an_order(self, mishaps: list[tuple[tuple[str, str], str]], handover_ms: int, which: int) -> None:
        self.order = self.shop.book.take(which + 1, 1, next(self.shop.labels))[which]
        services: dict[str, dict[str, ActionFaults]] = {}
        for (service, action), kind in mishaps:
            services.setdefault(service, {})[action] = FAULTS[kind]
        customers = Customers(cancel=0, handover_ms=handover_ms)
        self.dice = Dice(plan=FaultPlan(name="drawn", services=services, customers=customers), seed=0)

    # What is done

    @rule(style=st.sampled_from(STYLES))
    def place(self, style: Style) -> None:
        self.placed.add(style)
        self._do(lambda: self._placer.place_once(self.order, (style,)))

    @precondition(lambda self: self.placed)
    @rule()
    def place_another_under_its_id(self) -> None:
        with pytest.raises(OrderlabError, match="other content"):
            self._do(lambda: self._placer.place_once(namesake(self.order), STYLES))

    @rule(count=st.sampled_from((1, 3, 40)))
    def publish_tickets(self, count: int) -> None:
        for _ in range(count):
            ticket = self._event(f"ticket-{len(self.tickets)}", "ticket.created")
            self._do(lambda ticket=ticket: self._placer.publish(ticket))
            self.tickets.append(ticket.id)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def publish_a_ticket_once_more(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(self.tickets))
        self._do(lambda: self._placer.publish(self._event(known, "ticket.created")))

    @rule()
    def call_off_elsewhere(self) -> None:
        self.called_off_elsewhere = True
        told = {"order_id": self.order.order_id, "reason": "called off in the ERP"}
        self._do(lambda: self._placer.publish(self._event("off", "order.cancelled", told)))

    @rule(style=st.sampled_from(STYLES), awaited=st.booleans())
    def cancel(self, style: Style, awaited: bool) -> None:
        self.wanted_off.append(style)
        asking = self.shop.begin(self._ask(style))
        self.under_way.append(asking)
        if awaited:
            asking.result(PATIENCE_S)

    @precondition(lambda self: self.heard_of)
    @rule()
    def redrive(self) -> None:
        self.shop.do(self._redrive())

    @rule(style=st.sampled_from(STYLES))
    def repair(self, style: Style) -> None:
        self.shop.do(self._repair(style))

    @precondition(lambda self: self.heard_of)
    @rule()
    def see_it_end(self) -> None:
        self._settle()

    @precondition(lambda self: self.heard_of)
    @rule(name=st.sampled_from(WORKERS))
    def kill_a_worker(self, name: str) -> None:
        next(process for process in self.shop.processes if process.name == name).kill()

    @precondition(lambda self: self.heard_of)
    @rule()
    def kill_the_server(self) -> None:
        server = self.shop.session.server
        assert server is not None
        self.shop.do(server.kill())

    @precondition(lambda self: self.heard_of)
    @rule(style=st.sampled_from(STYLES))
    def terminate(self, style: Style) -> None:
        run = self._latest_run(style)
        if run is not None and run.status is WorkflowExecutionStatus.RUNNING:
            self.meddled.add(style)
            self._try(lambda: self.shop.client.get_workflow_handle(run.id, run_id=run.run_id).terminate("a person's wish"))
            self.shop.seen["terminated"] += 1

    @precondition(lambda self: self.heard_of)
    @rule(style=st.sampled_from(STYLES))
    def reset(self, style: Style) -> None:
        run = self._latest_run(style)
        if run is not None:
            self.meddled.add(style)
            self.shop.seen["reset"] += self.shop.do(self._reset(run))

    # What has to hold

    @invariant()
    def how_it_is_shown_agrees_with_what_was_done(self) -> None:
        for style in STYLES:
            shown, effects = self._status(style), self._effects(style)
            if shown is not None and shown == self._status(style):  # otherwise it was just changing
                assert not list(self._wrongs(shown, effects)), f"{shown} with {effects}"

    def teardown(self) -> None:
        if not hasattr(self, "order"):
            return
        try:
            self._settle()
            self.how_it_is_shown_agrees_with_what_was_done()
            self._log_holds_all_tickets()
            for style in STYLES:
                self.shop.do(self._repair(style))
            self._settle()
            self.how_it_is_shown_agrees_with_what_was_done()
            self._repaired_it_is_whole()
        finally:
            for asking in self.under_way:
                asking.cancel()

    def _repaired_it_is_whole(self) -> None:
        for style in STYLES:
            shown = self._status(style)
            if shown is None:
                assert not self._effects(style)
                continue
            whole = {OrderState.COMPLETED, OrderState.CANCELLED}
            if shown.state is None and style in self.meddled: continue  # TMP
            assert shown.state in whole, shown
            off = any(answer.accepted for answer in self.answers[style])
            off = off or (style == "choreography" and self.called_off_elsewhere)
            if off:
                assert shown.state is OrderState.CANCELLED, f"{shown}, where it was called off"
            self.shop.seen[str(shown.state)] += 1
        if self.placed:
            report = self.shop.do(self._audit())
            assert not report or self.meddled, report  # TMP
        assert not self.shop.do(self._not_to_be_replayed())

    def _wrongs(self, shown: OrderStatus, effects: list[str]) -> Iterator[str]:
        """In what the state that is shown and the effects disagree."""
        left = {effect for effect in effects if effect in UNDONE_BY and UNDONE_BY[effect] not in effects}
        undone = {effect for effect in effects if effect in UNDONE_BY} - left
        due = self.shop.due(self.order) if shown.style in self.placed else set()
        match shown.state:
            case OrderState.COMPLETED if left != due or undone:
                yield "not everything was done, or more than that"
            case OrderState.PARKED if undone or not left <= due or not CRITICAL & due <= left:
                yield "more is missing than what can be parked"
            case OrderState.CANCELLED if left:
                yield "something is left"
            case None if shown.style not in self.meddled:
                yield "it is broken, and nobody has broken it"
        if len(set(effects)) != len(effects):
            yield "something was done twice"

    def _log_holds_all_tickets(self) -> None:
        if self.tickets:
            log = self.shop.do(persistently(lambda: whole_log_of(self.shop.client, self.order.order_id)))
            assert log is not None
            assert [entry.id for entry in log.entries if entry.type == "ticket.created"] == self.tickets

    def _settle(self) -> None:
        """Wait until nothing is under way."""
        for asking in self.under_way:
            asking.result(PATIENCE_S)
        self.under_way.clear()
        for style in STYLES:
            if self._latest_run(style) is not None:
                self._do(lambda style=style: end_of(self.shop.client, Placed(style, self.order.order_id, known=True), look_every_s=0.1))

    # How it is done

    @property
    def heard_of(self) -> bool:
        """Whether there is anything about it."""
        return bool(self.placed or self.wanted_off or self.tickets or self.called_off_elsewhere)

    @property
    def _placer(self) -> Placer:
        return Placer(self.shop.client, self.shop.session.lab, self.dice)

    def _do(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        return self.shop.do(persistently(call))

    def _try(self, call: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Do what may come too late."""
        async def attempt() -> None:
            try:
                await call()
            except RPCError:
                self.shop.seen["came too late"] += 1

        self.shop.do(attempt())

    def _event(self, event_id: str, event_type: str, data: Any = None) -> Event:  # noqa: ANN401 - any JSON
        return Event(
            id=event_id, source="/erp", type=event_type, subject=self.order.order_id, time=datetime.now(UTC), data=data
        )

    async def _ask(self, style: Style) -> None:
        try:
            answer = await persistently(lambda: self._placer.canceller.cancel(self.order.order_id, style))
        except OrderlabError:
            if style not in self.meddled:
                raise
            self.shop.seen["nobody could decide"] += 1
        else:
            self.answers[style].append(answer)
            self.shop.seen["accepted" if answer.accepted else "refused"] += 1

    async def _redrive(self) -> None:
        mine = {workflow_id(style, self.order.order_id) for style in STYLES}
        letters = await persistently(lambda: parked(self.shop.client, self.shop.session.lab))
        for letter in letters:
            if letter.workflow_id in mine:
                await persistently(lambda letter=letter: redrive(self.shop.client, letter, 10))
                self.shop.seen["redriven"] += 1

    async def _repair(self, style: Style) -> None:
        await persistently(lambda: repair(self.shop.client, self.shop.settings, self.shop.session.lab, self.order.order_id, style))

    def _latest_run(self, style: Style) -> WorkflowExecutionDescription | None:
        handle = self.shop.client.get_workflow_handle(workflow_id(style, self.order.order_id))

        async def described() -> WorkflowExecutionDescription | None:
            status = await status_of(self.shop.client, style, self.order.order_id)
            return None if status is None else await handle.describe()

        return self._do(described)

    async def _reset(self, run: WorkflowExecutionDescription) -> bool:
        """Reset a run to its first workflow task; tells whether it had one."""
        handle = self.shop.client.get_workflow_handle(run.id, run_id=run.run_id)
        history = await persistently(handle.fetch_history)
        begun = [e.event_id for e in history.events if e.HasField("workflow_task_completed_event_attributes")]
        if not begun:
            return False
        request = ResetWorkflowExecutionRequest(
            namespace=self.shop.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
            workflow_task_finish_event_id=begun[0],
            reason="a person's wish",
            request_id=f"{run.run_id}-{datetime.now(UTC)}",
        )
        await persistently(lambda: self.shop.client.workflow_service.reset_workflow_execution(request, retry=True))
        return True

    def _status(self, style: Style) -> OrderStatus | None:
        return self._do(lambda: status_of(self.shop.client, style, self.order.order_id))

    def _effects(self, style: Style) -> list[str]:
        return [r.effect for r in all_effects(self.shop.settings, self.order.order_id) if r.style == style]

    async def _audit(self) -> list[str]:
        ids = {self.order.order_id}
        report = await persistently(
            lambda: audit(self.shop.client, self.shop.settings, self.shop.session.lab, order_ids=ids, parity=False)
        )
        return [str(violation) for violation in report.violations]

    async def _not_to_be_replayed(self) -> list[str]:
        try:
            histories = await persistently(lambda: histories_of(self.shop.client, self.order.order_id))
        except OrderlabError:  # nothing was done about it at all
            return []
        return [f"{one.workflow_id} does not replay: {one.failure}" for one in await replay(histories) if one.failure]


@contextmanager
def shop_in_a_thread(data: Path, book: OrderBook) -> Iterator[Shop]:
    """A shop whose loop runs beside the test, until the block ends."""
    opened: Future[Shop] = Future()
    over = asyncio.Event()

    async def keep_open() -> None:
        try:
            async with whole_lab(Settings(data=data)) as (session, processes):
                opened.set_result(Shop(session, Settings(data=data), processes, book, asyncio.get_running_loop()))
                await over.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=(keep_open(),))
    thread.start()
    try:
        shop = opened.result(PATIENCE_S)
        yield shop
    finally:
        if opened.done() and opened.exception() is None:
            opened.result().loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, book: OrderBook) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("lives")
    impatient = directory / "bin" / "temporal"
    impatient.parent.mkdir()
    option = f"--dynamic-config-value limit.historyCount.suggestContinueAsNew={NEW_RUN_AFTER_EVENTS}"
    real = shlex.quote(str(find_temporal_binary(print)))
    impatient.write_text(
        f'#!/bin/sh\ncase "$1" in server) exec {real} "$@" {option};; *) exec {real} "$@";; esac\n', encoding="utf-8"
    )
    impatient.chmod(0o755)
    with pytest.MonkeyPatch.context() as monkeypatch:
        forget_environment(monkeypatch)
        monkeypatch.setenv("PATH", str(impatient.parent), prepend=":")
        with shop_in_a_thread(directory / "lab", book) as shop:
            LifeOfAnOrder.shop = shop
            yield shop


def test_whatever_is_done_to_an_order_how_it_is_shown_agrees_with_what_was_done(shop: Shop) -> None:
    profile = settings.get_current_profile_name()
    run_state_machine_as_test(
        LifeOfAnOrder,
        settings=settings(
            max_examples=LIVES.get(profile, FEW),
            stateful_step_count=DEEDS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
        ),
    )
    print(dict(shop.seen))  # noqa: T201
