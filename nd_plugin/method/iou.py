"""IoU of units and concepts, and the labels that follow from it (docs/method.md)."""

from __future__ import annotations

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
    union = unit_area[:, category_of] + concept_area[None, :] - intersection
    zeros = np.zeros(intersection.shape)
    scores: Floats = np.divide(intersection, union, out=zeros, where=union > 0)
    return scores


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
