"""The life of one order, in both styles: whatever is done to it, how it is shown agrees with what was done for it.

Hypothesis draws the deeds: the order is placed, also with other content; events about it are published; it is
cancelled, redriven, repaired; workers and the server are killed; its workflow is terminated, or reset to its beginning;
meanwhile the fault plan makes its effects fail, for a while or for good. The server suggests a new run after few
events, so that logs continue as new all the time. `make lives` draws 500 lives; the tests draw a few.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import JsonValue

from events.log import OrderState
from faults.dice import Dice
from faults.plan import ActionFaults, Customers, FaultPlan
from lab.parity import UNDONE_BY
from lab.status import OrderStatus
from orders.loader import OrderBook
from orders.model import STYLES, Style
from runtime.errors import OrderlabError
from services.order_placed import SERVICES, WORKERS
from services.order_placed import UNDONE_BY as EFFECTS
from tests.labs import due_of, namesake
from tests.lives import Life
from tests.processes import forget_environment
from tests.shops import PATIENCE_S, Shop, impatient_server, shop_in_a_thread

LIVES = {"long": 500}
"""How many are drawn, by the profile of hypothesis."""

FEW = 12
DEEDS = 12
"""At most so many in a life."""

NEW_RUN_AFTER_EVENTS = 50

FAULTS = {
    "fails twice": ActionFaults(transient=1),
    "its answer is lost": ActionFaults(ack_lost=1),
    "is delivered twice": ActionFaults(twice=1),
    "is late": ActionFaults(late=1, late_ms=300),
    "takes its time": ActionFaults(service_time_ms=700),
    "fails for good": ActionFaults(permanent=1),
    "happens, but fails for good": ActionFaults(permanent_after=1),
}
ACTIONS = [(service, action) for service, effects in EFFECTS.items() for pair in effects.items() for action in pair]
CRITICAL = {effect for service in SERVICES if service.critical for effect in EFFECTS[service.name]}
HANDOVER_MS = (60_000, 0, 100)

styles = st.sampled_from(STYLES)


class LifeOfAnOrder(RuleBasedStateMachine):
    """What is done to one order, and what is known of it by that."""

    shop: Shop
    life: Life

    def __init__(self) -> None:
        super().__init__()
        self.placed: set[Style] = set()
        self.off: set[Style] = set()
        """Styles in which it has to be cancelled, as that was told, or accepted."""
        self.meddled: set[Style] = set()
        """Styles in which somebody has terminated or reset a workflow."""
        self.tickets: list[str] = []
        self.asked: list[tuple[Style, Future[Any]]] = []
        """Customers who wait for an answer."""
        self.is_heard_of = False

    @initialize(
        mishaps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(list(FAULTS))), max_size=4),
        handover_ms=st.sampled_from(HANDOVER_MS),
        which=st.integers(0, 20),
        begins=st.sampled_from(((), STYLES, STYLES, STYLES)),
    )
    def an_order(
        self, mishaps: list[tuple[tuple[str, str], str]], handover_ms: int, which: int, begins: tuple[Style, ...]
    ) -> None:
        services: dict[str, dict[str, ActionFaults]] = {}
        for (service, action), kind in mishaps:
            services.setdefault(service, {})[action] = FAULTS[kind]
        customers = Customers(cancel=0, handover_ms=handover_ms)
        dice = Dice(plan=FaultPlan(name="drawn", services=services, customers=customers), seed=0)
        order = self.shop.fresh_order(which)
        session = self.shop.session
        self.life = Life(session.client, session.lab, self.shop.settings, order, dice, self.shop.seen)
        for style in begins:
            self.place(style)

    # What is done

    @rule(style=styles)
    def place(self, style: Style) -> None:
        self.is_heard_of = True
        self.placed.add(style)
        self.shop.do(self.life.place(self.life.order, style))

    @precondition(lambda self: self.placed)
    @rule()
    def place_another_under_its_id(self) -> None:
        with pytest.raises(OrderlabError, match="other content"):
            self.shop.do(self.life.place(namesake(self.life.order), *STYLES))

    @rule(count=st.sampled_from((1, 3, 40)))
    def publish_tickets(self, count: int) -> None:
        self.is_heard_of = True
        for _ in range(count):
            ticket = self.life.event(f"ticket-{len(self.tickets)}", "ticket.created")
            self.shop.do(self.life.publish(ticket))
            self.tickets.append(ticket.id)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def publish_a_ticket_once_more(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(self.tickets))
        self.shop.do(self.life.publish(self.life.event(known, "ticket.created")))

    @rule()
    def call_it_off_elsewhere(self) -> None:
        self.is_heard_of = True
        told: JsonValue = {"order_id": self.life.order.order_id, "reason": "called off in the ERP"}
        self.shop.do(self.life.publish(self.life.event("off", "order.cancelled", told)))
        self.off.add("choreography")

    @rule(style=styles, awaited=st.booleans())
    def cancel(self, style: Style, awaited: bool) -> None:
        self.is_heard_of = True
        self.asked.append((style, self.shop.begin(self.life.cancel(style))))
        if awaited:
            self._hear_the_answers()

    @precondition(lambda self: self.is_heard_of)
    @rule()
    def redrive(self) -> None:
        self.shop.do(self.life.redrive())

    @precondition(lambda self: self.is_heard_of)
    @rule(style=styles)
    def repair(self, style: Style) -> None:
        self.shop.do(self.life.repair(style))

    @precondition(lambda self: self.is_heard_of)
    @rule()
    def see_it_end(self) -> None:
        self._hear_the_answers()
        for style in STYLES:
            self.shop.do(self.life.end(style))

    @precondition(lambda self: self.is_heard_of)
    @rule(name=st.sampled_from(WORKERS))
    def kill_a_worker(self, name: str) -> None:
        self.shop.kill(name)

    @precondition(lambda self: self.is_heard_of)
    @rule()
    def kill_the_server(self) -> None:
        self.shop.kill_server()

    @precondition(lambda self: self.is_heard_of)
    @rule(style=styles)
    def terminate(self, style: Style) -> None:
        self.meddled.add(style)
        self.shop.do(self.life.terminate(style))

    @precondition(lambda self: self.is_heard_of)
    @rule(style=styles)
    def reset(self, style: Style) -> None:
        self.meddled.add(style)
        self.shop.do(self.life.reset(style))

    # What has to hold

    @invariant()
    def how_it_is_shown_agrees_with_what_was_done(self) -> None:
        for style in STYLES if self.is_heard_of else ():
            shown, done = self.shop.do(self.life.status(style)), self.life.effects(style)
            if shown is not None and shown == self.shop.do(self.life.status(style)):  # otherwise it was just changing
                wrongs = list(self._wrongs(shown, done))
                assert not wrongs, f"{shown}: {wrongs}: {done}"

    def teardown(self) -> None:
        if not self.is_heard_of:
            return
        self.see_it_end()
        self.how_it_is_shown_agrees_with_what_was_done()
        assert self.shop.do(self.life.log("ticket.created")) == self.tickets
        for style in STYLES:
            self.repair(style)
        self.see_it_end()
        self.how_it_is_shown_agrees_with_what_was_done()
        for style in STYLES:
            self._is_whole(style)
        if self.placed:
            assert not (violations := self.shop.do(self.life.audited())), violations
        assert not (unfit := self.shop.do(self.life.not_to_be_replayed())), unfit

    def _is_whole(self, style: Style) -> None:
        """Repaired, and without the dice, it has come to one of two ends."""
        shown = self.shop.do(self.life.status(style))
        if shown is None:
            assert not self.life.effects(style)
            return
        assert shown.state in {OrderState.COMPLETED, OrderState.CANCELLED}, shown
        assert shown.state is OrderState.CANCELLED or style not in self.off, f"{shown}, where it was called off"
        self.shop.seen[str(shown.state)] += 1

    def _wrongs(self, shown: OrderStatus, done: list[str]) -> Iterator[str]:
        """In what the state that is shown and the effects disagree."""
        left = {effect for effect in done if effect in UNDONE_BY and UNDONE_BY[effect] not in done}
        undone = {effect for effect in done if effect in UNDONE_BY} - left
        due = due_of(self.life.order, self.shop.book) if shown.style in self.placed else set()
        match shown.state:
            case OrderState.COMPLETED if left != due or undone:
                yield "not everything was done, or more than that"
            case OrderState.PARKED if undone or not left <= due or not CRITICAL & due <= left:
                yield "more is missing than what can be parked"
            case OrderState.CANCELLED if left:
                yield "something is left"
            case None if shown.style not in self.meddled:
                yield "it is broken, and nobody has broken it"
        if len(set(done)) != len(done):
            yield "something was done twice"

    def _hear_the_answers(self) -> None:
        for style, asking in self.asked:
            try:
                if asking.result(PATIENCE_S).accepted:
                    self.off.add(style)
            except OrderlabError:  # nobody could decide
                assert style in self.meddled
        self.asked.clear()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, book: OrderBook) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("lives")
    impatient_server(directory / "bin", new_run_after_events=NEW_RUN_AFTER_EVENTS)
    with pytest.MonkeyPatch.context() as monkeypatch:
        forget_environment(monkeypatch)
        monkeypatch.setenv("PATH", str(directory / "bin"), prepend=":")
        with shop_in_a_thread(directory / "lab", book) as shop:
            LifeOfAnOrder.shop = shop
            yield shop


def test_whatever_is_done_to_an_order_how_it_is_shown_agrees_with_what_was_done(shop: Shop) -> None:
    is_long = settings.get_current_profile_name() in LIVES
    lives = LIVES.get(settings.get_current_profile_name(), FEW)
    run_state_machine_as_test(
        LifeOfAnOrder,
        settings=settings(
            max_examples=lives,
            stateful_step_count=DEEDS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=not is_long,  # new lives are drawn where there is time to look into what they find
            phases=settings.default.phases if is_long and settings.default else (Phase.generate,),
        ),
    )
    print(f"{lives} lives:", dict(shop.seen))  # noqa: T201 - `make lives` shows it
