"""Detectors and unique detectors of many labellings of one layer: resamples or permutations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelCounts:
    """Counts of each labelling, by category of the label."""

    detectors_by_category: Integers  # (labelling, category)
    unique_by_category: Integers  # (labelling, category)

    @property
    def detectors(self) -> Integers:
        """Units that are detectors; (labelling,)."""
        total: Integers = self.detectors_by_category.sum(axis=1)
        return total

    @property
    def unique_detectors(self) -> Integers:
        """Distinct labels among detectors; (labelling,)."""
        total: Integers = self.unique_by_category.sum(axis=1)
        return total


def count_labels(
    labels: Integers,
    iou: Floats,
    category_of: Integers,
    categories: int,
    min_iou: float,
) -> LabelCounts:
    """Count detectors and distinct labels among them, by category.

    Args:
        labels: Label of each unit, as an index; (labelling, unit).
        iou: IoU with it; (labelling, unit).
        category_of: Category of each concept, as an index; (concept,).
        categories: Number of categories.
        min_iou: IoU above which a unit is a detector.
    """
    rows, units = np.nonzero(iou > min_iou)
    detected = np.zeros((len(labels), len(category_of)), np.int64)
    np.add.at(detected, (rows, labels[rows, units]), 1)
    membership = np.zeros((len(category_of), categories), np.int64)
    membership[np.arange(len(category_of)), category_of] = 1
    return LabelCounts(detected @ membership, (detected > 0) @ membership)
