"""p-values of units and false-discovery rates, by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest

from nd_plugin.significance.statistics.p_values import (
    false_discovery_rate,
    p_values,
    q_values,
)


def test_p_values_by_hand() -> None:
    """Permutations at or above the unit, and the unit itself, of all of them and itself."""
    best_iou = np.array([0.5, 0.2, 0.0])
    chance = np.array([[0.1, 0.2, 0.0], [0.5, 0.1, 0.0], [0.4, 0.3, 0.0]])
    assert p_values(best_iou, chance).tolist() == [2 / 4, 3 / 4, 1.0]


def test_smallest_p_value() -> None:
    chance = np.zeros((99, 2))
    assert p_values(np.array([0.1, 0.0]), chance).tolist() == [0.01, 1.0]


def test_p_values_under_the_null_are_uniform() -> None:
    """A unit's own IoU is exchangeable with those of permutations: each rank is as likely.

    Of 20 ranks and 4,000 units the statistic has a chi-square distribution of 19 degrees of
    freedom, which is above 50 once in 8,000 seeds.
    """
    random = np.random.default_rng(3)
    iou = random.beta(1.0, 30.0, (20, 4000))
    p = p_values(iou[0], iou[1:])
    counts = np.bincount(np.rint(p * 20).astype(int), minlength=21)[1:]
    assert ((counts - 200) ** 2 / 200).sum() < 50
    assert set((np.rint(p * 20) / 20).tolist()) <= {
        rank / 20 for rank in range(1, 21)
    }


def test_q_values_by_hand() -> None:
    p = np.array([0.04, 0.01, 0.03, 0.5])
    # ratios by rank: 0.01 * 4, 0.03 * 2, 0.04 * 4 / 3, 0.5; the second is above the third
    expected = [0.16 / 3, 0.04, 0.16 / 3, 0.5]
    assert q_values(p).tolist() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("units", [1, 7, 500])
def test_q_values_are_those_of_scipy(units: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(units)
    p = random.integers(1, 101, units) / 101  # with ties, as permutations give them
    # the same products and quotients in another order: rounding only
    assert q_values(p) == pytest.approx(stats.false_discovery_control(p), rel=1e-12)


def test_q_values_of_no_unit() -> None:
    assert q_values(np.zeros(0)).tolist() == []


@pytest.mark.parametrize(
    ("expected", "detectors", "rate"),
    [(0.4, 38, 0.4 / 38), (12.0, 10, 1.0), (0.0, 10, 0.0), (3.0, 0, 0.0)],
)
def test_false_discovery_rate(expected: float, detectors: int, rate: float) -> None:
    assert false_discovery_rate(expected, detectors) == rate
