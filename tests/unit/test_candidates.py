"""Candidates: every map that lights a pixel is kept, whatever the order; a better bound forgets the others."""

from __future__ import annotations

import functools
import operator

import pytest
import torch
from torch import Tensor

from nd_plugin.candidates import Candidates
from nd_plugin.quantile import Largest, rank

QUANTILE = 0.02


@pytest.fixture
def maps() -> Tensor:
    """(image, unit, row, column), with ties."""
    return torch.randn(60, 4, 5, 5, generator=torch.Generator().manual_seed(1)).round(decimals=1)


@pytest.mark.parametrize("batch", [1, 7, 60])
@pytest.mark.parametrize("order", ["as they come", "backwards", "rising"])
def test_no_map_above_the_threshold_is_lost(maps: Tensor, batch: int, order: str) -> None:
    places = {
        "as they come": torch.arange(60),
        "backwards": torch.arange(60).flip(0),
        "rising": maps.amax((1, 2, 3)).argsort(),
    }[order]
    keep = rank(QUANTILE, 60 * 25) + 1
    largest: Largest | None = None
    candidates = Candidates()
    for images in places.split(batch):
        part = Largest.of(keep, maps[images].transpose(0, 1).flatten(1))
        largest = part if largest is None else largest + part
        candidates.see(maps[images], images, maps[images].amax((2, 3)), largest.bound)
    assert largest is not None
    thresholds = largest.threshold(QUANTILE)
    assert (largest.bound <= thresholds).all()
    found = candidates.by_image()
    for image in range(60):
        lit = (maps[image].amax((1, 2)) > thresholds).nonzero()[:, 0].tolist()
        units, kept = found.get(image, (torch.empty(0, dtype=torch.int64), torch.empty(0, 5, 5)))
        assert set(lit) <= set(units.tolist())
        assert torch.equal(kept, maps[image, units])
    candidates.prune(thresholds)
    left = {(image, unit) for image, (units, _) in candidates.by_image().items() for unit in units.tolist()}
    assert left == {(i, u) for i in range(60) for u in range(4) if maps[i, u].max() > thresholds[u]}
    if batch == 1 and order == "backwards":
        assert sum(len(units) for units, _ in found.values()) < 240, "the bound rules maps out on the way"


def test_the_bound_rises_and_never_passes_the_threshold(maps: Tensor) -> None:
    keep = rank(QUANTILE, 60 * 25) + 1
    parts = [Largest.of(keep, values) for values in maps.transpose(0, 1).flatten(1).split(100, dim=1)]
    bound = torch.full((4,), -torch.inf)
    for count in range(1, len(parts) + 1):
        whole = functools.reduce(operator.add, parts[:count])
        assert (whole.bound >= bound).all()
        bound = whole.bound
    assert (bound <= whole.threshold(QUANTILE)).all() and bound.isfinite().all()


def test_candidates_add_up(maps: Tensor) -> None:
    none = torch.full((4,), -torch.inf)
    halves = [Candidates(), Candidates()]
    for half, images in zip(halves, torch.arange(60).split(30), strict=True):
        half.see(maps[images], images, maps[images].amax((2, 3)), none)
    both = halves[0] + halves[1]
    assert both.nbytes == sum(half.nbytes for half in halves) > maps.nbytes
    assert set(both.by_image()) == set(range(60))
