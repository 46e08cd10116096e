"""The pure method against the slow twin, and its state against any split of the probe data set."""

from __future__ import annotations

import functools
import itertools
import operator

import numpy as np
import pytest
import reference
import torch
from torch import Tensor
from torch.nn import functional as F

from nd_plugin import Axis, Geometry, scores
from nd_plugin.counting import ConceptCounts, Scene, UnitCounts
from nd_plugin.geometry import spread_evenly
from nd_plugin.observation import Observation
from nd_plugin.quantile import Largest, rank
from nd_plugin.tally import dense
from nd_plugin.types import Annotation
from nd_plugin.upsample import upsample

GEOMETRIES = [
    (Axis(435, 32, 0), Axis(435, 32, 0)),  # ResNet-18's layer4
    (Axis(851, 32, 31), Axis(163, 16, 17)),
    (Axis(1, 1 / 3, -5.25), Axis(9, 7.5, 100)),  # cells beyond the edges
    (Axis(3, -4, 60), Axis(3, 4, 3)),  # flipped
]


class TestUpsample:
    @pytest.mark.parametrize("axes", GEOMETRIES)
    @pytest.mark.parametrize("cells", [(7, 5), (1, 1), (2, 9)])
    def test_equals_the_twin_to_the_last_bit(self, axes: tuple[Axis, Axis], cells: tuple[int, int]) -> None:
        maps = torch.randn(2, *cells, generator=torch.Generator().manual_seed(0))
        twin_geometry = tuple((axis.stride, axis.offset) for axis in axes)
        found = upsample(maps, Geometry(*axes), (64, 96), (31, 48)).numpy()
        for unit in range(2):
            literal = reference.upsample(maps[unit].numpy(), twin_geometry, (64, 96), (31, 48))  # type: ignore[arg-type]
            assert np.array_equal(found[unit].view(np.int32), literal.view(np.int32))

    def test_half_pixel_geometry_is_interpolate(self) -> None:
        maps = torch.randn(1, 3, 7, 7, dtype=torch.float64)
        found = upsample(maps, spread_evenly((7, 7), (224, 224)), (224, 224), (112, 112))
        torch.testing.assert_close(found, F.interpolate(maps, size=(112, 112), mode="bilinear"), atol=1e-5, rtol=0)

    def test_anchoring_moves_the_map_by_what_the_design_says(self) -> None:
        """ResNet-18's layer4: its cells sit 15.5 pixels before where half-pixel resizing puts them."""
        maps = torch.randn(1, 7, 7, dtype=torch.float64)
        anchored = upsample(maps, Geometry(Axis(435, 32, 0), Axis(435, 32, 0)), (224, 224), (224, 224))
        even = upsample(maps, Geometry(Axis(1, 32, 15), Axis(1, 32, 15)), (224, 224), (224, 224))
        assert torch.equal(anchored[:, :200, :200], even[:, 15:215, 15:215])
        assert torch.equal(anchored[0, ::32, ::32], maps[0])

    def test_it_never_leaves_the_range_of_a_map(self) -> None:
        generator = torch.Generator().manual_seed(0)
        maps = torch.randn(200, 5, 5, generator=generator) * 10 ** torch.randn(200, 1, 1, generator=generator)
        found = upsample(maps, Geometry(Axis(1, 13.7, 3.1), Axis(1, 9.3, -2.9)), (64, 64), (57, 61))
        assert (found.amax((1, 2)) <= maps.amax((1, 2))).all() and (found.amin((1, 2)) >= maps.amin((1, 2))).all()
        flat = torch.full((1, 5, 5), 0.1)
        assert torch.equal(upsample(flat, spread_evenly((5, 5), (64, 64)), (64, 64), (57, 61)).unique(), flat.unique())


class TestThreshold:
    @pytest.mark.parametrize("quantile", [0.005, 0.1, 0.29, 0.999])
    @pytest.mark.parametrize("n", [1, 7, 100, 200, 1999])
    def test_equals_the_twin(self, quantile: float, n: int) -> None:
        values = torch.randn(4, n, generator=torch.Generator().manual_seed(n)).round(decimals=1)
        keep = rank(quantile, n) + 1
        found = functools.reduce(operator.add, (Largest.of(keep, part) for part in values.split(13, 1)))
        assert found.locations == n
        thresholds = found.threshold(quantile)
        assert thresholds.tolist() == [reference.threshold(unit.numpy(), quantile) for unit in values]
        assert ((values > thresholds[:, None]).sum(1) <= quantile * n).all()

    def test_the_rank_is_that_of_the_decimal_number(self) -> None:
        assert rank(0.29, 100) == 29 and int(0.29 * 100) == 28
        assert rank(0.005, 200) == 1 and rank(0.005, 199) == 0

    def test_sparse_is_exact(self) -> None:
        zeros = np.array([0, 70, 71, 72, 100])
        twin = [bool(reference.sparse(np.arange(100) >= count, 0.29)) for count in zeros[:-1]]
        assert scores.mostly_zero(zeros, 100, 0.29).tolist()[:-1] == twin == [False, False, False, True]


@pytest.fixture
def maps() -> Tensor:
    """(image, unit, row, column), with ties and zeros."""
    return torch.randn(12, 5, 6, 6, generator=torch.Generator().manual_seed(4)).round(decimals=1).relu()


def observed(maps: Tensor, images: Tensor) -> Observation:
    low, high = maps.flatten(2).aminmax(dim=2)
    return Observation.of(maps, images, (low, high), keep=30, top=5)


SPLITS = [[12], [1] * 12, [5, 7], [3, 1, 8], [0, 12]]


@pytest.mark.parametrize("sizes", SPLITS[:-1])
@pytest.mark.parametrize("backwards", [False, True])
def test_observations_add_up_for_any_split(maps: Tensor, sizes: list[int], backwards: bool) -> None:
    images = torch.arange(12) * 3
    whole = observed(maps, images)
    parts = [observed(*part) for part in zip(maps.split(sizes), images.split(sizes), strict=True)]
    found = functools.reduce(operator.add, reversed(parts) if backwards else parts)
    assert torch.equal(found.largest.threshold(0.05), whole.largest.threshold(0.05))
    for name in ("minimum", "maximum", "zeros"):
        assert torch.equal(getattr(found, name), getattr(whole, name))
    assert torch.equal(found.top.images, whole.top.images)
    assert torch.equal(found.top.activations, whole.top.activations)


@pytest.mark.parametrize("sizes", SPLITS)
def test_counts_add_up_for_any_split_and_equal_the_twin(maps: Tensor, sizes: list[int]) -> None:
    random = np.random.default_rng(0)
    category_of = [0, 0, 1, 2, 2, 2]
    annotations = [
        Annotation(list(random.integers(0, 6, (image % 3, 9, 9))), (6,) if image % 4 == 0 else ())
        for image in range(12)
    ]
    thresholds = torch.tensor([0.3, 0.5, 0.0, 2.0, 1.0])
    axes = (Axis(1, 5, 2), Axis(1, 5, 2))

    def counted(images: range) -> tuple[UnitCounts, ConceptCounts]:
        units, areas = UnitCounts.none(5, 6, 3), ConceptCounts.none(6, 3)
        for image in images:
            scene = Scene.of(dense(annotations[image], (18, 18)), np.array(category_of), torch.device("cpu"))
            areas.see(scene)
            units.see(torch.arange(5), maps[image], thresholds, Geometry(*axes), (32, 32), scene)
        return units, areas

    starts = np.cumsum([0, *sizes])
    parts = [counted(range(a, b)) for a, b in itertools.pairwise(starts.tolist())]
    units = functools.reduce(operator.add, (part[0] for part in parts))
    areas = functools.reduce(operator.add, (part[1] for part in parts))
    twin = [([np.asarray(p, np.int32) for p in a.planes], list(a.labels)) for a in annotations]
    expected = reference.counts(
        maps.numpy(), twin, category_of, 3, thresholds.numpy(), ((5, 2), (5, 2)), (32, 32), (18, 18)
    )  # fmt: skip
    for found, wanted in zip((units.intersection, units.unit_area, areas.area), expected, strict=True):
        assert np.array_equal(found, wanted)
    iou = scores.iou(units.intersection, units.unit_area, areas.area, np.array(category_of))
    assert np.array_equal(iou, reference.iou(*expected, category_of))
    best, score = scores.best_in_category(iou, np.array(category_of), 3)
    per_category = sum(scores.count_distinct_per_column(best, score, 0.04))
    assert per_category == reference.unique_detectors_per_category(iou, 0.04, category_of)


def test_ties_go_to_the_lower_concept() -> None:
    assert scores.labels(np.array([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])).tolist() == [1, 0]
