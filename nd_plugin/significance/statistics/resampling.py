"""Resamples of a layer's images, fold by fold: label and IoU of each unit in each of them.

Thresholds T_k stay those of all images: a resample counts the same masks, more or less often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.significance.fold_counts import FoldCounts

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CELLS = 2_000_000  # numbers in one array of intermediate results: 16 MB
RESAMPLES_IN_BLOCK = 1000
LEADING = 8  # concepts of a unit that are tried first


@dataclass(frozen=True, eq=False)
class Resamples:
    """Labels and IoU of a layer's units in each resample."""

    labels: Integers  # (resample, unit) concept with the highest IoU, as an index
    best_iou: Floats  # (resample, unit) IoU with that concept
    label_iou: Floats  # (resample, unit) IoU with the unit's label in all images

    def __len__(self) -> int:
        return len(self.labels)


def draw_weights(folds: int, resamples: int, seed: int) -> Integers:
    """Draw how often each fold is in each resample, ``folds`` draws each; (resample, fold).

    The same numbers for the same arguments: layers and runs over the same folds are resampled
    alike, and their differences are paired.
    """
    generator = np.random.default_rng(seed)
    shares = np.full(folds, 1 / folds)
    return np.asarray(generator.multinomial(folds, shares, resamples), np.int64)


def leave_one_out(folds: int) -> Integers:
    """Return the weights of the jackknife: each row lacks one fold; (fold, fold)."""
    return 1 - np.eye(folds, dtype=np.int64)


def resample(
    folds: FoldCounts, category_of: Integers, labels: Integers, weights: Integers
) -> Resamples:
    """Return labels and IoU of all units in resamples of the folds.

    The same as `FoldCounts.weighted`, IoU and label for each row of ``weights``, in bounded memory
    and without the concepts that cannot be a unit's label in any resample.

    Args:
        folds: Counts of the layer by fold.
        category_of: Category of each concept, as an index; (concept,).
        labels: Label of each unit in all images; (unit,).
        weights: How often each fold is in each resample; (resample, fold).
    """
    shape = (len(weights), folds.units)
    resamples = Resamples(
        np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)
    )
    units_in_block = max(1, CELLS // max(folds.folds * folds.concepts, 1))
    for first in range(0, folds.units, units_in_block):
        last = min(first + units_in_block, folds.units)
        intersection = fold_intersections(folds, first, last)
        union = _fold_unions(folds, category_of, intersection, first)
        for unit in range(first, last):
            counts = (intersection[:, unit - first], union[:, unit - first])
            _resample_unit(counts, weights, unit, int(labels[unit]), resamples)
    return resamples


def fold_intersections(folds: FoldCounts, first: int, last: int) -> Integers:
    """Return |M_k ∩ L_c| of some units in each fold, zeros included; (fold, unit, concept)."""
    shape = (folds.folds, last - first, folds.concepts)
    dense = np.zeros((folds.folds, (last - first) * folds.concepts), np.int64)
    for fold in range(folds.folds):
        start = (fold * folds.units + first) * folds.concepts
        end = (fold * folds.units + last) * folds.concepts
        entries = slice(*np.searchsorted(folds.pairs, (start, end)))
        dense[fold, folds.pairs[entries] - start] = folds.pixels[entries]
    return dense.reshape(shape)


def _fold_unions(
    folds: FoldCounts, category_of: Integers, intersection: Integers, first: int
) -> Integers:
    """Return |M_k ∪ L_c| of some units in each fold; (fold, unit, concept)."""
    last = first + intersection.shape[1]
    unit_area = folds.unit_area[:, first:last, category_of]
    union: Integers = unit_area + folds.concept_area[:, None, :] - intersection
    return union


def _resample_unit(
    counts: tuple[Integers, Integers],
    weights: Integers,
    unit: int,
    label: int,
    resamples: Resamples,
) -> None:
    """Fill in one unit's label and IoU, from intersection and union (fold, concept) of it."""
    candidates = _possible_labels(*counts, weights, label)
    intersection, union = (part[:, candidates] for part in counts)
    label_column = int(np.searchsorted(candidates, label))
    rows_in_block = max(1, min(RESAMPLES_IN_BLOCK, CELLS // len(candidates)))
    for start in range(0, len(weights), rows_in_block):
        rows = slice(start, start + rows_in_block)
        iou = _resampled_iou(intersection, union, weights[rows])
        best = iou.argmax(axis=1)
        resamples.labels[rows, unit] = candidates[best]
        resamples.best_iou[rows, unit] = iou[np.arange(len(best)), best]
        resamples.label_iou[rows, unit] = iou[:, label_column]


def _possible_labels(
    intersection: Integers, union: Integers, weights: Integers, label: int
) -> Integers:
    """Return the concepts that may be a unit's label in some resample, ascending, and its label.

    A ratio of sums lies between the smallest and the largest ratio of the summands. A concept
    whose largest IoU of a fold is below what the leading concepts have in every resample is never
    the label. Concept 0 is the label where no concept overlaps.
    """
    leading = _leading_concepts(intersection, union)
    leading_iou = _resampled_iou(
        intersection[:, leading], union[:, leading], weights
    )
    least_of_a_label = leading_iou.max(axis=1).min()
    highest = _ratio(intersection, union).max(axis=0)
    is_possible = (highest > 0) & (highest >= least_of_a_label)
    is_possible[[0, label]] = True
    return np.flatnonzero(is_possible)


def _leading_concepts(intersection: Integers, union: Integers) -> Integers:
    """Return the concepts with the highest IoU in all folds together."""
    iou = _ratio(intersection.sum(axis=0), union.sum(axis=0))
    count = min(LEADING, len(iou))
    return np.asarray(np.argpartition(-iou, count - 1)[:count], np.int64)


def _resampled_iou(
    intersection: Integers, union: Integers, weights: Integers
) -> Floats:
    """Return the IoU of some concepts in each resample; (resample, concept)."""
    # integers below 2^53 are exact in float64, whose product uses the fast library
    factors = weights.astype(float)
    return _ratio(
        factors @ intersection.astype(float), factors @ union.astype(float)
    )


def _ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Floats:
    """Return a ratio, 0 where the denominator is."""
    zeros = np.zeros(numerator.shape)
    ratio: Floats = np.divide(
        numerator, denominator, out=zeros, where=denominator > 0
    )
    return ratio
