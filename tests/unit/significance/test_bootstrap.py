"""Intervals of a statistic from resamples: by hand, against SciPy, and by coverage."""

from __future__ import annotations

import numpy as np
import pytest

from nd_plugin import BadInput
from nd_plugin.significance.statistics.bootstrap import (
    METHODS,
    BootstrapSample,
    interval_ends,
    tail_deviate,
)
from nd_plugin.significance.statistics.resampling import draw_weights, leave_one_out

LEVEL = 0.95


def test_tails_of_few_folds_are_wider() -> None:
    deviates = [tail_deviate(LEVEL, folds) for folds in (2, 5, 20, 1000)]
    assert deviates == sorted(deviates, reverse=True)
    # tables of Student's t: 12.706 and 2.093 for 1 and 19 degrees of freedom
    assert deviates[0] == pytest.approx(12.706 * 2**0.5, abs=1e-3)
    assert deviates[2] == pytest.approx(2.093 * (20 / 19) ** 0.5, abs=1e-3)
    assert deviates[3] == pytest.approx(1.96, abs=5e-3)


def sample_of(values: np.ndarray, resamples: int = 4000) -> BootstrapSample:
    """Resample the mean of (fold, …) values."""
    folds = len(values)
    weights = draw_weights(folds, resamples, 0) / folds
    jackknife = leave_one_out(folds) / (folds - 1)
    return BootstrapSample(
        values.mean(axis=0),
        np.tensordot(weights, values, 1),
        np.tensordot(jackknife, values, 1),
    )


def test_percentile_basic_and_symmetric_by_hand() -> None:
    """Of replicates 0, 1 … 100 the quantile of a share is 100 times the share."""
    replicates = np.arange(101.0)
    sample = BootstrapSample(np.array(40.0), replicates, np.zeros(1000))
    tail = 100 * 0.025  # of 1,000 folds; its deviate is 0.3 % above the normal one
    low, high = interval_ends(sample, LEVEL, "percentile")
    assert (low, high) == (
        pytest.approx(tail, abs=0.05),
        pytest.approx(100 - tail, abs=0.05),
    )
    assert interval_ends(sample, LEVEL, "basic") == (80 - high, 80 - low)
    # the largest of the 101 distances to 40 are 60, 59 …: the 95th is 55
    low, high = interval_ends(sample, LEVEL, "symmetric")
    assert high - 40 == 40 - low == pytest.approx(55, abs=0.06)


@pytest.mark.parametrize("method", METHODS)
def test_coverage_of_a_mean(method: str) -> None:
    """Of 1,500 skewed samples of 20 folds, about 95 % cover the mean.

    The share has a standard deviation of 0.6 %; skewness costs up to 3 % (the sum of 20 images in
    each fold makes it small).
    """
    random = np.random.default_rng(8)
    values = random.gamma(0.5, 2.0, (20, 20, 1500)).mean(axis=1)
    low, high = interval_ends(sample_of(values, 1000), LEVEL, method)
    assert 0.925 < ((low <= 1) & (high >= 1)).mean() < 0.97


def test_bca_is_that_of_scipy() -> None:
    """With the normal deviate of many folds; SciPy draws its own resamples, so by their noise."""
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(2).exponential(1.0, 800)
    low, high = interval_ends(sample_of(values), LEVEL, "bca")
    # SciPy's word for it until 1.15, and the one that it takes still
    random = {"random_state": np.random.default_rng(5)}
    result = stats.bootstrap((values,), np.mean, n_resamples=4000, **random)
    width = high - low
    assert result.confidence_interval.low == pytest.approx(low, abs=0.05 * width)
    assert result.confidence_interval.high == pytest.approx(high, abs=0.05 * width)


@pytest.mark.parametrize("method", METHODS)
def test_statistics_that_never_vary(method: str) -> None:
    sample = BootstrapSample(
        np.array([3.0]), np.full((50, 1), 3.0), np.full((4, 1), 3.0)
    )
    low, high = interval_ends(sample, LEVEL, method)
    assert (low.tolist(), high.tolist()) == ([3.0], [3.0])


def test_bad_levels_and_methods() -> None:
    sample = BootstrapSample(np.array(0.0), np.zeros(50), np.zeros(4))
    with pytest.raises(BadInput, match=r"level 95 is not between 0 and 1"):
        interval_ends(sample, 95, "basic")
    with pytest.raises(
        BadInput, match=r"'student' is none of symmetric, percentile"
    ):
        interval_ends(sample, LEVEL, "student")
