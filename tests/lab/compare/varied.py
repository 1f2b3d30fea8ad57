"""Results at and about the limits at which an answer becomes another one."""

from faults.plan import load_plan
from lab.compare.comparison import Comparison
from lab.compare.verdict import verdict
from lab.report import PairedDifference
from orders.model import STYLES
from services.order_placed import ACTIONS
from tests.lab.compare import samples


def judged(comparison: Comparison) -> Comparison:
    """With the verdict that belongs to its figures."""
    return comparison.model_copy(update={"verdict": verdict(comparison, comparison.coupling, comparison.blast)})


def ratio_changed(**changes: float) -> Comparison:
    sample = samples.comparison()
    ratios = {name: ratio.model_copy(update=changes) for name, ratio in sample.ratios.items()}
    return sample.model_copy(update={"ratios": ratios})


def blasted(saga: int, choreography: int, orders: int | None, expected_effects: int = 57) -> Comparison:
    sample = samples.comparison()
    assert sample.blast is not None
    blast = {
        style: sample.blast[style].model_copy(
            update={
                "expected": expected_effects,
                "delayed": count,
                "share": round(count / expected_effects, 4),
                "orders": orders,
            }
        )
        for style, count in zip(STYLES, (saga, choreography), strict=True)
    }
    return samples.comparison(blast=blast)


def priced(saga: float, choreography: float, noise: float | None, *, pairs: int = 200, left_out: int = 0) -> Comparison:
    """Two bills, and half the width of the interval of the difference in Actions per order; None: it is not known."""
    styles = {
        style: report.model_copy(
            update={
                "usd_per_million_orders": usd,
                "actions_per_order": usd / 50,
            }
        )
        for (style, report), usd in zip(samples.comparison().styles.items(), (saga, choreography), strict=True)
    }
    mean = (choreography - saga) / 50
    differences = {}
    if noise is not None:
        differences["actions_per_order"] = PairedDifference(
            mean=round(mean, 4),
            low=round(mean - noise, 4),
            high=round(mean + noise, 4),
            pairs=pairs,
            left_out=left_out,
        )
    return samples.comparison(styles=styles, differences=differences)


CANCELLED = samples.comparison(faults=load_plan("hostile", ACTIONS).with_cancelled_share(0.125))

VARIED = (
    CANCELLED,
    samples.comparison(ratios={}),
    samples.nothing_measured(),
    ratio_changed(pairs=2),
    ratio_changed(pairs=5, low=1.2, high=1.3, median=1.25),
    ratio_changed(pairs=6, low=1.2, high=1.3, median=1.25),
    ratio_changed(low=1.002, median=1.03, high=1.07),
    ratio_changed(low=0.7, median=0.8, high=0.998),
    ratio_changed(low=0.91, median=1.0, high=1.09),
    blasted(9, 12, 20),
    blasted(0, 57, 20),
    blasted(2, 3, 5),
    blasted(1, 2, None, expected_effects=3),
    priced(329, 335, 0.4),
    priced(329, 335, 1.2),
    priced(329, 429, 0.4, pairs=5),
    priced(329, 429, 0.4, left_out=1_001),
    priced(329, 335, 0.0),
    priced(329, 429, 0.4),
    priced(4.5, 4.25, None),
)
