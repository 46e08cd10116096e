"""p-values of units against permuted annotations, and false-discovery rates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def p_values(best_iou: Floats, chance_iou: Floats) -> Floats:
    """Return the p-value of each unit's best IoU over all concepts; (unit,).

    ``best_iou`` (unit,) is that of the annotations as they are, ``chance_iou``
    (permutation, unit) of permuted ones, each again the best over all concepts: the p-value is
    corrected for having looked at all of them (maximum statistic, Westfall and Young 1993). The
    permutation that changes nothing counts as one of them, so that no p-value is below
    1 / (permutations + 1): (1 + permutations at or above the unit) / (permutations + 1).
    """
    at_or_above = (chance_iou >= best_iou).sum(axis=0)
    values: Floats = (1 + at_or_above) / (len(chance_iou) + 1)
    return values


def q_values(p: Floats) -> Floats:
    """Return the smallest false-discovery rate at which each unit is significant; (unit,).

    Benjamini and Hochberg (1995): p times the number of units, divided by the rank of p, made
    monotone from the largest rank down.
    """
    order = np.argsort(p, kind="stable")
    ranks = np.arange(1, len(p) + 1)
    ratios = p[order] * len(p) / ranks
    smallest_above = np.minimum.accumulate(ratios[::-1])[::-1]
    values = np.empty(len(p))
    values[order] = np.minimum(smallest_above, 1.0)
    return values


def false_discovery_rate(expected_by_chance: float, detectors: int) -> float:
    """Return the share of a layer's detectors that chance explains, at most 1.

    Where no unit is a detector, no discovery can be false: 0.
    """
    if detectors == 0:
        return 0.0
    return min(1.0, expected_by_chance / detectors)
