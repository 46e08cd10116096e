"""Dissections with counts by fold, made by hand: unit k overlaps concept k, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nd_plugin import Concept, Dissection
from nd_plugin.significance.fold_counts import FoldCounts

AREA = 1000  # pixels of each mask and of each concept, in a fold
Integers = npt.NDArray[np.int64]


def folded(dissection: Dissection, overlaps: Integers) -> Dissection:
    """Return a dissection of such units: ``overlaps`` (fold, unit) are |M_k ∩ L_k|."""
    folds, units = overlaps.shape
    concepts = tuple(Concept(f"thing {unit}", "object") for unit in range(units))
    intersection = np.diag(overlaps.sum(axis=0))
    fold_index, unit_index = np.nonzero(overlaps)
    pairs = (fold_index * units + unit_index) * units + unit_index
    counts = FoldCounts(
        pairs=pairs,
        pixels=overlaps[fold_index, unit_index],
        unit_area=np.full((folds, units, 1), AREA),
        concept_area=np.full((folds, units), AREA),
        category_images=np.ones((folds, 1), np.int64),
    )
    return replace(
        dissection,
        categories=("object",),
        concepts=concepts,
        thresholds=np.ones(units),
        intersection=intersection,
        unit_area=np.full((units, 1), AREA * folds),
        concept_area=np.full(units, AREA * folds),
        category_images=np.array([folds]),
        category_pixels=None,
        dead=np.zeros(units, bool),
        sparse=np.zeros(units, bool),
        # as many images as have the category
        image_names=tuple(f"{index}.jpg" for index in range(max(folds, 4))),
        top_images=np.array([[1, 0, 3]] * units),
        top_activations=np.array([[2.0, 1.0, 0.5]] * units),
        folds=counts,
        settings=replace(dissection.settings, folds=folds),
    )
