"""Counts by fold and concepts of images in the state of a part (see `state_arrays`).

Earlier versions have saved none. Arrays have names such as ``folds/0/pairs`` (a field of
`FoldCounts`, for layer and quantile number 0) and ``image/concepts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from nd_plugin.engine.state import CountState
from nd_plugin.significance.fold_counts import FoldCounts
from nd_plugin.significance.folds import FoldSums
from nd_plugin.significance.image_concepts import ImageConcepts

FOLD_ARRAYS = ("pairs", "pixels", "unit_area", "concept_area")


def pack(counted: CountState, arrays: dict[str, Any]) -> dict[str, Any]:
    """Add the arrays of a state to ``arrays``, and return the keys of its folds."""
    for number, sums in enumerate(counted.folds.values()):
        folds = len(sums.intersections)
        no_area = np.zeros((folds, sums.concepts), np.int64)
        no_images = np.zeros((folds, 0), np.int64)
        counts = sums.counts(no_area, no_images)
        for name in FOLD_ARRAYS:
            arrays[f"folds/{number}/{name}"] = getattr(counts, name)
    if counted.image_concepts:
        images = ImageConcepts.joined(counted.image_concepts)
        for field in fields(ImageConcepts):
            arrays[f"image/{field.name}"] = getattr(images, field.name)
    return {"folds": [list(key) for key in counted.folds]}


def unpack(
    packed: Mapping[str, Any], arrays: Mapping[str, Any], counted: CountState
) -> None:
    """Set what `pack` has packed, as far as there is any."""
    for number, (layer, quantile) in enumerate(packed.get("folds", [])):
        columns = {name: arrays[f"folds/{number}/{name}"] for name in FOLD_ARRAYS}
        no_images = np.zeros((len(columns["unit_area"]), 0), np.int64)
        counts = FoldCounts(**columns, category_images=no_images)
        counted.folds[layer, quantile] = FoldSums.of(counts)
    if "image/images" in arrays:
        images = ImageConcepts(
            *(arrays[f"image/{field.name}"] for field in fields(ImageConcepts))
        )
        counted.image_concepts.append(images)
