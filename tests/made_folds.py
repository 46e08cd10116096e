"""Counts by fold and by permutation, made from the counts of a dissection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nd_plugin import Dissection
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.fold_counts import FoldCounts

Integers = npt.NDArray[np.int64]
CHANCE_SHARE = 0.3  # of a unit's IoU, on average


def folds_from(
    intersection: Integers, unit_area: Integers, concept_area: Integers
) -> FoldCounts:
    """Pack dense counts (fold, unit, concept), (fold, unit, category), (fold, concept)."""
    flat = intersection.ravel()
    pairs = np.flatnonzero(flat)
    folds, _, categories = unit_area.shape
    images = np.ones((folds, categories), np.int64)
    return FoldCounts(pairs, flat[pairs], unit_area, concept_area, images)


def with_error_bars(
    dissection: Dissection, folds: int = 8, permutations: int = 19
) -> Dissection:
    """Return a dissection with random folds, which add up to it, and random permutations."""
    random = np.random.default_rng(5)

    def split(counts: Integers) -> Integers:
        shares = random.dirichlet(np.full(folds, 6.0), counts.shape)
        parts = random.multinomial(counts, shares)
        return np.moveaxis(parts, -1, 0)

    counts = folds_from(
        split(dissection.intersection),
        split(dissection.unit_area),
        split(dissection.concept_area),
    )
    category_images = split(dissection.category_images)
    shares = random.uniform(0, 2 * CHANCE_SHARE, (permutations, dissection.units))
    iou = np.minimum(shares * dissection.iou.max(axis=1), 1.0)
    labels = random.integers(0, len(dissection.concepts), iou.shape)
    return replace(
        dissection,
        folds=replace(counts, category_images=category_images),
        chance=ChanceCounts(iou, labels, fixed_images=1),
        settings=replace(
            dissection.settings, folds=folds, permutations=permutations
        ),
    )
