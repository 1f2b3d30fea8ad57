"""Runs a comparison and puts its result together."""

import asyncio
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

import psutil

from lab.compare.blast import AWAY, blast_radius
from lab.compare.comparison import AT_A_THIRD, BlastRadius, Comparison, LoadPoint, Machine, Timeline
from lab.compare.contestants import (
    BARE_WORKFLOW,
    BESIDE,
    NAIVE_FANOUT,
    ONE_ACTIVITY,
    References,
    styles,
)
from lab.compare.costs import eventbridge_usd_per_million_orders
from lab.compare.coupling import LOOKUPS_NOTE, coupling
from lab.compare.figures import (
    end_to_end_ratio,
    load_of,
    load_point,
    rate_ratio,
    reaction_ratios,
    reference_report,
    samples_ms,
    without,
)
from lab.compare.measuring import OnOrder, Results, closed_loop, one_at_a_time, open_loop
from lab.compare.plan import ComparePlan
from lab.compare.scaling import Scaling
from lab.compare.timelines import timeline
from lab.compare.verdict import verdict
from lab.demo import report_on, warm_up_lab
from lab.effects import all_effects, consistent_since_us
from lab.measure import Measured, Timing
from lab.placing import Placer
from lab.processes import Child
from lab.report import Percentiles, Ratio, ReferenceReport
from orders.loader import OrderBook
from orders.model import STYLES, Order, Style
from runtime.settings import Settings
from server.session import Session
from services.service import lab_beside
from stores.ledger import EffectRecord

_WARM_UP = 6
_BLAST_ORDERS = 80
"""Half of them during the outage: of 35, styles without any delay are known to be less than ten points apart."""
_PACKAGES = ("orderlab", "temporalio", "pydantic", "sqlalchemy")

NOT_COMPARABLE = (
    "Both styles run on Temporal: a choreography over another broker has other costs, and keeps no log of an order.",
    "Acknowledged means that the order is safe, not that anything was done.",
    "Reaction times hold the clock of one machine against itself; between machines, clocks differ by more.",
    "All runs on one machine, the server included: throughput tells the styles' cost, not what a cluster takes.",
    LOOKUPS_NOTE,
)
"""What the figures do not tell."""


class Comparing:
    """A comparison in progress; what it has measured so far can be reported at any moment."""

    def __init__(self, session: Session, settings: Settings, book: OrderBook, plan: ComparePlan) -> None:
        self._session = session
        self._settings = settings
        self._plan = plan
        self._started = datetime.now(UTC)
        self._orders = book.take(plan.orders, plan.seed, plan.label)
        self._book = book
        self._placer = Placer(session.client, session.lab, plan.as_demo.dice)
        self._has_references = settings.keeps_all_under_data
        self._references = References(session.client, lab_beside(session.lab, BESIDE), plan.as_demo.dice)
        self._blast: dict[Style, BlastRadius] | None = None
        self._scaling = Scaling(session, settings, book, plan, has_references=self._has_references)
        self.results = Results()

    async def measure(self, children: Sequence[Child], on_order: OnOrder) -> None:
        """Warm up, then latency, then throughput or load, then, with faults, an outage."""
        plan, session = self._plan, self._session
        contestants = styles(session.client, self._placer)
        alone = [*contestants, *(self._references.contestants() if self._has_references else [])]
        await warm_up_lab(session, self._book, plan.as_demo)
        for order in self._book.take(_WARM_UP, plan.seed, f"warm-up-{plan.label}"):
            for reference in alone[len(contestants) :]:
                await reference.run(order)
        await one_at_a_time(alone, self._orders[: plan.alone], self.results, on_order)
        rest = self._orders[plan.alone :]
        if plan.rate_per_s is not None:
            await open_loop(contestants, rest, plan, self.results, on_order)
        else:
            crowd = [one for one in alone if one.name != ONE_ACTIVITY]
            await closed_loop(crowd, rest, plan, self.results, on_order)
        away = next((child for child in children if child.name == AWAY), None)
        if plan.faults is not None and away is not None:
            orders = self._book.take(_BLAST_ORDERS, plan.seed, f"away-{plan.label}")
            self._blast = await blast_radius(session, self._settings, away, orders)
        if plan.scaling:
            await self._scaling.measure(self.results.rounds, on_order)

    @property
    def has_results(self) -> bool:
        """Whether both styles have ended an order."""
        return all(self.results.of(style) for style in STYLES)

    @property
    def placements(self) -> int:
        """Orders to run, counted once for each contestant that runs them."""
        plan = self._plan
        alone, crowd = (5, 4) if self._has_references else (2, 2)
        measured = plan.alone * alone + (plan.orders - plan.alone) * (crowd if plan.rate_per_s is None else 2)
        return measured + (self._scaling.placements if plan.scaling else 0)

    async def report(self, *, partial: bool) -> Comparison:
        """What was measured so far.

        Args:
            partial: the run was interrupted.
        """
        plan, session = self._plan, self._session
        # Interrupted, one style may be an order ahead: what it alone has run tells nothing of how they compare.
        saga, choreography = ({timing.placed.order_id for timing in self.results.of(style)} for style in STYLES)
        orders = [order for order in self._orders if order.order_id in saga & choreography]
        results = self.results.only({order.order_id for order in orders})
        measured = Measured(
            one_at_a_time=[timing for style in STYLES for timing in results.alone[style]],
            many_in_flight=[timing for style in STYLES for timing in results.crowd[style]],
            rates={style: results.rounds[style] for style in STYLES},
        )
        report = await report_on(session, self._settings, plan.as_demo, orders, measured)
        effects = await asyncio.to_thread(all_effects, self._settings)
        references, third, against = await self._references_and_ratios(results, effects)
        ratios = report.ratios | self._scaling.ratios | against
        differences = without(report.differences, len(saga ^ choreography))
        report = report.model_copy(update={"references": references, "ratios": ratios, "differences": differences})
        known = coupling()
        return Comparison(
            **dict(report),
            command=shlex.join(["orderlab", *sys.argv[1:]]),
            started=self._started,
            machine=machine(),
            partial=partial,
            profile=plan.profile,
            samples_ms={style: samples_ms(style, results.alone[style], effects) for style in STYLES},
            load=load_of(results, effects) or None,
            blast=self._blast,
            at_a_third=third or None,
            fan_out=self._scaling.fan_out,
            growth=self._scaling.growth,
            consistent_ms=await self._consistent_ms(results) if plan.faults is not None else None,
            eventbridge_usd_per_million_orders={
                "saga": None,
                "choreography": await eventbridge_usd_per_million_orders(session.client, orders),
            },
            coupling=known,
            timelines=await self._timelines(orders, effects),
            verdict=verdict(report, known, self._blast),
            not_comparable=list(NOT_COMPARABLE if self._has_references else (*NOT_COMPARABLE, _NO_REFERENCES)),
        )

    async def _references_and_ratios(
        self, results: Results, done: Sequence[EffectRecord]
    ) -> tuple[dict[str, ReferenceReport] | None, dict[str, LoadPoint], dict[str, Ratio]]:
        """The references, what ran at a third of the maximum, and the ratios of the styles to the references.

        References and ratios leave out the orders whose customers changed their minds, as the times of the styles do.

        Args:
            results: what was measured of the orders that both styles ran.
            done: the effects of the styles.
        """
        third, seed = self._scaling.third, self._plan.seed
        alone = [timing for style in STYLES for timing in results.alone[style]]
        kept = {timing.placed.order_id for timing in alone} - {one.placed.order_id for one in alone if one.asked}
        points: dict[str, LoadPoint] = {}
        rate_per_s = next(iter(third.load), None)
        if rate_per_s is not None:
            points |= {style: load_point(style, style, rate_per_s, third, done) for style in STYLES}
        if not self._has_references:
            return None, points, {}
        effects = await asyncio.to_thread(all_effects, self._settings.beside(BESIDE))
        if rate_per_s is not None:
            beside = (BARE_WORKFLOW, ONE_ACTIVITY)
            points |= {name: load_point(name, "saga", rate_per_s, third, effects) for name in beside}
        references = {
            name: reference_report(name, results.only(kept), effects)
            for name in (BARE_WORKFLOW, NAIVE_FANOUT, ONE_ACTIVITY)
        }
        ratios = {
            **end_to_end_ratio("saga", BARE_WORKFLOW, results, seed),
            **end_to_end_ratio("choreography", BARE_WORKFLOW, results, seed),
            **rate_ratio("saga", BARE_WORKFLOW, results, seed),
            **rate_ratio("choreography", BARE_WORKFLOW, results, seed),
            **rate_ratio("choreography", NAIVE_FANOUT, results, seed),
        }
        for when, taken in {"": results.alone, AT_A_THIRD: third.crowd}.items():
            for style in STYLES:
                ratios |= reaction_ratios(style, taken[style], taken[ONE_ACTIVITY], done, effects, seed, when)
        return references, points, ratios

    async def _consistent_ms(self, results: Results) -> dict[Style, Percentiles | None]:
        """From the call until nothing changed any more, per style; of the orders that the other times are of."""
        since_us = await asyncio.to_thread(consistent_since_us, self._settings)
        return {
            style: Percentiles.of(
                [
                    (since_us[style, timing.placed.order_id] - timing.called_us) / 1e3
                    for timing in results.alone[style]
                    if timing.asked is None and (style, timing.placed.order_id) in since_us
                ]
            )
            for style in STYLES
        }

    async def _timelines(self, orders: Sequence[Order], effects: Sequence[EffectRecord]) -> list[Timeline]:
        """A good order and a broken one, each in both styles; fewer where there were none."""
        drawn: list[Timeline] = []
        titles: tuple[tuple[Literal["a good order", "a broken order"], bool], ...] = (
            ("a good order", True),
            ("a broken order", False),
        )
        for title, good in titles:
            order = next((one for one in orders if self._is_good(one) is good), None)
            for style in STYLES if order else ():
                assert order is not None  # noqa: S101 - for the type checker
                timing = _ended_in(self.results, style, order)
                assert timing is not None  # noqa: S101 - it ended in both
                drawn.append(
                    await timeline(
                        self._session.client,
                        style,
                        order.order_id,
                        title=title,
                        state=timing.state or "broken",
                        effects=effects,
                    )
                )
        return drawn

    def _is_good(self, order: Order) -> bool:
        """Whether it completed in both styles, without a customer changing their mind."""
        timings = [_ended_in(self.results, style, order) for style in STYLES]
        return all(one is not None and one.state == "completed" and one.asked is None for one in timings)


_NO_REFERENCES = (
    "The references were not run: they need databases and a mail server of their own, and yours are given by "
    "environment variables."
)


def _ended_in(results: Results, style: Style, order: Order) -> Timing | None:
    return next((timing for timing in results.of(style) if timing.placed.order_id == order.order_id), None)


def machine() -> Machine:
    """What this process runs on."""
    return Machine(
        processors=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages={name: version(name) for name in _PACKAGES},
    )
