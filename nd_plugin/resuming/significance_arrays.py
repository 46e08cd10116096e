"""Counts by fold and concepts of images in the state of a part (see `state_arrays`).

Earlier versions have saved none. Arrays have names such as ``folds/0/pairs`` (a field of
`FoldCounts`, for layer and quantile number 0) and ``image/concepts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from nd_plugin.borders.json_values import read_list, read_value
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


def unpack_key(key: Any) -> tuple[str, float]:
    """Unpack a layer and a quantile. Raises ValueError."""
    layer, quantile = read_list(Any, key, "layer and quantile")
    return read_value(str, layer, "layer"), read_value(float, quantile, "quantile")


def unpack(
    packed: Mapping[str, Any], arrays: Mapping[str, Any], counted: CountState
) -> None:
    """Set what `pack` has packed, as far as there is any."""
    for number, key in enumerate(packed.get("folds", [])):
        layer, quantile = unpack_key(key)
        columns = {name: arrays[f"folds/{number}/{name}"] for name in FOLD_ARRAYS}
        no_images = np.zeros((len(columns["unit_area"]), 0), np.int64)
        counts = FoldCounts(**columns, category_images=no_images)
        _check_pairs(counts)
        counted.folds[layer, quantile] = FoldSums.of(counts)
    if "image/images" in arrays:
        images = ImageConcepts(
            *(arrays[f"image/{field.name}"] for field in fields(ImageConcepts))
        )
        counted.image_concepts.append(images)


def _check_pairs(counts: FoldCounts) -> None:
    """Check the arrays of folds before they become tables. Raises ValueError."""
    shapes = [array.ndim for array in (counts.unit_area, counts.concept_area)]
    pairs, pixels = counts.pairs, counts.pixels
    if shapes != [3, 2] or pairs.ndim != 1 or pairs.shape != pixels.shape:
        raise ValueError("the folds have arrays of other shapes")
    kinds = {array.dtype.kind for array in (pairs, pixels, counts.unit_area)}
    if kinds != {"i"}:
        raise ValueError("the folds have other numbers than integers")
    end = counts.folds * counts.units * counts.concepts
    ascends = bool((pairs[1:] > pairs[:-1]).all())
    if not ascends or pairs.min(initial=0) < 0 or pairs.max(initial=-1) >= end:
        raise ValueError(f"the pairs of the folds do not ascend to less than {end}")
    if pixels.min(initial=0) < 0:
        raise ValueError("the folds have a negative number of pixels")
