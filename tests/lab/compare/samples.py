"""Comparisons as a run could have measured them, for the tests of what is made of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from faults.plan import load_plan
from lab.audit import Act, AuditReport, Violation
from lab.compare.comparison import (
    Comparison,
    Coupling,
    FanOut,
    Finding,
    Growth,
    LoadPoint,
    Machine,
    Module,
    Timeline,
    Verdict,
)
from lab.parity import Parity
from lab.report import Links, PairedDifference, Percentiles, ServerReport, StyleReport
from orders.model import STYLES, Style
from services.order_placed import ACTIONS
from tests.lab.compare.sample_figures import SERVICES, blast, choreography, load, ratio, references, saga, times
from tests.lab.compare.sample_orders import broken_order, good_order, mark

EVIL = "<script>alert(1)</script>\"'&"

PLOTS = {
    *("ratios", "load", "cost", "retries", "end-states"),
    *(f"reaction-{service}" for service in SERVICES),
    *(f"timeline-{kind}-{style}-{number}" for kind in ("good", "broken") for number, style in enumerate(STYLES, 1)),
}
"""What the page draws of `comparison()`."""


def comparison(**changes: Any) -> Comparison:  # noqa: ANN401 - fields of a Comparison
    """A run of 200 orders under the plan `hostile`, with all that can be measured.

    Args:
        changes: fields to have otherwise.
    """
    samples: dict[Style, dict[str, list[float]]] = {
        "saga": {name: times(name, 1.0) for name in SERVICES},
        "choreography": {name: times(name + "'", 1.06) for name in SERVICES},
    }
    fields: dict[str, Any] = {
        "scenario": "order-placed",
        "transport": "temporal",
        "seed": 7,
        "orders": 200,
        "faults": load_plan("hostile", ACTIONS),
        "server": ServerReport(version="1.29.1", tuned=True, database="SQLite file, write-ahead log"),
        "styles": {"saga": saga(samples["saga"]), "choreography": choreography(samples["choreography"])},
        "references": references(),
        "at_a_third": {
            name: LoadPoint(
                rate_per_s=14.2,
                end_to_end_ms=Percentiles.of([30.0, 90.0]),
                reaction_ms={service: Percentiles.of([21.5, 80.25]) for service in SERVICES[:3]} | {SERVICES[3]: None},
            )
            for name in (*STYLES, "bare_workflow", "one_activity")
        },
        "fan_out": [
            FanOut(
                subscribers=count,
                end_to_end_ms=Percentiles.of([30.0, 7.5 * count]),
                ms_per_subscriber=Percentiles.of([7.5, 30.0 / count]),
                deliveries_per_s=120.5,
                actions_per_order=count + 1,
                history_events_per_order=5 * count + 4,
            )
            for count in (4, 32)
        ],
        "growth": Growth(
            orders_before=100,
            orders_after=2_000,
            memory_before_mib={"shipping": 41.5, "bus": 50.25},
            memory_after_mib={"shipping": 42.25, "bus": 51.5},
        ),
        "ratios": {
            "ack_ms": ratio(1.04, 0.97, 1.21),
            **{f"reaction_ms.{name}": ratio(1.06, 0.92, 1.22) for name in SERVICES[:3]},
            "reaction_ms.analytics": ratio(0.91, 0.86, 0.97),
            "end_to_end_ms": ratio(1.09, 1.03, 1.14),
            "orders_per_s": ratio(0.94, 0.91, 0.99, pairs=10),
            "cancellation_answered_ms": ratio(1.03, 1.01, 1.04, pairs=12),
            "saga/bare_workflow.end_to_end_ms": ratio(1.12, 1.08, 1.17),
            "choreography/naive_fanout.orders_per_s": ratio(2.61, 2.4, 2.9),
            "saga/one_activity.at_a_third.reaction_ms.shipping": ratio(1.13, 1.05, 1.22),
            "saga/fresh.end_to_end_ms": ratio(1.02, 0.97, 1.06),
        },
        "differences": {"actions_per_order": PairedDifference(mean=0.17, low=-0.09, high=0.43, pairs=200)},
        "parity": Parity(compared=196, differences=[]),
        "audit": AuditReport(checked=400, violations=[]),
        "links": Links(order_id="536365", saga="http://127.0.0.1:8233/x", choreography=None),
        "unfinished": [],
        "command": "orderlab compare --orders 200 --faults hostile --seed 7 --html compare.html",
        "started": datetime(2026, 10, 3, 9, 30, tzinfo=UTC),
        "machine": Machine(
            processors=2,
            memory_gib=7.8,
            system="Linux 6.1, Debian 12",
            python="3.11.7",
            packages={"orderlab": "0.1.0", "temporalio": "1.35.0", "pydantic": "2.14.4", "sqlalchemy": "2.1.9"},
        ),
        "samples_ms": samples,
        "load": {"saga": load(1.0), "choreography": load(1.15)},
        "blast": {
            "saga": blast(delayed=0, compensated=0, share=0.0),
            "choreography": blast(delayed=3, compensated=2, share=0.05),
        },
        "consistent_ms": {"saga": Percentiles.of(samples["saga"]["marketing"]), "choreography": None},
        "eventbridge_usd_per_million_orders": {"saga": None, "choreography": 3.4},
        "coupling": coupling(),
        "timelines": [
            *(good_order(style) for style in ("saga", "choreography")),
            *(broken_order(style) for style in ("saga", "choreography")),
        ],
        "verdict": verdict(),
        "not_comparable": [
            "Both styles run on Temporal: a choreography over another broker has other costs.",
            "Acknowledged means that the order is safe, not that anything was done.",
            "All runs on one machine, the server included: throughput is no cluster's.",
        ],
    }
    return Comparison(**(fields | changes))


def nothing_measured(**changes: Any) -> Comparison:  # noqa: ANN401 - fields of a Comparison
    """A run that was interrupted before it had measured anything: null and empty wherever that can be."""
    nothing = StyleReport(
        orders_per_s=None,
        ack_ms=None,
        end_to_end_ms=None,
        reaction_ms=dict.fromkeys(SERVICES),
        history_events_per_order=None,
        actions_per_order=None,
        workflows_per_order=None,
        usd_per_million_orders=None,
        end_states={},
        retries=None,
        parked=None,
        effects={name: {} for name in SERVICES},
    )
    empty: dict[str, Any] = {
        "partial": True,
        "faults": None,
        "server": ServerReport(version="1.29.1", tuned=None, database="unknown"),
        "styles": {"saga": nothing, "choreography": nothing},
        "ratios": {},
        "differences": {},
        "parity": Parity(compared=0, differences=[]),
        "links": Links(order_id="1", saga=None, choreography=None),
        "samples_ms": {"saga": {}, "choreography": {}},
        "coupling": Coupling(modules=[], touched_by_a_new_service={}, lookups_to_explain_a_stuck_order={}),
        "timelines": [],
        "verdict": Verdict(headline="Nothing was measured.", findings=[], flips=[]),
        "not_comparable": [],
        "eventbridge_usd_per_million_orders": {"saga": None, "choreography": None},
    }
    empty |= dict.fromkeys(
        ("audit", "references", "load", "at_a_third", "fan_out", "growth", "blast", "consistent_ms", "profile")
    )
    return comparison(**(empty | changes))


def evil() -> Comparison:
    """Markup in whatever a person, a service or a file could have put there."""
    marks = [mark(EVIL, "effect", EVIL, 1), mark("order", "failure", EVIL, 2)]
    return comparison(
        command=f"orderlab compare --html {EVIL}",
        scenario=EVIL,
        profile=EVIL,
        unfinished=[EVIL],
        audit=AuditReport(
            checked=1,
            violations=[Violation(order_id=EVIL, style=None, guarantee=1, what=EVIL)],
            acts=[Act(order_id=EVIL, what=EVIL, by=EVIL)],
        ),
        timelines=[Timeline(order_id=EVIL, style="saga", title="a good order", state=EVIL, marks=marks)],
        samples_ms={"saga": {EVIL: [1.0, 2.0]}, "choreography": {}},
        links=Links(order_id=EVIL, saga="javascript:alert(1)", choreography=None),
        not_comparable=[EVIL],
    )


def coupling() -> Coupling:
    def module(style: Style, name: str, services: Sequence[str], events: list[str], ce: int, ca: int) -> Module:  # noqa: PLR0913, PLR0917
        known = ce + ca
        return Module(
            style=style,
            module=name,
            services=list(services),
            events=events,
            efferent=ce,
            afferent=ca,
            instability=ce / known if known else None,
        )

    return Coupling(
        modules=[
            module("saga", "workflows/order_saga.py", SERVICES, [], 5, 0),
            module("saga", "workflows/saga.py", [], [], 0, 1),
            *(module("saga", f"activities/{name}.py", [name], [], 0, 1) for name in SERVICES),
            module("choreography", "workflows/event_bus.py", [], [], 0, 0),
            *(
                module("choreography", f"activities/{name}.py", [name], ["order.placed", "order.cancelled"], 1, 1)
                for name in SERVICES
            ),
        ],
        touched_by_a_new_service={
            "saga": ["workflows/order_saga.py", "services/order_placed.py"],
            "choreography": [],
        },
        lookups_to_explain_a_stuck_order={
            "saga": ["Temporal UI: the saga's run"],
            "choreography": ["orderlab events ORDER", "orderlab parked", "Temporal UI: the bus' run"],
        },
    )


def verdict() -> Verdict:
    spanning = "In the choreography, it is {} (95 % interval {}) times what it is in the saga."
    return Verdict(
        headline="The saga does better in end-to-end latency, throughput and visibility. The choreography does better "
        "in coupling and a new service. No clear difference in reaction of shipping and blast radius.",
        findings=[
            Finding(
                criterion="end-to-end latency",
                named_in="ISO/IEC 25010, performance efficiency: time behaviour",
                answer="better",
                better="saga",
                evidence=spanning.format("1.09", "1.03 to 1.14"),
            ),
            Finding(
                criterion="reaction of shipping",
                named_in=None,
                answer="no clear difference",
                better=None,
                evidence=spanning.format("1.06", "0.92 to 1.22"),
            ),
            Finding(
                criterion="coupling",
                named_in="Martin 1994, instability",
                answer="better",
                better="choreography",
                evidence="The module that knows most services knows 4 in the saga, and 1 in the choreography.",
            ),
        ],
        flips=[
            "The styles are 3.1 ms apart per order (p50). With services that take 25 ms longer, nobody notices.",
            "Below 117,647,059 orders a year the difference in Actions is under 1,000 USD a year.",
        ],
    )
