"""The pure method against the slow twin, and its state against any split of the probe data set."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import reference
import torch
from torch import Tensor
from torch.nn import functional as F

from nd_plugin import Axis, Geometry
from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.engine import run
from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.state import LayerState
from nd_plugin.engine.thresholds import UnitThresholds, thresholds
from nd_plugin.engine.unit_statistics import TopImages, UnitStatistics
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method import iou, quantile
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.method.counting import (
    AnnotationBatch,
    ConceptCounts,
    UnitCounts,
    UnitMaps,
    count_intersections,
)
from nd_plugin.method.lower_bound import CombinedBounds, LowerBound, poisson_upper_bound
from nd_plugin.method.quantile import Flat, from_keys, select, to_keys
from nd_plugin.method.ranks import rank
from nd_plugin.method.upsampling import MaskGrid, upsample
from nd_plugin.receptive_fields.geometry import spread_evenly

GEOMETRIES = [
    (Axis(435, 32, 0), Axis(435, 32, 0)),  # ResNet-18's layer4
    (Axis(851, 32, 31), Axis(163, 16, 17)),
    (Axis(1, 1 / 3, -5.25), Axis(9, 7.5, 100)),  # cells beyond the edges
    (Axis(3, -4, 60), Axis(3, 4, 3)),  # flipped
]


class TestUpsample:
    @pytest.mark.parametrize("axes", GEOMETRIES)
    @pytest.mark.parametrize("cells", [(7, 5), (1, 1), (2, 9)])
    def test_equals_the_twin_to_the_last_bit(
        self, axes: tuple[Axis, Axis], cells: tuple[int, int]
    ) -> None:
        maps = torch.randn(2, *cells, generator=torch.Generator().manual_seed(0))
        twin_geometry = tuple((axis.stride, axis.offset) for axis in axes)
        found = upsample(maps, Geometry(*axes), (64, 96), (31, 48)).numpy()
        for unit in range(2):
            literal = reference.upsample(maps[unit].numpy(), twin_geometry, (64, 96), (31, 48))  # type: ignore[arg-type]
            assert np.array_equal(found[unit].view(np.int32), literal.view(np.int32))

    def test_half_pixel_geometry_is_interpolate(self) -> None:
        maps = torch.randn(1, 3, 7, 7, dtype=torch.float64)
        found = upsample(maps, spread_evenly((7, 7), (224, 224)), (224, 224), (112, 112))
        torch.testing.assert_close(
            found, F.interpolate(maps, size=(112, 112), mode="bilinear"), atol=1e-5, rtol=0
        )

    def test_anchoring_moves_the_map_by_what_the_design_says(self) -> None:
        """ResNet-18's layer4: its cells sit 15.5 pixels before where half-pixel resizing puts them."""
        maps = torch.randn(1, 7, 7, dtype=torch.float64)
        anchored = upsample(
            maps, Geometry(Axis(435, 32, 0), Axis(435, 32, 0)), (224, 224), (224, 224)
        )
        even = upsample(maps, Geometry(Axis(1, 32, 15), Axis(1, 32, 15)), (224, 224), (224, 224))
        assert torch.equal(anchored[:, :200, :200], even[:, 15:215, 15:215])
        assert torch.equal(anchored[0, ::32, ::32], maps[0])

    def test_it_never_leaves_the_range_of_a_map(self) -> None:
        generator = torch.Generator().manual_seed(0)
        maps = torch.randn(200, 5, 5, generator=generator) * 10 ** torch.randn(
            200, 1, 1, generator=generator
        )
        found = upsample(maps, Geometry(Axis(1, 13.7, 3.1), Axis(1, 9.3, -2.9)), (64, 64), (57, 61))
        assert (found.amax((1, 2)) <= maps.amax((1, 2))).all() and (
            found.amin((1, 2)) >= maps.amin((1, 2))
        ).all()
        flat = torch.full((1, 5, 5), 0.1)
        assert torch.equal(
            upsample(flat, spread_evenly((5, 5), (64, 64)), (64, 64), (57, 61)).unique(),
            flat.unique(),
        )


class TestRank:
    def test_it_is_that_of_the_decimal_number(self) -> None:
        assert rank(0.29, 100) == 29 and int(0.29 * 100) == 28
        assert rank(0.005, 200) == 1 and rank(0.005, 199) == 0
        assert rank(0.1, 10**15) == 10**14

    @pytest.mark.parametrize("mean", [1e-9, 0.005, 0.7, 1.0, 5.0, 37.5, 400.0])
    def test_surely_fewer_is_hardly_ever_reached_and_not_far_away(self, mean: float) -> None:
        number = poisson_upper_bound(mean)
        chance = sum(
            math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
            for k in range(number, number + 3000)
        )
        assert chance < 1e-12 and number > mean
        assert number < mean + 9 * math.sqrt(mean) + 30


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": lambda values: values,
    "ties": lambda values: values.round(decimals=1),
    "few values": lambda values: values.round(),
    "all the same": lambda values: values * 0 - 2.5,
    "negative": lambda values: -values.abs() - 1e-3,
    "mostly zero": lambda values: (values - 1.5).relu(),
    "zeros of both signs": lambda values: values.round() * 0,
    "denormal": lambda values: values * (torch.finfo(values.dtype).tiny * 1e-4),
    "huge": lambda values: values * (torch.finfo(values.dtype).max / 10),
    "of all sizes": lambda values: values * 10 ** (10 * values.flip(1)),
    "next to each other": lambda values: (
        (values.view(torch.int64 if values.dtype == torch.float64 else torch.int32) % 9).to(
            values.dtype
        )
        * torch.finfo(values.dtype).eps
        + 1
    ),
}
DTYPES = [torch.float32, torch.float64]


def drawn(kind: str, dtype: torch.dtype, many: int = 500, units: int = 4) -> Tensor:
    """Values (unit, value)."""
    return KINDS[kind](
        torch.randn(units, many, dtype=dtype, generator=torch.Generator().manual_seed(many))
    )


def parts_of(values: Tensor, above: Tensor, sizes: Sequence[int]) -> list[Flat]:
    """Units and values of what is above, mixed, in parts."""
    units = torch.arange(len(values)).repeat_interleave(values.shape[1])
    mixed = torch.randperm(values.numel(), generator=torch.Generator().manual_seed(1))
    units, flat = units[mixed], values.flatten()[mixed]
    stay = flat > above[units]
    cut = torch.tensor_split(torch.arange(int(stay.sum())), torch.tensor(sizes))
    return [(units[stay][places], flat[stay][places]) for places in cut]


def check_selected(values: Tensor, above: Tensor, place: int, found: tuple[Tensor, Tensor]) -> None:
    """Against plain sorting."""
    for unit, row in enumerate(values):
        left = row[row > above[unit]].sort(descending=True).values
        assert bool(found[1][unit]) == (place < len(left))
        expected = left[place] if place < len(left) else above[unit]
        assert found[0][unit] == expected and found[0].dtype == values.dtype


class TestSelect:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("small", [False, True])
    def test_equals_plain_sorting(
        self, kind: str, dtype: torch.dtype, small: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if small:  # many rounds over few counters, the values read again and again
            monkeypatch.setattr(quantile, "BUCKETS", 32)
        most = 7 if small else 2**20
        values = drawn(kind, dtype)
        for above in (
            torch.full((4,), -torch.inf, dtype=dtype),
            values.median(1).values,
            torch.stack(
                [values[0, 0], values[1].amin(), values[2].amax(), -values.abs().amax() * 2]
            ),
        ):
            parts = parts_of(values, above, [3, 100, 100])
            for place in (0, 1, 17, 249, 499, 500, 10**6):
                found = select(
                    lambda parts=parts: parts,
                    above,
                    values.amax(1),
                    place,
                    SingleProcess().total,
                    most,
                )
                check_selected(values, above, place, found)

    @pytest.mark.parametrize(("most", "times"), [(2**22, 1), (200, 4), (0, 8)])
    def test_values_are_read_again_while_there_are_many(
        self, most: int, times: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quantile, "BUCKETS", 64)
        values, above, read = drawn("normal", torch.float32), torch.full((4,), -torch.inf), []

        def flat() -> Iterator[Flat]:
            read.append(1)
            yield from parts_of(values, above, [50, 900])

        check_selected(
            values, above, 12, select(flat, above, values.amax(1), 12, SingleProcess().total, most)
        )
        assert len(read) == times

    def test_of_nothing(self) -> None:
        above = torch.tensor([1.5, -torch.inf])
        for highest in (torch.tensor([2.0, 0.0]), torch.tensor([1.5, -torch.inf])):
            values, known = select(lambda: [], above, highest, 0, SingleProcess().total, 2**20)
            assert values.tolist() == above.tolist() and not known.any()

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", ["normal", "ties", "mostly zero"])
    @pytest.mark.parametrize(
        "most", [2**22, 300]
    )  # 300: one process reads once, the other one several times
    def test_over_two_processes(
        self, kind: str, dtype: torch.dtype, most: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quantile, "BUCKETS", 256)
        values = drawn(kind, dtype)
        above = values.quantile(0.3, dim=1)
        (few, many), place = parts_of(values, above, [100]), 40
        counts: dict[int, Tensor] = {}
        found: dict[int, tuple[Tensor, Tensor]] = {}
        barrier = threading.Barrier(2, timeout=60)

        def process(number: int, part: Flat) -> None:
            def total(mine: Tensor) -> Tensor:
                counts[number] = mine
                barrier.wait()
                both = counts[0] + counts[1]
                barrier.wait()
                return both

            found[number] = select(lambda: [part], above, values.amax(1), place, total, most)

        threads = [threading.Thread(target=process, args=given) for given in ((0, few), (1, many))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in (0, 1):
            check_selected(values, above, place, found[number])

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_keys_are_in_the_order_of_the_values(self, dtype: torch.dtype) -> None:
        limits = torch.finfo(dtype)
        least = torch.tensor(0.0, dtype=dtype).nextafter(torch.tensor(1.0, dtype=dtype)).item()
        positive = [least, limits.tiny, 1.0, 1.5, limits.max, math.inf]
        ascending = torch.tensor(
            [*(-value for value in reversed(positive)), 0.0, *positive], dtype=dtype
        )
        keys = to_keys(ascending)
        assert not keys.is_floating_point() and bool((keys.long().diff() > 0).all())
        assert torch.equal(from_keys(keys, dtype), ascending)
        assert to_keys(torch.tensor([-0.0], dtype=dtype)) == 0
        assert to_keys(torch.tensor(least, dtype=dtype)) == 1


def observed(
    maps: Tensor, images: Tensor, enough: int = 30, top: int = 5, batch: int = 4
) -> UnitStatistics:
    found = UnitStatistics.empty(maps, enough, top)
    for part, places in zip(maps.split(batch), images.split(batch), strict=True):
        if len(part):
            found.update(part, part.amax((2, 3)), places)
    return found


def whole_threshold(
    maps: Tensor, quantiles: Sequence[float], bound: Tensor | None = None
) -> list[UnitThresholds]:
    """Of ``maps`` (image, unit, row, column), all of which are kept that are above ``bound``."""
    bound = torch.full((maps.shape[1],), -torch.inf, dtype=maps.dtype) if bound is None else bound
    candidates = Candidates((maps.shape[2], maps.shape[3]), maps.dtype)
    for batch, images in enumerate(torch.arange(len(maps)).split(5)):
        candidates.update(batch, images, maps[images], maps[images].amax((2, 3)), bound)
    locations = len(maps) * maps.shape[2] * maps.shape[3]
    enough = rank(max(quantiles), locations) + 1
    whole = observed(maps, torch.arange(len(maps)), enough)
    seen = LowerBound.empty(maps, max(quantiles), len(maps), enough)
    seen.level = bound
    for part in maps.split(7):
        seen.count(part)
    return thresholds(
        [candidates], CombinedBounds.of([seen.snapshot()]), whole, quantiles, SingleProcess(), 2**20
    )


class TestThreshold:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("kind", KINDS)
    def test_equals_the_twin(self, kind: str, dtype: torch.dtype) -> None:
        maps = drawn(kind, dtype, 20 * 12).view(4, 20, 3, 4).transpose(0, 1)
        quantiles = [0.005, 0.1, 0.29, 0.999]
        for at, tau in zip(whole_threshold(maps, quantiles), quantiles, strict=True):
            twin = [
                reference.threshold(unit.numpy(), tau) for unit in maps.transpose(0, 1).flatten(1)
            ]
            assert at.quantile == tau and at.known.all() and at.values.tolist() == twin
            assert ((maps > at.values[:, None, None]).sum((0, 2, 3)) <= tau * 240).all()

    @pytest.mark.parametrize("locations", [1, 7, 100, 199, 200])
    def test_for_any_number_of_locations(self, locations: int) -> None:
        maps = drawn("ties", torch.float32, locations).T[:, :, None, None]
        for at in whole_threshold(maps, [0.005, 0.5]):
            assert at.values.tolist() == [
                reference.threshold(unit.numpy(), at.quantile) for unit in maps[:, :, 0, 0].T
            ]

    def test_it_is_unknown_where_it_was_not_kept_and_never_wrong(self) -> None:
        maps = drawn("normal", torch.float32, 240, 6).view(6, 20, 3, 4).transpose(0, 1)
        twin = torch.tensor(
            [reference.threshold(unit.numpy(), 0.1) for unit in maps.transpose(0, 1).flatten(1)]
        )
        bound = twin + torch.tensor([-1.0, -1e-3, 0.0, 1e-3, 1.0, -torch.inf])
        (found,) = whole_threshold(maps, [0.1], bound)
        assert found.known.tolist() == [True, True, False, False, False, True]
        assert torch.equal(found.values[found.known], twin[found.known])

    def test_constant_units_and_those_that_hardly_leave_0_are_known_without_candidates(
        self,
    ) -> None:
        maps = torch.zeros(20, 4, 3, 4)
        maps[:, 1], maps[3, 2, 0, 0], maps[5, 2, 1, 1], maps[:, 3] = -2.5, 4.0, -1.0, 0.5
        (found,) = whole_threshold(maps, [0.1], torch.tensor([0.0, -2.5, 0.0, 0.5]))
        assert found.known.all() and found.values.tolist() == [0.0, -2.5, 0.0, 0.5]

    @pytest.mark.parametrize("tau", [0.005, 0.29, 0.5, 0.75])
    @pytest.mark.parametrize("images", [1, 3, 25])
    def test_sparse_and_dead_equal_the_twins(self, tau: float, images: int) -> None:
        locations = images * 4
        few = [min(count, locations) for count in range(locations + 1)]
        maps = torch.stack([(torch.arange(locations) < count) * -1.5 for count in few], dim=1)
        maps = maps.view(images, 4, -1).transpose(1, 2)[..., None]
        seen = observed(maps, torch.arange(images), rank(tau, locations) + 1)
        values = maps.transpose(0, 1).flatten(1).numpy()
        assert run._sparse(seen, tau).tolist() == reference.sparse(values, tau).tolist()
        assert (~seen.varied).tolist() == reference.dead(values).tolist()


class TestBound:
    @pytest.mark.parametrize("kind", ["normal", "ties", "mostly zero", "negative"])
    @pytest.mark.parametrize("batch", [1, 7, 400])
    def test_it_rises_and_does_not_pass_the_threshold_of_images_in_random_order(
        self, kind: str, batch: int
    ) -> None:
        maps = drawn(kind, torch.float32, 400 * 12).view(4, 400, 3, 4).transpose(0, 1)
        bound, before = (
            LowerBound.empty(maps, 0.05, len(maps), rank(0.05, maps[:, 0].numel()) + 1),
            torch.full((4,), -torch.inf),
        )
        for part in maps.split(batch):
            bound.update(part)
            bound.settle()
            assert (bound.level >= before).all()
            before = bound.level
        twin = torch.tensor(
            [reference.threshold(unit.numpy(), 0.05) for unit in maps.transpose(0, 1).flatten(1)]
        )
        assert bound.drawn == 400 and bound.level.isfinite().all() and (bound.level <= twin).all()
        if kind != "mostly zero":
            kept = (maps.amax((2, 3)) > bound.level).float().mean()
            assert kept < 0.95, "it rules maps out"

    def test_values_above_the_threshold_may_crowd_into_few_images(self) -> None:
        maps = torch.rand(400, 3, 5, 4, generator=torch.Generator().manual_seed(2))
        maps[torch.randperm(400, generator=torch.Generator().manual_seed(3))[:20]] += 5
        bound = LowerBound.empty(maps, 0.05, len(maps), rank(0.05, maps[:, 0].numel()) + 1)
        for part in maps.split(10):
            bound.update(part)
            bound.settle()
        twin = [reference.threshold(unit.numpy(), 0.05) for unit in maps.transpose(0, 1).flatten(1)]
        assert bound.level.isfinite().all() and (bound.level <= torch.tensor(twin)).all()

    @pytest.mark.parametrize("batch", [1, 16, 400])
    @pytest.mark.parametrize("value", [-0.5, 0.0, 2.5])
    def test_a_level_that_many_values_are_is_told_by_counting(
        self, value: float, batch: int
    ) -> None:
        maps = (
            torch.randn(400, 3, 3, 4, generator=torch.Generator().manual_seed(4))
            .add(value)
            .clamp(max=value)
        )
        maps[:, 1], maps[:, 2] = (
            value,
            torch.where(torch.rand(400, 3, 4) < 0.03, 9.0, maps[:, 2].clamp(min=value)),
        )
        watched = LayerState.empty(maps, 0.05, 400, 400, 5, spread_evenly((3, 4), (30, 40)))
        for number, (part, images) in enumerate(
            zip(maps.split(batch), torch.arange(400).split(batch), strict=True)
        ):
            watched.update(number, part, part.amax((2, 3)), images)
            if (number, batch) == (5, 16):
                watched.settle()
        watched.settle()
        assert watched.bound.level.tolist() == [value] * 3
        watched.candidates.prune(watched.bound.level)
        kept = sum(len(watched.candidates.of(batch).units) for batch in watched.candidates.parts)
        assert kept == int((maps.amax((2, 3)) > value).sum()), (
            "what is not above the level is forgotten"
        )
        bounds = CombinedBounds.of([watched.bound.snapshot()])
        (found,) = thresholds(
            [watched.candidates], bounds, watched.observation, [0.05], SingleProcess(), 2**20
        )
        assert found.known.all() and found.values.tolist() == [value] * 3

    def test_what_parts_have_counted_adds_up(self) -> None:
        floors = torch.tensor([[1.0, 1.0, 0.0, 2.0, 0.0], [1.0, 0.0, 0.0, 3.0, 0.0]])
        reached = torch.tensor([[5, 11, 3, 11, 2], [6, 0, 7, 4, 3]])
        bounds = CombinedBounds(torch.zeros(5), floors, reached)
        assert bounds.proven_level(10).tolist() == [1.0, 1.0, -torch.inf, 2.0, -torch.inf]
        assert bounds.proven_level(4).tolist() == [1.0, 1.0, 0.0, 2.0, 0.0]
        assert bounds.proven_level(3).tolist() == [1.0, 1.0, 0.0, 3.0, 0.0]

    def test_a_unit_that_saturates_now_and_then_is_below_it(self) -> None:
        maps = (torch.randn(400, 3, 3, 4, generator=torch.Generator().manual_seed(4)) * 3.4).clamp(
            0, 6
        )
        bound = LowerBound.empty(maps, 0.05, len(maps), rank(0.05, maps[:, 0].numel()) + 1)
        for part in maps.split(16):
            bound.update(part)
            bound.settle()
        assert (bound.level < 6).all() and bound.level.isfinite().all()

    def test_the_bound_of_one_batch_of_everything_is_that_of_many(self) -> None:
        maps = torch.randn(300, 3, 2, 2, generator=torch.Generator().manual_seed(5))
        bounds = []
        for batch in (1, 13, 300):
            bounds.append(
                LowerBound.empty(maps, 0.05, len(maps), rank(0.05, maps[:, 0].numel()) + 1)
            )
            for part in maps.split(batch):
                bounds[-1].update(part)
            bounds[-1].settle()
        assert all(
            torch.equal(bound.largest[:, :80], bounds[0].largest[:, :80]) for bound in bounds
        )  # type: ignore[index]


@pytest.fixture
def maps() -> Tensor:
    """(image, unit, row, column), with ties and zeros."""
    return (
        torch.randn(12, 5, 6, 6, generator=torch.Generator().manual_seed(4))
        .round(decimals=1)
        .relu()
    )


SPLITS = [[12], [1] * 12, [5, 7], [3, 1, 8], [0, 12]]


@pytest.mark.parametrize("sizes", SPLITS[:-1])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("batch", [1, 5, 12])
def test_observations_add_up_for_any_split(
    maps: Tensor, sizes: list[int], backwards: bool, batch: int
) -> None:
    maps[:, 1], maps[:, 2] = 3.0, (maps[:, 2] - 2.5).relu()
    images = torch.arange(12).flip(0) * 3
    values = maps.transpose(0, 1).flatten(1)
    parts = [
        observed(*part, batch=batch)
        for part in zip(maps.split(sizes), images.split(sizes), strict=True)
    ]
    found = functools.reduce(operator.add, reversed(parts) if backwards else parts)
    assert found.images == 12 and found.locations == 12 * 36 and found.cells == (6, 6)
    assert torch.equal(found.highest, values.amax(1))
    assert torch.equal(found.lowest_peak, maps.amax((2, 3)).amin(0)) or found.varied_all
    assert found.varied.tolist() == [True, False, True, True, True]
    nonzero = (values != 0).sum(1)
    few = nonzero <= found.enough
    assert (
        few.any()
        and torch.equal(found.nonzero[few], nonzero[few])
        and (found.nonzero[~few] > found.enough).all()
    )
    peaks = maps.amax((2, 3))
    for unit in range(5):
        order = sorted(
            range(12), key=lambda image: (-float(peaks[image, unit]), int(images[image]))
        )
        assert found.on_cpu().top.images[unit].tolist() == images[order[:5]].tolist()
        assert found.on_cpu().top.activations[unit].tolist() == peaks[order[:5], unit].tolist()


def test_a_unit_that_varies_only_between_parts_is_not_dead() -> None:
    one, other = torch.zeros(2, 1, 3, 3), torch.ones(2, 1, 3, 3)
    both = observed(one, torch.arange(2)) + observed(other, torch.arange(2, 4))
    assert both.varied.all() and both.highest == 1
    assert not (observed(one, torch.arange(2)) + observed(one, torch.arange(2, 4))).varied.any()


def test_a_unit_that_varies_within_its_first_image_is_not_dead() -> None:
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, 1, 2, 2] = -1.0
    assert observed(maps, torch.arange(1)).varied.tolist() == [False, True]


@pytest.mark.parametrize("batch", [1, 7, 300])
@pytest.mark.parametrize("keep", [1, 4, 300, 1000])
def test_top_images_are_those_of_a_sort_with_ties_to_the_lower_image(batch: int, keep: int) -> None:
    generator = torch.Generator().manual_seed(batch)
    peaks, images = (
        torch.randn(300, 3, generator=generator).round(),
        torch.randperm(300, generator=generator),
    )
    top = TopImages.empty(keep, 3, peaks.dtype, peaks.device)
    for part, places in zip(peaks.split(batch), images.split(batch), strict=True):
        top.update(part, places)
    for unit in range(3):
        order = sorted(
            range(300), key=lambda place: (-float(peaks[place, unit]), int(images[place]))
        )[:keep]
        assert top.best().images[unit].tolist() == images[order].tolist()
        assert top.best().activations[unit].tolist() == peaks[order, unit].tolist()


@pytest.mark.parametrize("sizes", SPLITS)
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


def test_ties_go_to_the_lower_concept() -> None:
    assert iou.labels(np.array([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])).tolist() == [1, 0]
