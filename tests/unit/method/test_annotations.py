"""Combinations of labels against the slow twin's annotation masks."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest
import reference
from random_data import random_planes

from nd_plugin import Annotation
from nd_plugin.method import annotations as annotations_module
from nd_plugin.method.annotations import (
    LabelCombinations,
    nearest_indices,
    resize_plane,
)

Size = tuple[int, int]

SIZES: list[Size] = [(1, 1), (1, 7), (5, 3), (8, 8), (13, 29), (112, 112)]


def masks_of(labels: LabelCombinations) -> dict[int, npt.NDArray[np.bool_]]:
    """Annotation mask of each concept that occurs."""
    return {
        concept: (labels.members == concept + 1).any(1)[labels.combinations]
        for concept in labels.concepts.tolist()
    }


@pytest.mark.parametrize(
    ("source", "target", "rows"),
    [
        (4, 2, [1, 3]),
        (2, 4, [0, 0, 1, 1]),
        (3, 2, [0, 2]),
        (2, 3, [0, 1, 1]),
        (5, 1, [2]),
        (1, 3, [0, 0, 0]),
        (227, 227, list(range(227))),
    ],
)
def test_nearest_indices(source: int, target: int, rows: list[int]) -> None:
    assert nearest_indices(source, target).tolist() == rows


def test_nearest_indices_stay_inside_and_ascend() -> None:
    for source in range(1, 40):
        for target in range(1, 40):
            rows = nearest_indices(source, target)
            assert (
                rows.min() >= 0
                and rows.max() < source
                and (np.diff(rows) >= 0).all()
            )


@pytest.mark.parametrize("source", SIZES)
@pytest.mark.parametrize("target", SIZES)
def test_resizing_equals_the_twin(source: Size, target: Size) -> None:
    plane = random_planes(sum(source), source, 1)[0]
    assert np.array_equal(
        resize_plane(plane, target), reference.resize_nearest(plane, target)
    )


class TestLabels:
    def test_everything_is_brought_to_one_size(self) -> None:
        planes: list[npt.NDArray[np.integer]] = [
            np.array([[1, 2]], np.uint8),
            np.array([[3], [0]], np.int64),
        ]
        labels = LabelCombinations.of(Annotation(planes, (4, 5)), (2, 2))
        assert labels.size == (2, 2) and labels.combinations.dtype == np.uint8
        expected = [
            [{0, 1, 3, 4, 5}, {0, 2, 3, 4, 5}],
            [{0, 1, 4, 5}, {0, 2, 4, 5}],
        ]
        for row, column in np.ndindex(2, 2):
            members = labels.members[labels.combinations[row, column]]
            assert {0, *members.tolist()} == expected[row][column]
        assert labels.concepts.tolist() == [0, 1, 2, 3, 4]
        assert labels.areas.tolist() == [2, 2, 2, 4, 4]

    def test_planes_given_are_left_as_they_are(self) -> None:
        plane = np.array([[1, 2], [2, 1]], np.int32)
        LabelCombinations.of(Annotation([plane, plane], (2,)), (2, 2))
        assert plane.tolist() == [[1, 2], [2, 1]]

    def test_a_concept_in_two_planes_of_one_pixel_is_kept_once(self) -> None:
        planes = [
            np.array([[3, 0], [3, 1]]),
            np.array([[3, 3], [0, 3]]),
            np.array([[3, 3], [2, 1]]),
        ]
        labels = LabelCombinations.of(Annotation(planes), (2, 2))
        assert labels.concepts.tolist() == [0, 1, 2] and labels.areas.tolist() == [
            1,
            1,
            4,
        ]
        assert {
            concept: mask.tolist() for concept, mask in masks_of(labels).items()
        } == {
            0: [[False, False], [False, True]],
            1: [[False, False], [True, False]],
            2: [[True, True], [True, True]],
        }

    def test_a_label_of_the_whole_image_counts_once(self) -> None:
        plane = np.array([[2, 1], [0, 2]])
        labels = LabelCombinations.of(Annotation([plane], (2, 2, 0)), (2, 2))
        combinations = {
            tuple(sorted(members)) for members in labels.members.tolist()
        }
        assert combinations == {(0, 0, 0, 2), (0, 0, 1, 2)}
        assert labels.concepts.tolist() == [0, 1] and labels.areas.tolist() == [
            1,
            4,
        ]

    @pytest.mark.parametrize(
        "annotation", [Annotation([]), Annotation([np.zeros((2, 5), np.uint8)])]
    )
    def test_of_an_image_without_labels(self, annotation: Annotation) -> None:
        labels = LabelCombinations.of(annotation, (3, 4))
        assert labels.size == (3, 4)
        assert not labels.combinations.any() and not labels.members.any()
        assert labels.concepts.shape == labels.areas.shape == (0,)

    @pytest.mark.parametrize(
        "plane", [np.zeros(4, int), np.zeros((2, 3, 3), int), np.zeros((0, 3), int)]
    )
    def test_a_plane_that_is_not_row_by_column_is_refused(
        self, plane: npt.NDArray[np.int64]
    ) -> None:
        shape = re.escape(str(plane.shape))
        message = rf"annotation plane has shape {shape}; expected \(row, column\), not empty"
        with pytest.raises(ValueError, match=message):
            LabelCombinations.of(Annotation([np.ones((3, 3), int), plane]), (3, 3))

    @pytest.mark.parametrize("plane_count", [1, 2, 5])
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("image_labels", [(), (2,), (6, 1, 6)])
    def test_they_equal_the_twins_masks(
        self, plane_count: int, size: Size, image_labels: tuple[int, ...]
    ) -> None:
        planes = list(random_planes(plane_count, (9, 14), plane_count))
        labels = LabelCombinations.of(Annotation(planes, image_labels), size)
        expected = reference.annotation_masks(planes, image_labels, size)
        masks = masks_of(labels)
        assert list(masks) == sorted(expected)
        for concept, mask in masks.items():
            assert np.array_equal(mask, expected[concept])
            assert (labels.members == concept + 1).sum(1).max() == 1
        areas = [
            np.count_nonzero(expected[concept]) for concept in sorted(expected)
        ]
        assert labels.areas.tolist() == areas

    @pytest.mark.parametrize("size", [(30, 40), (17, 90)])
    def test_of_many_concepts_in_several_planes(self, size: Size) -> None:
        """Tables over all pairs of labels and combinations would be far longer than the planes."""
        planes = list(random_planes(3, (30, 40), 4, concepts=1197))
        planes.append(np.full((30, 40), 1197, np.int32))
        labels = LabelCombinations.of(Annotation(planes, (7,)), size)
        expected = reference.annotation_masks(planes, [7], size)
        masks = masks_of(labels)
        assert list(masks) == sorted(expected) and len(masks) > 800
        for concept, mask in masks.items():
            assert np.array_equal(mask, expected[concept])
        areas = [
            np.count_nonzero(expected[concept]) for concept in sorted(expected)
        ]
        assert labels.areas.tolist() == areas


@pytest.mark.parametrize(
    "values", [[[0, 3], [3, 7]], [[5, 5], [5, 5]], [[2**40, 0], [1, 2**40]]]
)
def test_distinct_values_are_numbered_as_numpy_does(
    values: list[list[int]],
) -> None:
    array = np.array(values)
    distinct, indices = annotations_module._number_distinct(array)
    expected, expected_indices = np.unique(array, return_inverse=True)
    assert distinct.tolist() == expected.tolist()
    assert indices.tolist() == expected_indices.reshape(array.shape).tolist()


@pytest.mark.parametrize(
    "planes",
    [[np.array([[2**30, 0], [1, 2**30]])], [np.array([[700, 0], [1, 700]])] * 5],
)
def test_of_vocabularies_of_any_size(planes: list[npt.NDArray[np.int64]]) -> None:
    labels = LabelCombinations.of(Annotation(planes), (2, 2))
    assert labels.concepts.tolist() == [0, planes[0].max() - 1]
    assert labels.areas.tolist() == [1, 2]
