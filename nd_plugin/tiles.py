"""Upsampled maps S_k(x) only where they can light a pixel: tile by tile, a tile lying between the same four cells.

A value of S_k is never above the largest of its four cells, and few cells are above T_k; so most of S_k need not be
known. The arithmetic is `upsample`'s, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nd_plugin.geometry import Axis, Geometry, Size
from nd_plugin.upsample import taps, true_places

AT_ONCE = 2**19  # pixels in memory at a time: they should stay in the processor's cache


@dataclass(frozen=True)
class Strips:
    """One axis of a mask, cut into strips of neighbouring pixels that lie between the same two cells."""

    first: Tensor  # (strip,) int64, cells
    second: Tensor  # (strip,) int64
    start: Tensor  # (strip,) int64, the first pixel
    weight: Tensor  # (strip, pixel), of the second cell; NaN beyond a strip's end, which is above no threshold


@lru_cache(maxsize=256)
def strips(axis: Axis, cells: int, pixels: int, target: int, device: torch.device, dtype: torch.dtype) -> Strips:
    """Cut ``target`` mask pixels over ``pixels`` input pixels and ``cells`` cells."""
    found = taps(axis, cells, pixels, target)
    edges = np.flatnonzero(np.diff(found.first.numpy())) + 1
    runs = list(zip([0, *edges.tolist()], [*edges.tolist(), target], strict=True))
    long = max(end - start for start, end in (runs[1:-1] or runs))  # the clamped ends may be longer: they are cut
    starts = [place for start, end in runs for place in range(start, end, long)]
    ends = [min(place + long, end) for start, end in runs for place in range(start, end, long)]
    weight = torch.full((len(starts), long), torch.nan, dtype=torch.float64)
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        weight[row, : end - start] = found.weight[start:end]
    at = torch.tensor(starts)
    return Strips(found.first[at].to(device), found.second[at].to(device), at.to(device), weight.to(device, dtype))


@dataclass(frozen=True)
class Lit:
    """The pixels of M_k in some tiles."""

    maps: Tensor  # (pixel,) int64, which map
    pixels: Tensor  # (pixel,) int64, row * columns + column of the mask


def lit_pixels(maps: Tensor, thresholds: Tensor, geometry: Geometry, image: Size, mask: Size) -> Iterator[Lit]:
    """All pixels where upsampled ``maps`` (map, row, column) are above ``thresholds`` (map,), some tiles at a time."""
    device, dtype = maps.device, maps.dtype
    rows = strips(geometry.rows, maps.shape[1], image[0], mask[0], device, dtype)
    columns = strips(geometry.columns, maps.shape[2], image[1], mask[1], device, dtype)
    high, wide = rows.weight.shape[1], columns.weight.shape[1]
    inside = (torch.arange(high, device=device)[:, None] * mask[1] + torch.arange(wide, device=device)).flatten()
    tiles = _tiles(maps > thresholds[:, None, None], rows, columns)
    for map_, row, column in zip(*(torch.split(part, max(AT_ONCE // (high * wide), 1)) for part in tiles), strict=True):
        raised = _raised(maps, map_, rows, row, columns, column)
        lit = true_places(raised > thresholds[map_, None, None])
        tile = lit // (high * wide)
        start = rows.start[row] * mask[1] + columns.start[column]
        yield Lit(map_[tile], start[tile] + inside[lit - tile * (high * wide)])


def _tiles(cells: Tensor, rows: Strips, columns: Strips) -> tuple[Tensor, Tensor, Tensor]:
    """Map, row strip and column strip of every tile that has one of its ``cells`` (map, row, column) lit."""
    tall = cells.index_select(1, rows.first) | cells.index_select(1, rows.second)
    both = tall.index_select(2, columns.first) | tall.index_select(2, columns.second)
    found = true_places(both)
    size = both.shape[1] * both.shape[2]
    place = found % size
    return found // size, place // both.shape[2], place % both.shape[2]


def _raised(maps: Tensor, map_: Tensor, rows: Strips, row: Tensor, columns: Strips, column: Tensor) -> Tensor:
    """S_k in the tiles, (tile, row, column): rows first, then columns, as `upsample` does."""
    weight = rows.weight[row]

    def along(cells: Tensor) -> Tensor:
        upper = maps[map_, rows.first[row], cells][:, None]
        return weight * (maps[map_, rows.second[row], cells][:, None] - upper) + upper

    left = along(columns.first[column])
    difference = along(columns.second[column]) - left
    return (difference[:, :, None] * columns.weight[column][:, None, :]).add_(left[:, :, None])
