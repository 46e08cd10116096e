"""IoU of units and concepts, scores beside it, and the labels that follow (docs/method.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def iou(
    intersection: Counts,
    unit_area: Counts,
    concept_area: Counts,
    category_of: Counts,
) -> Floats:
    """Compute IoU(k, c) (unit, concept), eq. 1; 0 where the union is empty.

    ``unit_area`` (unit, category) holds |M_k| over the images that have the category,
    ``concept_area`` (concept,) holds |L_c|, ``category_of`` (concept,) the index of each
    concept's category.
    """
    counts = PairCounts(intersection, unit_area[:, category_of], concept_area, None)
    return overlap_over_union(counts)


@dataclass(frozen=True)
class PairCounts:
    """Counts of pairs of a unit and a concept, over the images that have the concept's category.

    Arrays of any shapes that broadcast: (pair,), or (unit, concept) and (concept,).
    """

    intersection: Counts  # |M_k ∩ L_c|
    unit_area: Counts  # |M_k|
    concept_area: Counts  # |L_c|
    pixels: Counts | None  # of the masks of these images; None: not recorded

    @property
    def union(self) -> Counts:
        """|M_k ∪ L_c|."""
        return self.unit_area + self.concept_area - self.intersection


def overlap_over_union(counts: PairCounts) -> Floats:
    """Compute IoU, eq. 1: |M ∩ L| / |M ∪ L|."""
    return _ratio(counts.intersection, counts.union)


def precision(counts: PairCounts) -> Floats:
    """Compute the share of the mask that carries the concept: |M ∩ L| / |M|."""
    return _ratio(counts.intersection, counts.unit_area)


def recall(counts: PairCounts) -> Floats:
    """Compute the share of the concept that the mask covers: |M ∩ L| / |L|."""
    return _ratio(counts.intersection, counts.concept_area)


def f1(counts: PairCounts) -> Floats:
    """Compute the harmonic mean of precision and recall: 2 |M ∩ L| / (|M| + |L|)."""
    return _ratio(2 * counts.intersection, counts.unit_area + counts.concept_area)


def correlation(counts: PairCounts) -> Floats:
    """Compute Pearson's correlation of two sets of pixels (phi); 0 where one of them is constant.

    It is (p(M ∩ L) - p(M) p(L)) / sqrt(p(M) (1 - p(M)) p(L) (1 - p(L))) with p the share of
    ``pixels``, which must be recorded.
    """
    assert counts.pixels is not None
    mask = _ratio(counts.unit_area, counts.pixels)
    concept = _ratio(counts.concept_area, counts.pixels)
    covariance = _ratio(counts.intersection, counts.pixels) - mask * concept
    variance = mask * (1 - mask) * concept * (1 - concept)
    return _ratio(covariance, np.sqrt(variance))


def _ratio(numerator: Counts | Floats, denominator: Counts | Floats) -> Floats:
    """Divide; 0 where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    zeros = np.zeros(numerator.shape)
    quotient: Floats = np.divide(
        numerator, denominator, out=zeros, where=denominator > 0
    )
    return quotient


# by the name that columns, options and records have; IoU defines detectors
SCORES: Mapping[str, Callable[[PairCounts], Floats]] = {
    "iou": overlap_over_union,
    "f1": f1,
    "precision": precision,
    "recall": recall,
    "correlation": correlation,
}


def labels(scores: Floats) -> Counts:
    """Return the concept with the highest IoU of each unit, ties to the lower index; (unit,)."""
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def best_in_category(
    scores: Floats, category_of: Counts, categories: int
) -> tuple[Counts, Floats]:
    """Return the best concept of each unit in each category, and its IoU; (unit, category) each.

    A category without concepts has -1 and 0.
    """
    best = np.full((scores.shape[0], categories), -1, dtype=np.int64)
    best_scores = np.zeros((scores.shape[0], categories))
    for category in range(categories):
        concepts = np.flatnonzero(category_of == category)
        if concepts.size:
            category_scores = scores[:, concepts]
            best[:, category] = concepts[category_scores.argmax(axis=1)]
            best_scores[:, category] = category_scores.max(axis=1)
    return best, best_scores


def count_unique_per_category(
    best: Counts, score: Floats, min_iou: float
) -> list[int]:
    """Count the distinct best concepts with IoU above ``min_iou`` in each column (category).

    Their sum is the number of unique detectors in the authors' plots. ``best`` and ``score`` are
    `best_in_category`'s.
    """
    counts = []
    for column in range(best.shape[1]):
        is_detector = score[:, column] > min_iou
        counts.append(len(set(best[is_detector, column].tolist())))
    return counts
