"""Labels and IoU in resamples: the same as counting each resample by itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from made_folds import folds_from

from nd_plugin.method.iou import iou, labels
from nd_plugin.significance.fold_counts import FoldCounts
from nd_plugin.significance.statistics import resampling
from nd_plugin.significance.statistics.resampling import (
    draw_weights,
    fold_intersections,
    leave_one_out,
    resample,
)

FOLDS, UNITS, CONCEPTS, CATEGORIES = 6, 9, 7, 3
CATEGORY_OF = np.arange(CONCEPTS) % CATEGORIES


def random_folds(seed: int, *, share_of_zeros: float) -> FoldCounts:
    """Small counts with many ties; unit 3 is dead, and the first fold lacks all of concept 2."""
    random = np.random.default_rng(seed)
    intersection = random.integers(0, 4, (FOLDS, UNITS, CONCEPTS))
    intersection[random.random(intersection.shape) < share_of_zeros] = 0
    unit_area = random.integers(20, 24, (FOLDS, UNITS, CATEGORIES))
    concept_area = random.integers(4, 8, (FOLDS, CONCEPTS))
    intersection[:, 3] = 0
    unit_area[:, 3] = 0
    intersection[0, :, 2] = 0
    concept_area[0, 2] = 0
    return folds_from(intersection, unit_area, concept_area)


def label_of(
    folds: FoldCounts, weights: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Return IoU (unit, concept) and labels (unit,) of one resample."""
    scores = iou(*folds.weighted(weights), CATEGORY_OF)
    return scores, labels(scores)


@pytest.mark.parametrize("cells", [resampling.CELLS, 50])
@pytest.mark.parametrize("share_of_zeros", [0.0, 0.5, 0.95])
def test_the_same_as_each_resample_by_itself(
    monkeypatch: pytest.MonkeyPatch, cells: int, share_of_zeros: float
) -> None:
    """To the last bit, ties included, however small the blocks."""
    monkeypatch.setattr(resampling, "CELLS", cells)
    for seed in range(5):
        folds = random_folds(seed, share_of_zeros=share_of_zeros)
        _, own_labels = label_of(folds, np.ones(FOLDS, np.int64))
        weights = np.vstack([draw_weights(FOLDS, 60, seed), leave_one_out(FOLDS)])
        resamples = resample(folds, CATEGORY_OF, own_labels, weights)
        assert len(resamples) == 60 + FOLDS
        for row, of_fold in enumerate(weights):
            scores, best = label_of(folds, of_fold)
            units = np.arange(UNITS)
            assert np.array_equal(resamples.labels[row], best)
            assert np.array_equal(resamples.best_iou[row], scores[units, best])
            assert np.array_equal(
                resamples.label_iou[row], scores[units, own_labels]
            )


def test_any_label_has_its_iou() -> None:
    """Of a label that is not the best one of all images, too, as in another run."""
    folds = random_folds(0, share_of_zeros=0.5)
    other_labels = np.full(UNITS, 5)
    weights = draw_weights(FOLDS, 40, 1)
    resamples = resample(folds, CATEGORY_OF, other_labels, weights)
    expected = [label_of(folds, row)[0][:, 5] for row in weights]
    assert np.array_equal(resamples.label_iou, np.array(expected))


def test_weights() -> None:
    weights = draw_weights(20, 500, 3)
    assert weights.shape == (500, 20)
    assert (weights.sum(axis=1) == 20).all()
    assert np.array_equal(weights, draw_weights(20, 500, 3))
    assert not np.array_equal(weights, draw_weights(20, 500, 4))
    # each fold is drawn 10,000 times on average, with a standard deviation below 100
    assert abs(weights.sum(axis=0) - 500).max() < 120
    assert leave_one_out(3).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


def test_intersections_of_some_units() -> None:
    folds = random_folds(1, share_of_zeros=0.5)
    dense = fold_intersections(folds, 0, UNITS)
    assert np.array_equal(
        dense.sum(axis=0), folds.weighted(np.ones(FOLDS, np.int64))[0]
    )
    assert np.array_equal(fold_intersections(folds, 2, 5), dense[:, 2:5])
