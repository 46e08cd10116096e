"""Counting pixels, against the slow twin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import reference
import torch

from nd_plugin import Annotation
from nd_plugin.tally import EXACT_IN_FLOAT32, annotation_masks, dense, nearest_rows, resize_plane, tally

SIZES = [(1, 1), (1, 7), (5, 3), (8, 8), (13, 29), (112, 112)]


def random_planes(seed: int, size: tuple[int, int], count: int, concepts: int = 6) -> npt.NDArray[np.int32]:
    """Planes (plane, row, column) where about half of the pixels have no label."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, concepts + 1, (count, *size))
    return np.asarray(values * rng.integers(0, 2, values.shape), dtype=np.int32)


def random_masks(seed: int, count: int, size: tuple[int, int], share: float = 0.3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((count, *size)) < share)


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
def test_resizing_equals_the_twin(source: tuple[int, int], target: tuple[int, int]) -> None:
    plane = random_planes(sum(source), source, 1)[0]
    assert np.array_equal(resize_plane(plane, target), reference.resize_nearest(plane, target))


def test_dense_brings_everything_to_one_size() -> None:
    planes: list[npt.NDArray[np.integer]] = [np.array([[1, 2]], np.uint8), np.array([[3], [0]], np.int64)]
    found = dense(Annotation(planes, (4, 5)), (2, 2))
    assert found.dtype == np.int32
    assert found.tolist() == [[[1, 2], [1, 2]], [[3, 3], [0, 0]], [[4, 4], [4, 4]], [[5, 5], [5, 5]]]


def test_dense_without_labels() -> None:
    found = dense(Annotation([]), (3, 4))
    assert found.shape == (0, 3, 4) and found.dtype == np.int32


def test_annotation_masks_of_one_concept_in_several_planes() -> None:
    planes = np.array([[[3, 0], [0, 1]], [[0, 3], [0, 3]]], np.int32)
    concepts, masks = annotation_masks(planes)
    assert concepts.tolist() == [0, 2]
    assert masks.tolist() == [[[False, False], [False, True]], [[True, True], [False, True]]]


@pytest.mark.parametrize("planes", [1, 2, 5])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("labels", [(), (2,), (6, 1, 6)])
def test_annotation_masks_equal_the_twins(planes: int, size: tuple[int, int], labels: tuple[int, ...]) -> None:
    drawn = random_planes(planes, size, planes)
    concepts, masks = annotation_masks(dense(Annotation(list(drawn), labels), size))
    expected = reference.annotation_masks(list(drawn), labels, size)
    assert concepts.tolist() == sorted(expected)
    assert masks.shape == (len(expected), *size) and masks.dtype == np.bool_
    for concept, mask in zip(concepts.tolist(), masks, strict=True):
        assert np.array_equal(mask, expected[concept])


def test_annotation_masks_of_unlabelled_pixels() -> None:
    concepts, masks = annotation_masks(np.zeros((2, 3, 4), np.int32))
    assert concepts.shape == (0,) and masks.shape == (0, 3, 4)


def test_annotation_masks_of_an_image_without_annotation() -> None:
    concepts, masks = annotation_masks(dense(Annotation([]), (3, 4)))
    assert concepts.shape == (0,) and masks.shape == (0, 3, 4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("units", [1, 17])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_tally_counts_pixels(size: tuple[int, int], units: int, share: float) -> None:
    lit, labelled = random_masks(1, units, size, share), random_masks(2, 5, size)
    intersection, area = tally(lit, labelled)
    assert intersection.dtype == area.dtype == torch.int64
    for unit in range(units):
        assert area[unit] == np.count_nonzero(lit[unit].numpy())
        for concept in range(5):
            assert intersection[unit, concept] == np.count_nonzero((lit[unit] & labelled[concept]).numpy())


@pytest.mark.parametrize(("units", "concepts"), [(0, 3), (3, 0), (0, 0)])
def test_tally_of_nothing(units: int, concepts: int) -> None:
    intersection, area = tally(random_masks(0, units, (4, 6)), random_masks(1, concepts, (4, 6)))
    assert intersection.shape == (units, concepts) and area.shape == (units,)
    assert intersection.dtype == area.dtype == torch.int64


@pytest.mark.parametrize("seed", range(8))
def test_sums_over_images_equal_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units, concepts, size = int(rng.integers(1, 9)), 6, (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    thresholds = rng.random(units).astype(np.float32)
    maps = [rng.random((units, *size), dtype=np.float32) for _ in range(5)]
    drawn = [random_planes(10 * seed + image, size, 1 + image % 3, concepts) for image in range(5)]
    labels = [rng.integers(1, concepts + 1, image % 2).tolist() for image in range(5)]
    annotations = [(list(planes), whole) for planes, whole in zip(drawn, labels, strict=True)]
    axis = (1.0, 0.0)  # a cell per pixel
    expected, _, concept_area = reference.counts(
        maps, annotations, [0] * concepts, 1, thresholds, (axis, axis), size, size
    )
    found, found_area = np.zeros_like(expected), np.zeros_like(concept_area)
    for image in range(5):
        present, masks = annotation_masks(dense(Annotation(list(drawn[image]), tuple(labels[image])), size))
        lit = torch.from_numpy(maps[image] > thresholds[:, None, None])
        found[:, present] += tally(lit, torch.from_numpy(masks))[0].numpy()
        found_area[present] += masks.sum((1, 2))
    assert np.array_equal(found, expected) and np.array_equal(found_area, concept_area)
    assert expected.sum() > 0 or size == (1, 1)


@pytest.fixture(params=["autocast", "medium precision", "half by default", "inference mode"])
def surroundings(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a caller may have set for a model, and what must not reach the counts."""
    precision, dtype = torch.get_float32_matmul_precision(), torch.get_default_dtype()
    try:
        if request.param == "medium precision":
            torch.set_float32_matmul_precision("medium")
        if request.param == "half by default":
            torch.set_default_dtype(torch.bfloat16)
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=request.param == "autocast"),
            torch.inference_mode(request.param == "inference mode"),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_default_dtype(dtype)


@pytest.mark.usefixtures("surroundings")
def test_counts_are_exact_whatever_surrounds_them() -> None:
    lit, labelled = random_masks(3, 9, (150, 151), 0.9), random_masks(4, 7, (150, 151), 0.9)
    intersection, area = tally(lit, labelled)
    expected = [[np.count_nonzero((unit & concept).numpy()) for concept in labelled] for unit in lit]
    assert intersection.dtype == torch.int64 and intersection.tolist() == expected
    assert area.tolist() == [np.count_nonzero(unit.numpy()) for unit in lit]
    assert min(map(min, expected)) > 2**14 and any(count % 128 for row in expected for count in row)


@pytest.mark.parametrize("pixels", [EXACT_IN_FLOAT32, EXACT_IN_FLOAT32 + 1, EXACT_IN_FLOAT32 + 3])
def test_more_pixels_than_float32_counts(pixels: int) -> None:
    everywhere = torch.ones(1, 1, pixels, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        intersection, area = tally(everywhere, everywhere)
    assert intersection.tolist() == [[pixels]] and area.tolist() == [pixels]


def test_masks_need_not_be_contiguous() -> None:
    lit, labelled = random_masks(5, 6, (8, 12)), random_masks(6, 4, (8, 12))
    expected = tally(lit, labelled)[0]
    turned = tally(lit.transpose(1, 2).contiguous().transpose(1, 2), labelled.flip(0).flip(0))[0]
    assert torch.equal(turned, expected)
    assert torch.equal(tally(lit[::2], labelled[1:])[0], expected[::2, 1:])
