"""Paired measurements, as ratios or as differences, each with the interval that it is known to."""

import math
import statistics
from collections.abc import Mapping, Sequence

from lab.report import PairedDifference, Ratio

_RESAMPLES = 1_000


def ratio_of_pairs(ours: Sequence[float], theirs: Sequence[float], seed: int) -> Ratio | None:
    """The median of ours / theirs, pair by pair, with a 95 % interval; None of fewer than two pairs.

    The interval is the percentile bootstrap of the median (Efron 1979), as `scipy.stats.bootstrap` has it.

    Args:
        ours: measurements.
        theirs: as many, each taken beside the one of ours at the same place.
        seed: of the resampling.
    """
    import numpy as np  # noqa: PLC0415 - takes over a second, which no other command should wait for
    from scipy.stats import bootstrap  # noqa: PLC0415

    ratios = np.array([one / other for one, other in zip(ours, theirs, strict=True) if other > 0])
    if len(ratios) < 2:  # noqa: PLR2004 - one value says nothing about its spread
        return None
    found = bootstrap(
        (ratios,), np.median, n_resamples=_RESAMPLES, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    return Ratio(
        median=round(statistics.median(ratios.tolist()), 3),
        low=round(float(found.low), 3),
        high=round(float(found.high), 3),
        pairs=len(ratios),
    )


def ratios_of_pairs(pairs: Mapping[str, Sequence[tuple[float, float]]], seed: int) -> dict[str, Ratio]:
    """The ratio of each name that has pairs enough for one.

    Args:
        pairs: by name, what is ours and what it is divided by.
        seed: of the resampling.
    """
    found = {
        name: ratio_of_pairs([ours for ours, _ in values], [theirs for _, theirs in values], seed)
        for name, values in pairs.items()
    }
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def difference_of_pairs(ours: Mapping[str, float], theirs: Mapping[str, float]) -> PairedDifference | None:
    """The mean of ours - theirs over what both have, with a 95 % interval; None of fewer than two pairs.

    The interval is by Student's t distribution over the differences: what makes an order dear in both, such as one that
    fails for good, does not widen it.

    Args:
        ours: measurement by order.
        theirs: likewise.
    """
    both = sorted(ours.keys() & theirs.keys())
    if len(both) < 2:  # noqa: PLR2004 - one value says nothing about its spread
        return None
    from scipy.stats import t as student  # noqa: PLC0415 - takes long, which no other command should wait for

    differences = [ours[order] - theirs[order] for order in both]
    mean = statistics.fmean(differences)
    half = float(student.ppf(0.975, len(both) - 1)) * statistics.stdev(differences) / math.sqrt(len(both))
    return PairedDifference(
        mean=round(mean, 4),
        low=round(mean - half, 4),
        high=round(mean + half, 4),
        pairs=len(both),
        left_out=len(ours.keys() ^ theirs.keys()),
    )
