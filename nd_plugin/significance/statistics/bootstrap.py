"""Bootstrap intervals: percentile, basic, BCa and symmetric, with tails for few folds.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 14; Hall, On
Symmetric Bootstrap Confidence Intervals (1988); Hesterberg, What Teachers Should Know About the
Bootstrap (2015), section 5.4, on the tails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from nd_plugin.errors import BadInput

Floats = npt.NDArray[np.float64]
Ends = tuple[Floats, Floats]

METHODS = ("symmetric", "percentile", "basic", "bca")
LEVEL = 0.95
NORMAL = NormalDist()


@dataclass(frozen=True, eq=False)
class BootstrapSample:
    """Statistics of all images, of resamples, and with one fold left out; any shape ``…``."""

    estimate: Floats  # (…)
    replicates: Floats  # (resample, …)
    jackknife: Floats  # (fold, …)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.jackknife)


def check_level(level: float) -> None:
    """Raise BadInput for the level of an interval that is not between 0 and 1."""
    if not 0 < level < 1:
        raise BadInput(f"level {level!r} is not between 0 and 1 (0.95 is usual)")


def interval_ends(sample: BootstrapSample, level: float, method: str) -> Ends:
    """Return the lower and the upper ends of intervals; (…) each.

    The methods, with θ the statistic of all images and θ* that of resamples:

    - percentile: quantiles of θ*
    - basic: θ minus quantiles of θ* - θ
    - symmetric: θ plus and minus a quantile of |θ* - θ|
    - bca: quantiles of θ* at levels corrected for bias and acceleration

    Raises BadInput for an unknown method and a level that is not between 0 and 1.
    """
    check_level(level)
    if method not in METHODS:
        raise BadInput(f"method {method!r} is none of {', '.join(METHODS)}")
    deviate = tail_deviate(level, sample.folds)
    if method == "bca":
        return _bca(sample, deviate)
    tail = NORMAL.cdf(-deviate)
    if method == "symmetric":
        errors = np.abs(sample.replicates - sample.estimate)
        reach = np.quantile(errors, 1 - 2 * tail, axis=0)
        return sample.estimate - reach, sample.estimate + reach
    low, high = np.quantile(sample.replicates, (tail, 1 - tail), axis=0)
    if method == "percentile":
        return low, high
    return 2 * sample.estimate - high, 2 * sample.estimate - low


def tail_deviate(level: float, folds: int) -> float:
    """Return the normal deviate that cuts off the tails of an interval of a few folds.

    Resampling F folds understates the variance by (F - 1) / F and takes it as known. Student's t
    with F - 1 degrees of freedom times sqrt(F / (F - 1)) makes up for both: 2.15 for 20 folds at
    95 %, where the normal deviate is 1.96.
    """
    # SciPy takes a while to import, and runs with folds alone need it
    from scipy.special import stdtrit

    student = float(stdtrit(folds - 1, 0.5 + level / 2))
    return student * math.sqrt(folds / (folds - 1))


def _bca(sample: BootstrapSample, deviate: float) -> Ends:
    """Return intervals corrected for bias and acceleration, the latter by the jackknife."""
    below = (sample.replicates < sample.estimate).mean(axis=0)
    equal = (sample.replicates == sample.estimate).mean(axis=0)
    # counts are often equal: half of those count as below
    share = np.clip(below + equal / 2, *_share_limits(len(sample.replicates)))
    bias = _normal_deviates(share)
    acceleration = _acceleration(sample.jackknife)
    ends = []
    for sign in (-1, 1):
        shifted = bias + sign * deviate
        corrected = bias + shifted / (1 - acceleration * shifted)
        ends.append(_quantile_each(sample.replicates, _normal_shares(corrected)))
    return ends[0], ends[1]


def _share_limits(resamples: int) -> tuple[float, float]:
    """Return the shares that as many resamples tell from 0 and 1."""
    smallest = 0.5 / resamples
    return smallest, 1 - smallest


def _acceleration(jackknife: Floats) -> Floats:
    """Return the skewness of the influence of folds, divided by 6; 0 where all are alike."""
    influence = jackknife.mean(axis=0) - jackknife
    scale = (influence**2).sum(axis=0) ** 1.5
    zeros = np.zeros(scale.shape)
    skewness: Floats = np.divide(
        (influence**3).sum(axis=0), scale, out=zeros, where=scale > 0
    )
    return skewness / 6


def _normal_deviates(shares: Floats) -> Floats:
    deviates: Floats = np.vectorize(NORMAL.inv_cdf, otypes=[float])(shares)
    return deviates


def _normal_shares(deviates: Floats) -> Floats:
    shares: Floats = np.vectorize(NORMAL.cdf, otypes=[float])(deviates)
    return shares


def _quantile_each(replicates: Floats, shares: Floats) -> Floats:
    """Return a quantile of its own share for each statistic."""
    ordered = np.sort(replicates, axis=0)
    positions = shares * (len(ordered) - 1)
    lower = np.floor(positions).astype(np.int64)
    upper = np.minimum(lower + 1, len(ordered) - 1)
    fraction = positions - lower
    below = np.take_along_axis(ordered, lower[None], 0)[0]
    above = np.take_along_axis(ordered, upper[None], 0)[0]
    values: Floats = below + fraction * (above - below)
    return values
