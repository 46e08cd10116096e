"""Counts against the slow twin, for any split of the probe data set."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence

import numpy as np
import pytest
import reference
import torch
from torch import Tensor

from nd_plugin import Axis, Geometry
from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.method import iou
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.method.counting import (
    AnnotationBatch,
    ConceptCounts,
    UnitCounts,
    UnitMaps,
    count_intersections,
)
from nd_plugin.method.upsampling import MaskGrid


@pytest.fixture
def maps() -> Tensor:
    """(image, unit, row, column), with ties and zeros."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(12, 5, 6, 6, generator=generator).round(decimals=1).relu()


@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 7], [3, 1, 8], [0, 12]])
@pytest.mark.parametrize("together", [1, 3, 12])
def test_counts_add_up_for_any_split_and_equal_the_twin(
    maps: Tensor, sizes: list[int], together: int
) -> None:
    random = np.random.default_rng(0)
    category_of = [0, 0, 1, 2, 2, 2]
    annotations = [
        Annotation(list(random.integers(0, 6, (image % 3, 9, 9))), (6,) if image % 4 == 0 else ())
        for image in range(12)
    ]
    levels = torch.tensor([0.3, 0.5, 0.0, 2.0, 1.0])
    axes = (Axis(1, 5, 2), Axis(1, 5, 2))

    grid = MaskGrid(Geometry(*axes), (32, 32), (18, 18))

    def count(images: Sequence[int]) -> tuple[UnitCounts, ConceptCounts]:
        unit_counts = UnitCounts.empty(5, 6, 3)
        concept_counts = ConceptCounts.empty(6, 3)
        for start in range(0, len(images), together):
            batch_images = images[start : start + together]
            labels = [LabelCombinations.of(annotations[image], grid.mask) for image in batch_images]
            for image_labels in labels:
                concept_counts.update(image_labels, np.array(category_of))
            batch = AnnotationBatch.of(labels, np.array(category_of), 3, torch.device("cpu"))
            piece = UnitMaps(
                torch.arange(len(labels)).repeat_interleave(5),
                torch.arange(5).repeat(len(labels)),
                maps[list(batch_images)].flatten(0, 1),
            )
            unit_counts.update(count_intersections([piece], levels, grid, batch, 6))
        return unit_counts, concept_counts

    starts = np.cumsum([0, *sizes]).tolist()
    counts = [count(range(start, end)) for start, end in itertools.pairwise(starts)]
    unit_counts = functools.reduce(operator.add, (units for units, _ in counts))
    concept_counts = functools.reduce(operator.add, (concepts for _, concepts in counts))
    twins = []
    for annotation in annotations:
        planes = [np.asarray(plane, np.int32) for plane in annotation.planes]
        twins.append((planes, list(annotation.labels)))
    expected = reference.counts(
        maps.numpy(), twins, category_of, 3, levels.numpy(), ((5, 2), (5, 2)), (32, 32), (18, 18)
    )
    intersection = unit_counts.intersection.numpy()
    unit_area = unit_counts.unit_area.numpy()
    assert np.array_equal(intersection, expected[0])
    assert np.array_equal(unit_area, expected[1])
    assert np.array_equal(concept_counts.area, expected[2])
    category_images = np.zeros(3, int)
    for twin in twins:
        masks = reference.annotation_masks(*twin, (18, 18))
        category_images[list({category_of[concept] for concept in masks})] += 1
    assert concept_counts.images.tolist() == category_images.tolist()
    scores = iou.iou(intersection, unit_area, concept_counts.area, np.array(category_of))
    assert np.array_equal(scores, reference.iou(*expected, category_of))
    best, score = iou.best_in_category(scores, np.array(category_of), 3)
    per_category = sum(iou.count_distinct_per_column(best, score, 0.04))
    assert per_category == reference.unique_detectors_per_category(scores, 0.04, category_of)
