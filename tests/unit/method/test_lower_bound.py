"""Lower bounds of thresholds: they rise, and (nearly) never pass the threshold."""

from __future__ import annotations

import math

import pytest
import torch
from random_data import draw_maps, twin_thresholds
from torch import Tensor

from nd_plugin.engine.state import LayerState
from nd_plugin.engine.thresholds import thresholds
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.lower_bound import (
    CombinedBounds,
    LowerBound,
    poisson_upper_bound,
)
from nd_plugin.method.ranks import rank
from nd_plugin.receptive_fields.geometry import spread_evenly

QUANTILE = 0.05


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def empty_bound(maps: Tensor) -> LowerBound:
    enough = rank(QUANTILE, maps[:, 0].numel()) + 1
    return LowerBound.empty(maps, QUANTILE, len(maps), enough)


def bound_of(maps: Tensor, batch: int) -> LowerBound:
    """Bound after all ``maps``, the level being raised after each batch."""
    bound = empty_bound(maps)
    for batch_maps in maps.split(batch):
        bound.update(batch_maps)
        bound.update_level()
    return bound


@pytest.mark.parametrize("mean", [1e-9, 0.005, 0.7, 1.0, 5.0, 37.5, 400.0])
def test_the_poisson_bound_is_hardly_ever_reached_and_not_far_away(
    mean: float,
) -> None:
    number = poisson_upper_bound(mean)
    chance = 0.0
    for count in range(number, number + 3000):
        chance += math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    assert chance < 1e-12 and number > mean
    assert number < mean + 9 * math.sqrt(mean) + 30


@pytest.mark.parametrize("kind", ["normal", "ties", "mostly zero", "negative"])
@pytest.mark.parametrize("batch", [1, 7, 400])
def test_it_rises_and_does_not_pass_the_threshold_of_images_in_random_order(
    kind: str, batch: int
) -> None:
    maps = draw_maps(kind, torch.float32, 400)
    bound = empty_bound(maps)
    previous_level = torch.full((4,), -torch.inf)
    for batch_maps in maps.split(batch):
        bound.update(batch_maps)
        bound.update_level()
        assert (bound.level >= previous_level).all()
        previous_level = bound.level
    assert bound.drawn == 400 and bound.level.isfinite().all()
    assert (bound.level <= torch.tensor(twin_thresholds(maps, QUANTILE))).all()
    if kind != "mostly zero":
        share_above = (maps.amax((2, 3)) > bound.level).float().mean()
        assert share_above < 0.95, "it rules maps out"


def test_values_above_the_threshold_may_crowd_into_few_images() -> None:
    maps = torch.rand(400, 3, 5, 4, generator=seeded(2))
    maps[torch.randperm(400, generator=seeded(3))[:20]] += 5
    bound = bound_of(maps, 10)
    assert bound.level.isfinite().all()
    assert (bound.level <= torch.tensor(twin_thresholds(maps, QUANTILE))).all()


@pytest.mark.parametrize("batch", [1, 16, 400])
@pytest.mark.parametrize("value", [-0.5, 0.0, 2.5])
def test_a_level_that_many_values_are_is_told_by_counting(
    value: float, batch: int
) -> None:
    maps = (
        torch.randn(400, 3, 3, 4, generator=seeded(4)).add(value).clamp(max=value)
    )
    is_peak = torch.rand(400, 3, 4) < 0.03
    maps[:, 1] = value
    maps[:, 2] = torch.where(is_peak, 9.0, maps[:, 2].clamp(min=value))
    layer = LayerState.empty(
        maps, QUANTILE, 400, 400, 5, spread_evenly((3, 4), (30, 40))
    )
    batches = zip(maps.split(batch), torch.arange(400).split(batch), strict=True)
    for number, (batch_maps, images) in enumerate(batches):
        layer.update(number, batch_maps, batch_maps.amax((2, 3)), images)
        if (number, batch) == (5, 16):
            layer.sift_pending()
    layer.sift_pending()
    assert layer.bound.level.tolist() == [value] * 3
    candidates = layer.candidates
    candidates.prune(layer.bound.level)
    stored = sum(len(candidates.of(number).units) for number in candidates.by_batch)
    above_level = int((maps.amax((2, 3)) > value).sum())
    assert stored == above_level, "what is not above the level is forgotten"
    bounds = CombinedBounds.of([layer.bound.snapshot()])
    (at_quantile,) = thresholds(
        [candidates], bounds, layer.statistics, [QUANTILE], SingleProcess(), 2**20
    )
    assert at_quantile.is_known.all() and at_quantile.values.tolist() == [value] * 3


def test_what_parts_have_counted_adds_up() -> None:
    floors = torch.tensor([[1.0, 1.0, 0.0, 2.0, 0.0], [1.0, 0.0, 0.0, 3.0, 0.0]])
    reached = torch.tensor([[5, 11, 3, 11, 2], [6, 0, 7, 4, 3]])
    bounds = CombinedBounds(torch.zeros(5), floors, reached)
    assert bounds.proven_level(10).tolist() == [
        1.0,
        1.0,
        -torch.inf,
        2.0,
        -torch.inf,
    ]
    assert bounds.proven_level(4).tolist() == [1.0, 1.0, 0.0, 2.0, 0.0]
    assert bounds.proven_level(3).tolist() == [1.0, 1.0, 0.0, 3.0, 0.0]


def test_a_unit_that_saturates_now_and_then_is_below_it() -> None:
    maps = (torch.randn(400, 3, 3, 4, generator=seeded(4)) * 3.4).clamp(0, 6)
    level = bound_of(maps, 16).level
    assert (level < 6).all() and level.isfinite().all()


def test_the_bound_of_one_batch_of_everything_is_that_of_many() -> None:
    maps = torch.randn(300, 3, 2, 2, generator=seeded(5))
    largest = []
    for batch in (1, 13, 300):
        bound = empty_bound(maps)
        for batch_maps in maps.split(batch):
            bound.update(batch_maps)
        bound.update_level()
        assert bound.largest is not None
        largest.append(bound.largest[:, :80])
    assert torch.equal(largest[1], largest[0]) and torch.equal(
        largest[2], largest[0]
    )
