"""Counts against the slow twin, for any split of the probe data set."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest
import reference
import torch
from random_data import random_planes
from torch import Tensor

from nd_plugin import Annotation, Axis, Geometry
from nd_plugin.method import counting, iou, mask_strips, upsampling
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.method.counting import (
    AnnotationBatch,
    ConceptCounts,
    UnitCounts,
    UnitMaps,
    count_intersections,
)
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.receptive_fields.geometry import spread_evenly

Size = tuple[int, int]
Counts = npt.NDArray[np.int64]

CPU = torch.device("cpu")
CATEGORY_OF = np.array([0, 1, 1, 0, 2, 2])  # of six concepts
PIXELS = Geometry(Axis(1, 1, 0), Axis(1, 1, 0))  # a cell per pixel


def count(
    maps: Tensor,
    annotations: Sequence[Annotation],
    thresholds: Tensor,
    grid: MaskGrid,
) -> tuple[Counts, Counts, Counts]:
    """Intersections, unit areas and concept areas of ``maps`` (image, unit, row, column)."""
    labels = [
        LabelCombinations.of(annotation, grid.mask) for annotation in annotations
    ]
    concept_counts = ConceptCounts.empty(6, 3)
    for image_labels in labels:
        concept_counts.update(image_labels, CATEGORY_OF)
    batch = AnnotationBatch.of(labels, CATEGORY_OF, 3, CPU)
    images, units = torch.from_numpy(np.indices(maps.shape[:2]))
    piece = UnitMaps(images.flatten(), units.flatten(), maps.flatten(0, 1))
    unit_counts = UnitCounts.empty(maps.shape[1], 6, 3)
    unit_counts.update(count_intersections([piece], thresholds, grid, batch, 6))
    assert (
        unit_counts.intersection.dtype == unit_counts.unit_area.dtype == torch.int64
    )
    return (
        unit_counts.intersection.numpy(),
        unit_counts.unit_area.numpy(),
        concept_counts.area,
    )


def twin_counts(
    maps: Tensor,
    annotations: Sequence[Annotation],
    thresholds: Tensor,
    grid: MaskGrid,
) -> tuple[Counts, Counts, Counts]:
    """Return what `count` does, by the slow twin."""
    rows = (grid.geometry.rows.stride, grid.geometry.rows.offset)
    columns = (grid.geometry.columns.stride, grid.geometry.columns.offset)
    plain_annotations = []
    for annotation in annotations:
        planes = [np.asarray(plane, np.int32) for plane in annotation.planes]
        plain_annotations.append((planes, list(annotation.labels)))
    return reference.counts(
        maps.numpy(),
        plain_annotations,
        CATEGORY_OF.tolist(),
        3,
        thresholds.numpy(),
        (rows, columns),
        grid.image,
        grid.mask,
    )


def assert_same(counts: Sequence[Counts], expected: Sequence[Counts]) -> None:
    names = ("intersection", "unit area", "concept area")
    for name, array, expected_array in zip(names, counts, expected, strict=True):
        assert np.array_equal(array, expected_array), name


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 7), (5, 3), (8, 8), (13, 29), (60, 61)]
)
@pytest.mark.parametrize("units", [1, 9])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_counts_of_pixels_equal_the_twins(
    size: Size, units: int, share: float
) -> None:
    maps = torch.rand(3, units, *size, generator=torch.Generator().manual_seed(1))
    thresholds = torch.full((units,), 1 - share if share < 1 else -1.0)
    annotations = [
        Annotation(
            list(random_planes(image, size, image)), (1 + image,) * (image % 2)
        )
        for image in (2, 0, 5)
    ]
    grid = MaskGrid(PIXELS, size, size)
    counts = count(maps, annotations, thresholds, grid)
    assert_same(counts, twin_counts(maps, annotations, thresholds, grid))
    assert counts[0].any() == (share > 0) or size == (1, 1)


@pytest.mark.parametrize("seed", range(8))
def test_counts_over_upsampled_maps_equal_the_twins(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def integer(low: int, high: int) -> int:
        return int(rng.integers(low, high))

    def axis() -> Axis:
        return Axis(
            1, float(rng.choice([1.5, 4, -3.7, 16])), float(rng.uniform(-9, 40))
        )

    units = integer(1, 9)
    cells = (integer(1, 12), integer(1, 12))
    grid = MaskGrid(
        Geometry(axis(), axis()), (33, 48), (integer(1, 20), integer(1, 40))
    )
    thresholds = torch.from_numpy(rng.random(units).astype(np.float32))
    maps = torch.from_numpy(rng.random((5, units, *cells), dtype=np.float32))
    annotations = []
    for image in range(5):
        seeds_and_sizes = [
            (10 * seed + image + plane, (6 + plane, 9))
            for plane in range(image % 3)
        ]
        planes = [random_planes(*drawing, 1)[0] for drawing in seeds_and_sizes]
        labels = tuple(rng.integers(1, 7, image % 4).tolist())
        annotations.append(Annotation(planes, labels))
    counts = count(maps, annotations, thresholds, grid)
    assert_same(counts, twin_counts(maps, annotations, thresholds, grid))


def test_maps_may_come_in_any_order_and_be_some_of_all() -> None:
    maps = torch.rand(
        4, 5, 6, 7, generator=torch.Generator().manual_seed(5)
    ).flatten(0, 1)
    labels = [
        LabelCombinations.of(
            Annotation(list(random_planes(image, (6, 7), 2)), (3,)), (6, 7)
        )
        for image in range(4)
    ]
    batch = AnnotationBatch.of(labels, CATEGORY_OF, 3, CPU)
    grid = MaskGrid(PIXELS, (6, 7), (6, 7))

    def count_pieces(*pieces: UnitMaps) -> UnitCounts:
        counts = UnitCounts.empty(5, 6, 3)
        counts.update(
            count_intersections(iter(pieces), torch.full((5,), 0.6), grid, batch, 6)
        )
        return counts

    def piece_of(indices: Tensor) -> UnitMaps:
        return UnitMaps(indices // 5, indices % 5, maps[indices])

    drawn = torch.randperm(20, generator=torch.Generator().manual_seed(6))[:11]
    single_maps = [piece_of(indices) for indices in drawn.sort().values.split(1)]
    one_by_one = UnitCounts.empty(5, 6, 3)
    for piece in single_maps:
        one_by_one += count_pieces(piece)
    strided_maps = maps[drawn].transpose(1, 2).contiguous().transpose(1, 2)
    assert not strided_maps.is_contiguous()
    at_once = count_pieces(UnitMaps(drawn // 5, drawn % 5, strided_maps))
    in_pieces = count_pieces(*single_maps)
    for counts in (at_once, in_pieces):
        assert counts.intersection.equal(one_by_one.intersection)
        assert counts.unit_area.equal(one_by_one.unit_area)
    assert at_once.intersection.sum() > 0


def test_no_map_counts_nothing() -> None:
    labels = LabelCombinations.of(Annotation([np.ones((4, 4), int)]), (4, 4))
    batch = AnnotationBatch.of([labels], CATEGORY_OF, 3, CPU)
    grid = MaskGrid(PIXELS, (4, 4), (4, 4))
    no_index = torch.empty(0, dtype=torch.int64)
    no_maps = UnitMaps(no_index, no_index, torch.empty(0, 4, 4))
    counts = UnitCounts.empty(2, 6, 3)
    for pieces in ([], [no_maps]):
        counts.update(count_intersections(pieces, torch.zeros(2), grid, batch, 6))
    assert not counts.intersection.any() and not counts.unit_area.any()


def test_pixels_are_counted_by_combination_as_plainly() -> None:
    maps = torch.rand(6, 3, 4, generator=torch.Generator().manual_seed(9))
    labels = [
        LabelCombinations.of(
            Annotation(list(random_planes(image, (8, 9), 2))), (8, 9)
        )
        for image in range(2)
    ]
    batch = AnnotationBatch.of(labels, CATEGORY_OF, 3, CPU)
    grid = MaskGrid(spread_evenly((3, 4), (16, 18)), (16, 18), (8, 9))
    images = torch.tensor([1, 0, 0, 1, 1, 0])
    piece = UnitMaps(images, torch.arange(6), maps)
    lit_pixels = counting._count_by_combination(
        piece, torch.full((6,), 0.5), grid, batch
    )
    masks = upsampling.upsample(maps, grid.geometry, grid.image, grid.mask) > 0.5
    for index, mask in enumerate(masks.numpy()):
        combinations = labels[int(images[index])].combinations[mask]
        plain = np.bincount(combinations, minlength=batch.combinations_per_image)
        assert lit_pixels[index].tolist() == plain.tolist()


@pytest.fixture(
    params=[
        "autocast",
        "medium precision",
        "half by default",
        "inference mode",
        "another device",
    ]
)
def surroundings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Torch settings that a caller may have changed, and that must not change the counts."""
    precision = torch.get_float32_matmul_precision()
    dtype = torch.get_default_dtype()
    caches = (mask_strips.strips, upsampling.taps_on)
    try:
        for cache in caches:
            cache.cache_clear()
        if request.param == "medium precision":
            torch.set_float32_matmul_precision("medium")
        if request.param == "half by default":
            torch.set_default_dtype(torch.bfloat16)
        if request.param == "another device":
            torch.set_default_device("meta")
        with (
            torch.autocast(
                "cpu", torch.bfloat16, enabled=request.param == "autocast"
            ),
            torch.inference_mode(request.param == "inference mode"),
        ):
            yield
    finally:
        torch.set_default_device(None)
        torch.set_float32_matmul_precision(precision)
        torch.set_default_dtype(dtype)
        for cache in caches:
            cache.cache_clear()


@pytest.mark.usefixtures("surroundings")
def test_counts_are_exact_whatever_surrounds_them() -> None:
    size = (150, 151)
    grid = MaskGrid(Geometry(Axis(1, 21.4, 3), Axis(1, -15.1, 150)), size, size)
    maps = torch.from_numpy(
        np.random.default_rng(3).random((2, 9, 7, 10), dtype=np.float32)
    )
    thresholds = torch.full((9,), 0.2, dtype=torch.float32, device="cpu")
    annotations = [
        Annotation([np.full(size, 2), *random_planes(image, (50, 50), 2)], (1,))
        for image in range(2)
    ]
    expected = twin_counts(maps, annotations, thresholds, grid)
    assert_same(count(maps, annotations, thresholds, grid), expected)
    intersections = expected[0]
    assert intersections.max() > 2**14 and (intersections % 128).any()


def test_what_inference_mode_leaves_behind_serves_afterwards() -> None:
    maps = torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    thresholds = torch.full((2,), 0.5)
    annotations = [Annotation([np.full((8, 8), 1)])]
    grid = MaskGrid(Geometry(Axis(1, 2.5, 1), Axis(1, 2.5, 1)), (8, 8), (8, 8))
    with torch.inference_mode():
        counts = count(maps, annotations, thresholds, grid)
    assert_same(count(maps, annotations, thresholds, grid), counts)


def test_more_pixels_than_float32_counts() -> None:
    size = (4097, 4096)
    everywhere = Annotation([np.ones(size, np.int32)], (2,))
    maps = torch.ones(1, 1, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        counts = count(
            maps, [everywhere], torch.zeros(1), MaskGrid(PIXELS, size, size)
        )
    intersection, unit_area, concept_area = counts
    pixels = 2**24 + 4096
    assert intersection[0, :2].tolist() == [pixels, pixels]
    assert unit_area[0].tolist() == [pixels, pixels, 0]
    assert concept_area[:2].tolist() == [pixels, pixels]


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
        Annotation(
            list(random.integers(0, 6, (image % 3, 9, 9))),
            (6,) if image % 4 == 0 else (),
        )
        for image in range(12)
    ]
    levels = torch.tensor([0.3, 0.5, 0.0, 2.0, 1.0])
    axes = (Axis(1, 5, 2), Axis(1, 5, 2))

    grid = MaskGrid(Geometry(*axes), (32, 32), (18, 18))

    def count_images(images: Sequence[int]) -> tuple[UnitCounts, ConceptCounts]:
        unit_counts = UnitCounts.empty(5, 6, 3)
        concept_counts = ConceptCounts.empty(6, 3)
        for start in range(0, len(images), together):
            batch_images = images[start : start + together]
            labels = [
                LabelCombinations.of(annotations[image], grid.mask)
                for image in batch_images
            ]
            for image_labels in labels:
                concept_counts.update(image_labels, np.array(category_of))
            batch = AnnotationBatch.of(
                labels, np.array(category_of), 3, torch.device("cpu")
            )
            piece = UnitMaps(
                torch.arange(len(labels)).repeat_interleave(5),
                torch.arange(5).repeat(len(labels)),
                maps[list(batch_images)].flatten(0, 1),
            )
            unit_counts.update(count_intersections([piece], levels, grid, batch, 6))
        return unit_counts, concept_counts

    starts = np.cumsum([0, *sizes]).tolist()
    counts = [
        count_images(range(start, end)) for start, end in itertools.pairwise(starts)
    ]
    unit_counts = functools.reduce(operator.add, (units for units, _ in counts))
    concept_counts = functools.reduce(
        operator.add, (concepts for _, concepts in counts)
    )
    twins = []
    for annotation in annotations:
        planes = [np.asarray(plane, np.int32) for plane in annotation.planes]
        twins.append((planes, list(annotation.labels)))
    expected = reference.counts(
        maps.numpy(),
        twins,
        category_of,
        3,
        levels.numpy(),
        ((5, 2), (5, 2)),
        (32, 32),
        (18, 18),
    )
    intersection = unit_counts.intersection.numpy()
    unit_area = unit_counts.unit_area.numpy()
    assert np.array_equal(intersection, expected[0])
    assert np.array_equal(unit_area, expected[1])
    assert np.array_equal(concept_counts.area, expected[2])
    category_images = np.zeros(3, int)
    mask_pixels = 18 * 18
    for twin in twins:
        masks = reference.annotation_masks(*twin, (18, 18))
        category_images[list({category_of[concept] for concept in masks})] += 1
    assert concept_counts.images.tolist() == category_images.tolist()
    assert concept_counts.pixels is not None
    assert (
        concept_counts.pixels.tolist() == (mask_pixels * category_images).tolist()
    )
    scores = iou.iou(
        intersection, unit_area, concept_counts.area, np.array(category_of)
    )
    assert np.array_equal(scores, reference.iou(*expected, category_of))
    best, score = iou.best_in_category(scores, np.array(category_of), 3)
    per_category = sum(iou.count_unique_per_category(best, score, 0.04))
    assert per_category == reference.unique_detectors_per_category(
        scores, 0.04, category_of
    )


def test_pixels_are_unknown_where_an_earlier_version_has_begun() -> None:
    category_of = np.array([0, 1])
    labels = LabelCombinations.of(Annotation([np.array([[1, 1], [0, 0]])]), (2, 2))
    counted = ConceptCounts.empty(2, 2)
    counted.update(labels, category_of)
    assert counted.pixels is not None and counted.pixels.tolist() == [4, 0]
    earlier = ConceptCounts(np.array([2, 0]), np.array([1, 0]), None)
    for total in (earlier + counted, counted + earlier):
        assert total.pixels is None
        assert (total.area.tolist(), total.images.tolist()) == ([4, 0], [2, 0])
    earlier.update(labels, category_of)
    assert earlier.pixels is None and earlier.images.tolist() == [2, 0]
