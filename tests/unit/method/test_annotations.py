"""Annotations as label planes, and counting pixels against them, against the slow twin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest
import reference
import torch
from torch import Tensor

from nd_plugin import Annotation, Axis, Geometry
from nd_plugin.method import activation_masks, upsampling
from nd_plugin.method.annotations import LabelCombinations, nearest_rows, resize_plane
from nd_plugin.method.counting import (
    AnnotationBatch,
    ConceptCounts,
    UnitCounts,
    count_intersections,
)

Size = tuple[int, int]
Counts = npt.NDArray[np.int64]

SIZES: list[Size] = [(1, 1), (1, 7), (5, 3), (8, 8), (13, 29), (112, 112)]
CPU = torch.device("cpu")
CATEGORY_OF = np.array([0, 1, 1, 0, 2, 2])  # of six concepts
PIXELS = Geometry(Axis(1, 1, 0), Axis(1, 1, 0))  # a cell per pixel


def random_planes(seed: int, size: Size, count: int, concepts: int = 6) -> npt.NDArray[np.int32]:
    """Planes (plane, row, column) where about half of the pixels have no label."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, concepts + 1, (count, *size))
    return np.asarray(values * rng.integers(0, 2, values.shape), dtype=np.int32)


def masks_of(labels: LabelCombinations) -> dict[int, npt.NDArray[np.bool_]]:
    """The annotation mask of each concept that is said to occur."""
    return {
        concept: (labels.members == concept + 1).any(1)[labels.combinations]
        for concept in labels.concepts.tolist()
    }


def counted(
    maps: Tensor,
    annotations: Sequence[Annotation],
    thresholds: Tensor,
    geometry: Geometry,
    image: Size,
    size: Size,
) -> tuple[Counts, Counts, Counts]:
    """Intersections, unit areas and concept areas of ``maps`` (image, unit, row, column), all images at once."""
    labels = [LabelCombinations.of(annotation, size) for annotation in annotations]
    units, areas = UnitCounts.empty(maps.shape[1], 6, 3), ConceptCounts.empty(6, 3)
    for one in labels:
        areas.update(one, CATEGORY_OF)
    images, its_units = (
        places.flatten() for places in torch.from_numpy(np.indices(maps.shape[:2]))
    )
    scenes = AnnotationBatch.of(labels, CATEGORY_OF, 3, CPU)
    units.update(
        count_intersections(
            [(images, its_units, maps.flatten(0, 1))], thresholds, geometry, image, scenes, 6
        )
    )
    assert units.intersection.dtype == units.unit_area.dtype == torch.int64
    return units.intersection.numpy(), units.unit_area.numpy(), areas.area


def twins(
    maps: Tensor,
    annotations: Sequence[Annotation],
    thresholds: Tensor,
    geometry: Geometry,
    image: Size,
    size: Size,
) -> tuple[Counts, Counts, Counts]:
    """The same by the slow twin."""
    axes = (
        (geometry.rows.stride, geometry.rows.offset),
        (geometry.columns.stride, geometry.columns.offset),
    )
    plain = [
        ([np.asarray(plane, np.int32) for plane in one.planes], list(one.labels))
        for one in annotations
    ]
    return reference.counts(
        maps.numpy(), plain, CATEGORY_OF.tolist(), 3, thresholds.numpy(), axes, image, size
    )  # fmt: skip


def assert_same(found: Sequence[Counts], expected: Sequence[Counts]) -> None:
    for one, other, name in zip(
        found, expected, ("intersection", "unit area", "concept area"), strict=True
    ):
        assert np.array_equal(one, other), name


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
def test_nearest_rows(source: int, target: int, rows: list[int]) -> None:
    assert nearest_rows(source, target).tolist() == rows


def test_nearest_rows_stay_inside_and_ascend() -> None:
    for source in range(1, 40):
        for target in range(1, 40):
            rows = nearest_rows(source, target)
            assert rows.min() >= 0 and rows.max() < source and (np.diff(rows) >= 0).all()


@pytest.mark.parametrize("source", SIZES)
@pytest.mark.parametrize("target", SIZES)
def test_resizing_equals_the_twin(source: Size, target: Size) -> None:
    plane = random_planes(sum(source), source, 1)[0]
    assert np.array_equal(resize_plane(plane, target), reference.resize_nearest(plane, target))


class TestLabels:
    def test_everything_is_brought_to_one_size(self) -> None:
        planes: list[npt.NDArray[np.integer]] = [
            np.array([[1, 2]], np.uint8),
            np.array([[3], [0]], np.int64),
        ]
        found = LabelCombinations.of(Annotation(planes, (4, 5)), (2, 2))
        assert found.size == (2, 2) and found.combinations.dtype == np.uint8
        assert [
            [sorted({0, *which}) for which in row]
            for row in found.members[found.combinations].tolist()
        ] == [
            [[0, 1, 3, 4, 5], [0, 2, 3, 4, 5]],
            [[0, 1, 4, 5], [0, 2, 4, 5]],
        ]
        assert found.concepts.tolist() == [0, 1, 2, 3, 4] and found.areas.tolist() == [
            2,
            2,
            2,
            4,
            4,
        ]

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
        found = LabelCombinations.of(Annotation(planes), (2, 2))
        assert found.concepts.tolist() == [0, 1, 2] and found.areas.tolist() == [1, 1, 4]
        assert {concept: mask.tolist() for concept, mask in masks_of(found).items()} == {
            0: [[False, False], [False, True]],
            1: [[False, False], [True, False]],
            2: [[True, True], [True, True]],
        }

    def test_a_label_of_the_whole_image_counts_once(self) -> None:
        found = LabelCombinations.of(Annotation([np.array([[2, 1], [0, 2]])], (2, 2, 0)), (2, 2))
        assert {tuple(sorted(which)) for which in found.members.tolist()} == {
            (0, 0, 0, 2),
            (0, 0, 1, 2),
        }
        assert found.concepts.tolist() == [0, 1] and found.areas.tolist() == [1, 4]

    @pytest.mark.parametrize(
        "annotation", [Annotation([]), Annotation([np.zeros((2, 5), np.uint8)])]
    )
    def test_of_an_image_without_labels(self, annotation: Annotation) -> None:
        found = LabelCombinations.of(annotation, (3, 4))
        assert found.size == (3, 4) and not found.combinations.any() and not found.members.any()
        assert found.concepts.shape == found.areas.shape == (0,)

    @pytest.mark.parametrize(
        "plane", [np.zeros(4, int), np.zeros((2, 3, 3), int), np.zeros((0, 3), int)]
    )
    def test_a_plane_that_is_not_row_by_column_is_refused(
        self, plane: npt.NDArray[np.int64]
    ) -> None:
        with pytest.raises(
            ValueError, match=r"a plane is of shape \(.*, where \(row, column\) belongs"
        ):
            LabelCombinations.of(Annotation([np.ones((3, 3), int), plane]), (3, 3))

    @pytest.mark.parametrize("planes", [1, 2, 5])
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("whole", [(), (2,), (6, 1, 6)])
    def test_they_equal_the_twins_masks(
        self, planes: int, size: Size, whole: tuple[int, ...]
    ) -> None:
        drawn = list(random_planes(planes, (9, 14), planes))
        found = LabelCombinations.of(Annotation(drawn, whole), size)
        expected = reference.annotation_masks(drawn, whole, size)
        masks = masks_of(found)
        assert list(masks) == sorted(expected)
        for concept, mask in masks.items():
            assert np.array_equal(mask, expected[concept])
            assert (found.members == concept + 1).sum(1).max() == 1
        assert found.areas.tolist() == [
            np.count_nonzero(expected[concept]) for concept in sorted(expected)
        ]


@pytest.mark.parametrize("size", [*SIZES[:-1], (60, 61)])
@pytest.mark.parametrize("units", [1, 9])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_counts_of_pixels_equal_the_twins(size: Size, units: int, share: float) -> None:
    maps = torch.rand(3, units, *size, generator=torch.Generator().manual_seed(1))
    thresholds = torch.full((units,), 1 - share if share < 1 else -1.0)
    annotations = [
        Annotation(list(random_planes(image, size, image)), (1 + image,) * (image % 2))
        for image in (2, 0, 5)
    ]
    found = counted(maps, annotations, thresholds, PIXELS, size, size)
    assert_same(found, twins(maps, annotations, thresholds, PIXELS, size, size))
    assert found[0].any() == (share > 0) or size == (1, 1)


@pytest.mark.parametrize("seed", range(8))
def test_counts_over_upsampled_maps_equal_the_twins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units, size = int(rng.integers(1, 9)), (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    mask, image = (int(rng.integers(1, 20)), int(rng.integers(1, 40))), (33, 48)
    rows, columns = (
        Axis(1, float(rng.choice([1.5, 4, -3.7, 16])), float(rng.uniform(-9, 40))) for _ in range(2)
    )
    thresholds = torch.from_numpy(rng.random(units).astype(np.float32))
    maps = torch.from_numpy(rng.random((5, units, *size), dtype=np.float32))
    annotations = [
        Annotation(
            [
                random_planes(10 * seed + image + plane, (6 + plane, 9), 1)[0]
                for plane in range(image % 3)
            ],
            tuple(rng.integers(1, 7, image % 4).tolist()),
        )
        for image in range(5)
    ]
    given = (maps, annotations, thresholds, Geometry(rows, columns), image, mask)
    assert_same(counted(*given), twins(*given))


def test_maps_may_come_in_any_order_and_be_some_of_all() -> None:
    maps = torch.rand(4, 5, 6, 7, generator=torch.Generator().manual_seed(5))
    thresholds = torch.full((5,), 0.6)
    labels = [
        LabelCombinations.of(Annotation(list(random_planes(image, (6, 7), 2)), (3,)), (6, 7))
        for image in range(4)
    ]
    scenes = AnnotationBatch.of(labels, CATEGORY_OF, 3, CPU)
    chosen = torch.randperm(20, generator=torch.Generator().manual_seed(6))[:11]
    at_a_time, at_once, in_pieces = (UnitCounts.empty(5, 6, 3) for _ in range(3))
    given = (thresholds, PIXELS, (6, 7), scenes, 6)
    every = [
        (place // 5, place % 5, maps.flatten(0, 1)[place])
        for place in chosen.sort().values.split(1)
    ]
    for piece in every:
        at_a_time.update(count_intersections([piece], *given))
    turned = maps.flatten(0, 1)[chosen].transpose(1, 2).contiguous().transpose(1, 2)
    assert not turned.is_contiguous()
    at_once.update(count_intersections([(chosen // 5, chosen % 5, turned)], *given))
    in_pieces.update(count_intersections(iter(every), *given))
    for other in (at_once, in_pieces):
        assert other.intersection.equal(at_a_time.intersection) and other.unit_area.equal(
            at_a_time.unit_area
        )
    assert at_once.intersection.sum() > 0


def test_no_map_counts_nothing() -> None:
    scenes = AnnotationBatch.of(
        [LabelCombinations.of(Annotation([np.ones((4, 4), int)]), (4, 4))], CATEGORY_OF, 3, CPU
    )
    none, found = torch.empty(0, dtype=torch.int64), UnitCounts.empty(2, 6, 3)
    for pieces in ([], [(none, none, torch.empty(0, 4, 4))]):
        found.update(count_intersections(pieces, torch.zeros(2), PIXELS, (4, 4), scenes, 6))
    assert not found.intersection.any() and not found.unit_area.any()


@pytest.mark.parametrize(
    "planes", [[np.array([[2**30, 0], [1, 2**30]])], [np.array([[700, 0], [1, 700]])] * 5]
)
def test_of_vocabularies_of_any_size(planes: list[npt.NDArray[np.int64]]) -> None:
    found = LabelCombinations.of(Annotation(planes), (2, 2))
    assert found.concepts.tolist() == [0, planes[0].max() - 1] and found.areas.tolist() == [1, 2]


@pytest.fixture(
    params=["autocast", "medium precision", "half by default", "inference mode", "another device"]
)
def surroundings(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a caller may have set for a model, and what must not reach the counts."""
    precision, dtype = torch.get_float32_matmul_precision(), torch.get_default_dtype()
    caches = (activation_masks.strips, upsampling._taps_on)
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
            torch.autocast("cpu", torch.bfloat16, enabled=request.param == "autocast"),
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
    size, geometry = (150, 151), Geometry(Axis(1, 21.4, 3), Axis(1, -15.1, 150))
    maps = torch.from_numpy(np.random.default_rng(3).random((2, 9, 7, 10), dtype=np.float32))
    thresholds = torch.full((9,), 0.2, dtype=torch.float32, device="cpu")
    annotations = [
        Annotation([np.full(size, 2), *random_planes(image, (50, 50), 2)], (1,))
        for image in range(2)
    ]
    expected = twins(maps, annotations, thresholds, geometry, size, size)
    assert_same(counted(maps, annotations, thresholds, geometry, size, size), expected)
    assert expected[0].max() > 2**14 and any(count % 128 for count in expected[0].ravel())


def test_what_inference_mode_leaves_behind_serves_afterwards() -> None:
    maps, thresholds = (
        torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(1)),
        torch.full((2,), 0.5),
    )
    given = (
        [Annotation([np.full((8, 8), 1)])],
        thresholds,
        Geometry(Axis(1, 2.5, 1), Axis(1, 2.5, 1)),
        (8, 8),
        (8, 8),
    )
    with torch.inference_mode():
        first = counted(maps, *given)
    assert_same(counted(maps, *given), first)


def test_more_pixels_than_float32_counts() -> None:
    size = (4097, 4096)
    everywhere = Annotation([np.ones(size, np.int32)], (2,))
    with torch.autocast("cpu", torch.bfloat16):
        found = counted(torch.ones(1, 1, 1, 1), [everywhere], torch.zeros(1), PIXELS, size, size)
    assert found[0][0, :2].tolist() == [2**24 + 4096] * 2
    assert found[1][0].tolist() == [2**24 + 4096, 2**24 + 4096, 0]
    assert found[2][:2].tolist() == [2**24 + 4096] * 2
