"""Comparisons of all kinds, also such as no run is likely to measure."""

from datetime import UTC, datetime
from typing import TypeVar

from hypothesis import strategies as st

from faults.plan import load_plan
from lab.audit import Act, AuditReport, Violation
from lab.compare.comparison import (
    BlastRadius,
    Comparison,
    Coupling,
    LoadPoint,
    Machine,
    Mark,
    Module,
    Timeline,
    Verdict,
)
from lab.parity import Difference, Parity
from lab.report import (
    Cancellations,
    Links,
    PairedDifference,
    Percentiles,
    Ratio,
    ReferenceReport,
    ServerReport,
    StyleReport,
)
from orders.model import STYLES, Style
from services.order_placed import ACTIONS

T = TypeVar("T")

_NUMBERS = st.floats(0, 1e9)
_SIGNED = st.floats(-1e9, 1e9)
_COUNTS = st.integers(0, 10**6)
_WORDS = st.text(max_size=12)
_NAMES = st.sampled_from(["shipping", "a service whose name is longer than any label", "<b>", "é_ö"])
_EFFECTS = ("expected", "delayed", "lost", "compensated", "orders")
_TIMES = st.none() | st.builds(Percentiles, p50=_NUMBERS, p95=_NUMBERS, p99=_NUMBERS, max=_NUMBERS, n=_COUNTS)
_STYLES: st.SearchStrategy[Style] = st.sampled_from(STYLES)
_BY_SERVICE = st.dictionaries(_NAMES, _TIMES, max_size=3)


def _lists(of: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    return st.lists(of, max_size=3)


def _by_style(of: st.SearchStrategy[T]) -> st.SearchStrategy[dict[Style, T]]:
    return st.dictionaries(_STYLES, of)


_STYLE_REPORTS = st.builds(
    StyleReport,
    orders_per_s=st.none() | _NUMBERS,
    ack_ms=_TIMES,
    end_to_end_ms=_TIMES,
    reaction_ms=_BY_SERVICE,
    history_events_per_order=st.none() | _NUMBERS,
    actions_per_order=st.none() | _NUMBERS,
    workflows_per_order=st.none() | _NUMBERS,
    usd_per_million_orders=st.none() | _NUMBERS,
    end_states=st.dictionaries(st.sampled_from(["completed", "parked", "attention", "lost"]), _COUNTS),
    cancellations=st.none() | st.builds(Cancellations, answered_ms=_TIMES, consistent_ms=_TIMES),
    effects=st.just({}),
)

_MARKS = st.builds(
    Mark,
    lane=st.sampled_from(["order", "bus"]) | _NAMES,
    what=_WORDS,
    from_ms=st.floats(-10, 1e7),
    to_ms=st.floats(-10, 1e7),
)

COMPARISONS: st.SearchStrategy[Comparison] = st.builds(
    Comparison,
    orders=_COUNTS,
    faults=st.none() | st.just(load_plan("customers", ACTIONS)),
    server=st.builds(ServerReport),
    styles=st.fixed_dictionaries(dict.fromkeys(STYLES, _STYLE_REPORTS)),
    references=st.none()
    | st.dictionaries(
        _WORDS,
        st.builds(ReferenceReport, orders_per_s=st.none() | _NUMBERS, end_to_end_ms=_TIMES, reaction_ms=_BY_SERVICE),
        max_size=2,
    ),
    ratios=st.dictionaries(
        st.sampled_from(["ack_ms", "orders_per_s", "reaction_ms.shipping", "saga/other.end_to_end_ms", "new"]),
        st.builds(Ratio, median=_NUMBERS, low=_NUMBERS, high=_NUMBERS, pairs=_COUNTS),
    ),
    differences=st.dictionaries(
        st.sampled_from(["actions_per_order", "new"]),
        st.builds(PairedDifference, mean=_SIGNED, low=_SIGNED, high=_SIGNED, pairs=_COUNTS, left_out=_COUNTS),
    ),
    parity=st.builds(
        Parity, differences=_lists(st.builds(Difference, saga=st.just({}), choreography=st.just({"x": {"a": 1}})))
    ),
    audit=st.none() | st.builds(AuditReport, violations=_lists(st.builds(Violation)), acts=_lists(st.builds(Act))),
    kills=st.none(),
    down=st.none(),
    links=st.builds(Links),
    unfinished=_lists(_WORDS),
    started=st.just(datetime(2026, 10, 3, tzinfo=UTC)),
    machine=st.builds(Machine, memory_gib=_NUMBERS),
    partial=st.booleans(),
    profile=st.none() | _WORDS,
    samples_ms=_by_style(st.dictionaries(_NAMES, st.lists(_NUMBERS, max_size=5), max_size=3)),
    load=st.none()
    | _by_style(_lists(st.builds(LoadPoint, rate_per_s=_NUMBERS, end_to_end_ms=_TIMES, reaction_ms=st.just({})))),
    blast=st.none() | _by_style(st.builds(BlastRadius, share=_NUMBERS, **dict.fromkeys(_EFFECTS, _COUNTS))),
    consistent_ms=st.none() | _by_style(_TIMES),
    eventbridge_usd_per_million_orders=_by_style(st.none() | _NUMBERS),
    coupling=st.builds(
        Coupling,
        modules=_lists(st.builds(Module, instability=st.none() | st.floats(0, 1))),
        touched_by_a_new_service=_by_style(_lists(_WORDS)),
        lookups_to_explain_a_stuck_order=_by_style(_lists(_WORDS)),
    ),
    timelines=_lists(st.builds(Timeline, marks=st.lists(_MARKS, max_size=6))),
    verdict=st.builds(Verdict),
    not_comparable=_lists(_WORDS),
)
