"""Fold counts and chance level as arrays of ``dissection.npz``, read without trust.

All of them are optional: a run that did not count them, or an earlier version, has none. Pairs
are stored as the distances between them, which are small and compress well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nd_plugin.errors import RunInvalid
from nd_plugin.method.annotations import to_smallest_type
from nd_plugin.significance.chance_counts import ChanceCounts
from nd_plugin.significance.fold_counts import FoldCounts, Integers

Arrays = Mapping[str, Any]
FOLD_ARRAYS = (
    "fold_gaps",
    "fold_pixels",
    "fold_unit_area",
    "fold_concept_area",
    "fold_category_images",
)
CHANCE_ARRAYS = ("chance_iou", "chance_labels", "chance_fixed_images")
FEWEST_FOLDS = 2  # intervals compare them


@dataclass(frozen=True)
class LayerCounts:
    """Counts of the Dissection that stored arrays belong to."""

    intersection: Integers  # (unit, concept)
    unit_area: Integers  # (unit, category)
    concept_area: Integers  # (concept,)
    category_images: Integers  # (category,)


def pack(folds: FoldCounts | None, chance: ChanceCounts | None) -> dict[str, Any]:
    """Return the arrays of a layer by name; those of None are left out."""
    arrays: dict[str, Any] = {}
    if folds is not None:
        arrays["fold_gaps"] = to_smallest_type(np.diff(folds.pairs, prepend=0))
        arrays["fold_pixels"] = to_smallest_type(folds.pixels)
        arrays["fold_unit_area"] = folds.unit_area
        arrays["fold_concept_area"] = folds.concept_area
        arrays["fold_category_images"] = folds.category_images
    if chance is not None:
        arrays["chance_iou"] = chance.iou
        arrays["chance_labels"] = chance.labels
        arrays["chance_fixed_images"] = np.array(chance.fixed_images, np.int64)
    return arrays


def read(stored: Arrays) -> dict[str, Any]:
    """Return those arrays of an opened npz file that `unpack` takes, by name."""
    names = [name for name in FOLD_ARRAYS + CHANCE_ARRAYS if name in stored]
    return {name: stored[name] for name in names}


def unpack(
    arrays: Arrays, counts: LayerCounts
) -> tuple[FoldCounts | None, ChanceCounts | None]:
    """Unpack what `pack` has packed, checked against the Dissection's counts.

    Raises RunInvalid for arrays that are missing, of another shape, negative, too few, or that do
    not add up to the counts.
    """
    folds = None
    if any(name in arrays for name in FOLD_ARRAYS):
        _check_all_there(arrays, FOLD_ARRAYS)
        folds = _unpack_folds(arrays, counts)
    chance = None
    if any(name in arrays for name in CHANCE_ARRAYS):
        _check_all_there(arrays, CHANCE_ARRAYS)
        chance = _unpack_chance(arrays, counts)
    return folds, chance


def _check_all_there(arrays: Arrays, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise RunInvalid(f"{', '.join(missing)} is missing beside {names[0]}")


def _unpack_folds(arrays: Arrays, counts: LayerCounts) -> FoldCounts:
    fold_count = len(np.atleast_1d(arrays["fold_unit_area"]))
    entry_count = np.size(arrays["fold_gaps"])
    unit_area = _checked(
        arrays, "fold_unit_area", (fold_count, *counts.unit_area.shape)
    )
    if fold_count < FEWEST_FOLDS:
        raise RunInvalid(
            f"fold_unit_area has {fold_count} folds, where {FEWEST_FOLDS} or more belong"
        )
    concept_area = _checked(
        arrays, "fold_concept_area", (fold_count, len(counts.concept_area))
    )
    category_images = _checked(
        arrays, "fold_category_images", (fold_count, len(counts.category_images))
    )
    pairs = np.cumsum(_checked(arrays, "fold_gaps", (entry_count,)))
    pixels = _checked(arrays, "fold_pixels", (entry_count,))
    _check_pairs(pairs, fold_count * counts.intersection.size)
    folds = FoldCounts(pairs, pixels, unit_area, concept_area, category_images)
    _check_sums(folds, counts)
    return folds


def _check_pairs(pairs: Integers, end: int) -> None:
    """Check that pairs ascend from at least 0 to less than ``end``."""
    if not len(pairs):
        return
    # compared, not subtracted: a sum of gaps beyond int64 is negative, and its difference is not
    ascends = bool((pairs[1:] > pairs[:-1]).all())
    if not ascends or pairs[0] < 0 or pairs[-1] >= end:
        raise RunInvalid(f"fold_gaps do not lead through pairs up to {end}")


def _check_sums(folds: FoldCounts, counts: LayerCounts) -> None:
    intersection, unit_area, concept_area = folds.weighted(
        np.ones(folds.folds, np.int64)
    )
    sums = {
        "intersection": (intersection, counts.intersection),
        "unit_area": (unit_area, counts.unit_area),
        "concept_area": (concept_area, counts.concept_area),
        "category_images": (folds.category_images.sum(0), counts.category_images),
    }
    for name, (total, count) in sums.items():
        if not np.array_equal(total, count):
            raise RunInvalid(f"the folds do not add up to {name}")


def _unpack_chance(arrays: Arrays, counts: LayerCounts) -> ChanceCounts:
    unit_count, concept_count = counts.intersection.shape
    permutation_count = len(np.atleast_1d(arrays["chance_iou"]))
    shape = (permutation_count, unit_count)
    iou = np.asarray(arrays["chance_iou"])
    in_range = iou.dtype == np.float64 and bool(((iou >= 0) & (iou <= 1)).all())
    if not in_range or iou.shape != shape:
        raise RunInvalid(
            f"chance_iou is {iou.dtype}{iou.shape} or out of range, "
            f"where float64{shape} from 0 to 1 belongs"
        )
    if permutation_count == 0:
        raise RunInvalid("chance_iou has no permutation")
    labels = _checked(arrays, "chance_labels", shape)
    if int(labels.max(initial=0)) >= concept_count:
        raise RunInvalid(
            f"chance_labels has concept {labels.max()} of {concept_count}"
        )
    return ChanceCounts(
        iou, labels, int(_checked(arrays, "chance_fixed_images", ()))
    )


def _checked(arrays: Arrays, name: str, shape: tuple[int, ...]) -> Integers:
    """Return integers of a shape as int64. Raises RunInvalid for others and negative ones."""
    array = np.asarray(arrays[name])
    if not np.issubdtype(array.dtype, np.integer) or array.shape != shape:
        raise RunInvalid(
            f"{name} is {array.dtype}{array.shape}, where integers {shape} belong"
        )
    values = array.astype(np.int64)  # beyond int64 they are negative
    if values.min(initial=0) < 0:
        raise RunInvalid(f"{name} has a negative number or one beyond int64")
    return values
