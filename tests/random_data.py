"""Random annotations, activations of all kinds, and the engine's statistics of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import reference
import torch
from torch import Tensor

from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.engine.thresholds import UnitThresholds, thresholds
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.lower_bound import CombinedBounds, LowerBound
from nd_plugin.method.ranks import rank

DTYPES = [torch.float32, torch.float64]


def random_planes(
    seed: int, size: tuple[int, int], count: int, concepts: int = 6
) -> npt.NDArray[np.int32]:
    """Planes (plane, row, column) where about half of the pixels have no label."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, concepts + 1, (count, *size))
    return np.asarray(values * rng.integers(0, 2, values.shape), dtype=np.int32)


def near_one(values: Tensor) -> Tensor:
    """Values a few units in the last place above 1."""
    bits = values.view(
        torch.int64 if values.dtype == torch.float64 else torch.int32
    )
    return (bits % 9).to(values.dtype) * torch.finfo(values.dtype).eps + 1


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
    "next to each other": near_one,
}


def draw_values(
    kind: str, dtype: torch.dtype, count: int = 500, units: int = 4
) -> Tensor:
    """Random values (unit, value)."""
    generator = torch.Generator().manual_seed(count)
    return KINDS[kind](torch.randn(units, count, dtype=dtype, generator=generator))


def draw_maps(kind: str, dtype: torch.dtype, images: int, units: int = 4) -> Tensor:
    """Random maps (image, unit, 3, 4)."""
    values = draw_values(kind, dtype, images * 12, units)
    return values.view(units, images, 3, 4).transpose(0, 1)


def gather_statistics(
    maps: Tensor, images: Tensor, enough: int = 30, top: int = 5, batch: int = 4
) -> UnitStatistics:
    """Statistics of ``maps`` (image, unit, row, column) of ``images`` (image,), batch by batch."""
    statistics = UnitStatistics.empty(maps, enough, top)
    for batch_maps, batch_images in zip(
        maps.split(batch), images.split(batch), strict=True
    ):
        if len(batch_maps):
            statistics.update(batch_maps, batch_maps.amax((2, 3)), batch_images)
    return statistics


def find_thresholds(
    maps: Tensor, quantiles: Sequence[float], level: Tensor | None = None
) -> list[UnitThresholds]:
    """Thresholds of ``maps`` (image, unit, row, column) if cells above ``level`` are stored."""
    if level is None:
        level = torch.full((maps.shape[1],), -torch.inf, dtype=maps.dtype)
    candidates = Candidates((maps.shape[2], maps.shape[3]), maps.dtype)
    for batch, images in enumerate(torch.arange(len(maps)).split(5)):
        batch_maps = maps[images]
        candidates.update(batch, images, batch_maps, batch_maps.amax((2, 3)), level)
    enough = rank(max(quantiles), maps[:, 0].numel()) + 1
    statistics = gather_statistics(maps, torch.arange(len(maps)), enough)
    bound = LowerBound.empty(maps, max(quantiles), len(maps), enough)
    bound.level = level
    for batch_maps in maps.split(7):
        bound.count(batch_maps)
    bounds = CombinedBounds.of([bound.snapshot()])
    return thresholds(
        [candidates], bounds, statistics, quantiles, SingleProcess(), 2**20
    )


def twin_thresholds(maps: Tensor, quantile: float) -> list[float]:
    """Threshold of each unit of ``maps`` (image, unit, row, column), by the slow twin."""
    values_of_units = maps.transpose(0, 1).flatten(1).numpy()
    return [reference.threshold(values, quantile) for values in values_of_units]
