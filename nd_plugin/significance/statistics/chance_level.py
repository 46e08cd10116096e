"""Chance level of a layer: how many detectors permuted annotations give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nd_plugin.report.error_bars.records import ChanceCount, ChanceLevel
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.statistics.label_counts import LabelCounts, count_labels
from nd_plugin.significance.statistics.p_values import (
    false_discovery_rate,
    p_values,
    q_values,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
SPREAD = (0.025, 0.975)  # shares of permutations below the ends of a range


def chance_level(
    best_iou: Floats,
    chance: ChanceCounts,
    category_of: Integers,
    categories: Sequence[str],
    min_iou: float,
) -> ChanceLevel:
    """Return the counts to expect by chance, and p-values of the units.

    ``best_iou`` (unit,) is each unit's IoU with its label. The false-discovery rate takes all units
    for units without a concept, which makes it an upper estimate.
    """
    p = p_values(best_iou, chance.iou)
    counts = count_labels(
        chance.labels, chance.iou, category_of, len(categories), min_iou
    )
    detectors = _spread(counts.detectors)
    detector_count = int((best_iou > min_iou).sum())
    return ChanceLevel(
        permutations=chance.permutations,
        fixed_images=chance.fixed_images,
        detectors=detectors,
        unique_detectors=_spread(counts.unique_detectors),
        detectors_by_category=_by_category(counts, categories, unique=False),
        unique_detectors_by_category=_by_category(counts, categories, unique=True),
        false_discovery_rate=false_discovery_rate(detectors.mean, detector_count),
        p_values=p,
        q_values=q_values(p),
        iou=chance.iou.mean(axis=0),
    )


def _by_category(
    counts: LabelCounts, categories: Sequence[str], *, unique: bool
) -> Mapping[str, ChanceCount]:
    table = counts.unique_by_category if unique else counts.detectors_by_category
    return {name: _spread(table[:, index]) for index, name in enumerate(categories)}


def _spread(counts: Integers) -> ChanceCount:
    """Return mean and range of a count over permutations."""
    low, high = np.quantile(counts, SPREAD, method="inverted_cdf")
    return ChanceCount(float(counts.mean()), float(low), float(high))
