"""Figures as a run of 200 orders could have measured them."""

import random

from lab.compare.comparison import BlastRadius, LoadPoint
from lab.report import Cancellations, Percentiles, Ratio, ReferenceReport, StyleReport

SERVICES = ("shipping", "invoicing", "marketing", "analytics")
_TYPICAL_MS = {"shipping": 20.0, "invoicing": 22.0, "marketing": 31.0, "analytics": 19.0}


def times(name: str, factor: float, count: int = 100) -> list[float]:
    """Reaction times in ms with the long tail of retries, always the same ones."""
    rng = random.Random(name)  # noqa: S311 - reproducible
    typical = _TYPICAL_MS[name.rstrip("'")] * factor
    return sorted(
        round(rng.lognormvariate(0, 0.18) * typical + (rng.uniform(200, 900) if rng.random() < 0.06 else 0), 2)
        for _ in range(count)
    )


def ratio(median: float, low: float, high: float, pairs: int = 100) -> Ratio:
    return Ratio(median=median, low=low, high=high, pairs=pairs)


def saga(samples: dict[str, list[float]]) -> StyleReport:
    return StyleReport(
        orders_per_s=38.69,
        ack_ms=Percentiles(p50=3.7, p95=8.8, p99=12.1, max=15.0, n=100),
        end_to_end_ms=Percentiles(p50=36.8, p95=455.0, p99=910.4, max=1204.2, n=100),
        reaction_ms={name: Percentiles.of(values) for name, values in samples.items()},
        history_events_per_order=31.2,
        actions_per_order=5.64,
        workflows_per_order=1.02,
        noise_per_order={"history_events_per_order": 1.1, "actions_per_order": 0.21, "workflows_per_order": 0.02},
        usd_per_million_orders=282.0,
        end_states={"completed": 176, "cancelled": 14, "parked": 9, "attention": 1},
        retries=103,
        parked=9,
        cancellations=Cancellations(
            asked=12,
            accepted=9,
            refused=3,
            answered_ms=Percentiles(p50=18.2, p95=41, p99=55, max=60.2, n=12),
            consistent_ms=Percentiles(p50=44.2, p95=90, p99=110, max=120.9, n=9),
        ),
        effects={name: {} for name in SERVICES},
    )


def choreography(samples: dict[str, list[float]]) -> StyleReport:
    changes = {
        "orders_per_s": 37.43,
        "end_to_end_ms": Percentiles(p50=39.9, p95=480.5, p99=899.0, max=1100.0, n=100),
        "reaction_ms": {name: Percentiles.of(values) for name, values in samples.items()},
        "history_events_per_order": 33.9,
        "actions_per_order": 5.81,
        "usd_per_million_orders": 290.5,
        "retries": 99,
    }
    return saga(samples).model_copy(update=changes)


def references() -> dict[str, ReferenceReport]:
    slow = Percentiles(p50=77.0, p95=120.0, p99=160.0, max=204.0, n=100)
    fast = Percentiles(p50=30.1, p95=42.0, p99=51.2, max=60.0, n=100)
    return {
        "bare_workflow": ReferenceReport(
            orders_per_s=48.1, end_to_end_ms=fast, reaction_ms=dict.fromkeys(SERVICES, fast)
        ),
        "naive_fanout": ReferenceReport(
            orders_per_s=14.2, end_to_end_ms=slow, reaction_ms=dict.fromkeys(SERVICES, slow)
        ),
        "one_activity": ReferenceReport(
            orders_per_s=None, end_to_end_ms=fast, reaction_ms={"shipping": fast, "invoicing": None}
        ),
    }


def load(factor: float) -> list[LoadPoint]:
    points = []
    for rate, p50, p99 in ((5, 34, 70), (10, 36, 90), (20, 44, 180), (30, 90, 900), (40, 1800, 5200)):
        ms = Percentiles(p50=p50 * factor, p95=p99 * factor * 0.8, p99=p99 * factor, max=p99 * 1.4, n=100)
        points.append(LoadPoint(rate_per_s=rate, end_to_end_ms=ms, reaction_ms=dict.fromkeys(SERVICES, ms)))
    return points


def blast(*, delayed: int, compensated: int, share: float) -> BlastRadius:
    return BlastRadius(
        service="shipping", expected=60, delayed=delayed, lost=0, compensated=compensated, share=share, orders=20
    )
