"""Folds of images, and sums by fold: sparse, in any order and division."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nd_plugin.errors import BadInput
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.counting import BatchCounts
from nd_plugin.significance import folds
from nd_plugin.significance.folds import FoldSums, SparseSums, assign_folds
from nd_plugin.significance.image_concepts import ImageConcepts
from nd_plugin.significance.sum_rows import sum_rows

FOLDS, UNITS, CONCEPTS, CATEGORIES = 4, 5, 3, 2


class TestAssignment:
    @pytest.mark.parametrize(("images", "count"), [(10, 3), (7, 7), (3, 2), (2, 2)])
    def test_folds_have_equal_sizes(self, images: int, count: int) -> None:
        sizes = np.bincount(assign_folds(images, count, 0), minlength=count)
        assert sizes.sum() == images and sizes.max() - sizes.min() <= 1

    def test_they_are_random_and_always_the_same(self) -> None:
        assert assign_folds(8, 3, 0).tolist() == [0, 0, 2, 1, 1, 2, 0, 1]
        assert assign_folds(8, 3, 1).tolist() != assign_folds(8, 3, 0).tolist()
        assert assign_folds(8, 3, 2**70).max() == 2

    def test_more_folds_than_images_are_refused(self) -> None:
        with pytest.raises(BadInput, match="folds 9 are more than the 8 images"):
            assign_folds(8, 9, 0)


def random_batch(seed: int) -> tuple[BatchCounts, npt.NDArray[np.int64], Any]:
    """Counts of a batch, and the same as dense tables by fold."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.integers(0, 2, FOLDS * UNITS))
    pixels = rng.integers(0, 300, (len(rows), CONCEPTS)) * rng.integers(
        0, 2, (len(rows), CONCEPTS)
    )
    areas = rng.integers(0, 300, (len(rows), CATEGORIES))
    pairs = np.flatnonzero(pixels)
    dense = np.zeros((FOLDS * UNITS, CONCEPTS), np.int64)
    dense[rows] = pixels
    dense_areas = np.zeros((FOLDS * UNITS, CATEGORIES), np.int64)
    dense_areas[rows] = areas
    batch = BatchCounts(pairs, pixels.ravel()[pairs], areas, rows)
    return (
        batch,
        dense.reshape(FOLDS, UNITS, CONCEPTS),
        dense_areas.reshape(FOLDS, UNITS, CATEGORIES),
    )


@pytest.mark.parametrize("share", [1, 10**6])
def test_sums_are_those_of_dense_tables(
    share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are added up at once or at the end; and again after a record."""
    monkeypatch.setattr(folds, "WAITING_SHARE", share)
    sums = FoldSums.empty(FOLDS, UNITS, CONCEPTS, CATEGORIES)
    other = FoldSums.empty(FOLDS, UNITS, CONCEPTS, CATEGORIES)
    table: Any = 0
    areas: Any = 0
    for seed in range(30):
        batch, dense, dense_areas = random_batch(seed)
        part = sums if seed % 3 else other
        part.update(batch)
        if seed == 20:
            record = sums.counts(
                np.zeros((FOLDS, CONCEPTS), np.int64),
                np.zeros((FOLDS, 0), np.int64),
            )
            sums = FoldSums.of(record)
        table = table + dense
        areas = areas + dense_areas
    total = (sums + other).total(SingleProcess())
    concept_area = np.ones((FOLDS, CONCEPTS), np.int64)
    category_images = np.ones((FOLDS, CATEGORIES), np.int64)
    counts = total.counts(concept_area, category_images)
    assert counts.pairs.tolist() == np.flatnonzero(table).tolist()
    assert counts.pixels.tolist() == table[table > 0].tolist()
    assert np.array_equal(counts.unit_area, areas)
    over_folds = total.over_folds()
    assert np.array_equal(over_folds.intersection.numpy(), table.sum(0))
    assert np.array_equal(over_folds.unit_area.numpy(), areas.sum(0))
    assert np.array_equal(counts.weighted([1] * FOLDS)[0], table.sum(0))


def test_sums_beyond_32_bits() -> None:
    areas = np.zeros((2, CATEGORIES), np.int64)
    rows = np.array([0, UNITS])
    pixels = np.array([2**31, 2**33])
    batch = BatchCounts(np.array([1, CONCEPTS + 1]), pixels, areas, rows)
    sums = FoldSums.empty(FOLDS, UNITS, CONCEPTS, CATEGORIES)
    for _ in range(3):
        sums.update(batch)
    total = (sums + sums).total(SingleProcess())
    assert total.over_folds().intersection[0, 1] == 6 * (2**31 + 2**33)


def test_what_waits_is_bounded() -> None:
    """No more entries wait than an eighth of the table or than there are sums."""
    sums = SparseSums.empty(800)
    rng = np.random.default_rng(0)
    for _ in range(100):
        places = np.flatnonzero(rng.integers(0, 20, 800) == 0)
        sums.add(places, np.ones(len(places), np.uint8))
        assert sums.waiting_count <= max(800 // 8, len(sums.places))


class TestSumRows:
    units = torch.tensor([2, 0, 2, 1])
    images = torch.tensor([5, 0, 1, 5], dtype=torch.int32)
    thresholds = torch.tensor([0.5, 1.5, 2.5])

    def test_without_folds_rows_are_units(self) -> None:
        rows = sum_rows(self.units, self.images, self.thresholds, None)
        assert rows.row_of_map is self.units and rows.numbers is None
        assert rows.thresholds is self.thresholds

    def test_only_rows_that_occur(self) -> None:
        fold_of = np.array([1, 0, 0, 0, 0, 1])
        rows = sum_rows(self.units, self.images, self.thresholds, fold_of)
        assert rows.numbers is not None
        # fold * 3 + unit of the maps: 5, 3, 2, 4
        assert rows.numbers.tolist() == [2, 3, 4, 5]
        assert rows.row_of_map.tolist() == [3, 1, 0, 2]
        assert rows.thresholds.tolist() == [2.5, 0.5, 1.5, 2.5]


class TestImageConcepts:
    one = ImageConcepts.of([4, 2], (3, 5), [np.array([0, 2]), np.array([1])],
                           [np.array([7, 8]), np.array([9])])  # fmt: skip
    other = ImageConcepts.of([3], (4, 4), [np.zeros(0, np.int64)],
                             [np.zeros(0, np.int64)])  # fmt: skip

    def test_joined_in_the_order_of_the_images(self) -> None:
        joined = ImageConcepts.joined([self.one, self.other])
        assert joined.images.tolist() == [2, 3, 4]
        assert joined.sizes.tolist() == [[3, 5], [4, 4], [3, 5]]
        assert joined.concept_counts.tolist() == [1, 0, 2]
        assert joined.concepts.tolist() == [1, 0, 2]
        assert joined.areas.tolist() == [9, 7, 8]

    def test_counts_by_fold(self) -> None:
        category_of = np.array([0, 1, 0])
        fold_of = np.array([0, 0, 1, 1, 0])
        joined = ImageConcepts.joined([self.one, self.other])
        assert joined.has_category(category_of, 2).tolist() == [
            [False, True],
            [False, False],
            [True, False],
        ]
        area, images = joined.count_by_fold(fold_of, 2, category_of, 2)
        assert area.tolist() == [[7, 0, 8], [0, 9, 0]]
        assert images.tolist() == [[1, 0], [0, 1]]

    def test_none(self) -> None:
        nothing = ImageConcepts.joined([])
        assert len(nothing.images) == 0
        assert nothing.has_category(np.array([0]), 1).shape == (0, 1)
