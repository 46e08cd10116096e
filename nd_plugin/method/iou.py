"""IoU, labels, detectors and unique detectors: what the counts say (DESIGN section 1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


Floats = npt.NDArray[np.float64]


def iou(
    intersection: Counts, unit_area: Counts, concept_area: Counts, category_of: Counts
) -> Floats:
    """IoU(k, c) (unit, concept), eq. 1; 0 where the union is empty.

    ``unit_area`` (unit, category) holds |M_k| summed over the images that have the category; ``category_of`` (concept,)
    holds each concept's category.
    """
    union = unit_area[:, category_of] + concept_area[None, :] - intersection
    scores: Floats = np.divide(
        intersection, union, out=np.zeros(intersection.shape), where=union > 0
    )
    return scores


def labels(scores: Floats) -> Counts:
    """The concept with the highest IoU for each unit, ties to the lower index; (unit,)."""
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def best_in_category(scores: Floats, category_of: Counts, categories: int) -> tuple[Counts, Floats]:
    """Per unit and category the best concept and its IoU, (unit, category) each; -1 and 0 for an empty category."""
    best = np.full((scores.shape[0], categories), -1, dtype=np.int64)
    score = np.zeros((scores.shape[0], categories))
    for category in range(categories):
        members = np.flatnonzero(category_of == category)
        if members.size:
            inside = scores[:, members]
            best[:, category] = members[inside.argmax(axis=1)]
            score[:, category] = inside.max(axis=1)
    return best, score


def count_distinct_per_column(best: Counts, score: Floats, min_iou: float) -> list[int]:
    """Per category, the distinct best-in-category labels with IoU above ``min_iou`` (the authors' plots)."""
    return [
        len(set(best[score[:, column] > min_iou, column].tolist()))
        for column in range(best.shape[1])
    ]
