"""Upsampled maps S_k(x) only where they can light a pixel: tile by tile, a tile lying between the same four cells.

A value of S_k is never above the largest of its four cells, and few cells are above T_k; so most of S_k need not be
known, nor most cells: those that touch none above T_k are not looked at (see `kept`). The arithmetic is `upsample`'s,
to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import _columns, divide_indices, true_indices
from nd_plugin.method.upsampling import taps
from nd_plugin.receptive_fields.geometry import Axis, Geometry, Size

AT_ONCE = 2**18  # lines of tiles in memory at a time: they should stay in the processor's cache


@dataclass(frozen=True)
class AxisStrips:
    """One axis of a mask, cut into strips of neighbouring pixels that lie between the same two cells."""

    first: Tensor  # (strip,) int64, cells
    second: Tensor  # (strip,) int64
    start: Tensor  # (strip,) int32, the first pixel
    length: Tensor  # (strip,) int32, pixels
    ascending: Tensor  # (strip,) bool, whether the weights do not fall from pixel to pixel
    weight: Tensor  # (pixel, strip), of the second cell; NaN beyond a strip's end, which is above no threshold
    ordered: Tensor  # (direction, pixel, strip), weights from the first pixel and from the last, as `_search` needs them


@lru_cache(maxsize=256)
def strips(
    axis: Axis, cells: int, pixels: int, target: int, device: torch.device, dtype: torch.dtype
) -> AxisStrips:
    """Cut ``target`` mask pixels over ``pixels`` input pixels and ``cells`` cells."""
    found = taps(axis, cells, pixels, target)
    edges = np.flatnonzero(np.diff(found.first.numpy())) + 1
    runs = list(zip([0, *edges.tolist()], [*edges.tolist(), target], strict=True))
    long = max(
        end - start for start, end in (runs[1:-1] or runs)
    )  # the clamped ends may be longer: they are cut
    cut = [
        (place, min(place + long, end)) for start, end in runs for place in range(start, end, long)
    ]
    ordered = torch.full(
        (2, 2 ** long.bit_length() - 1, len(cut)), torch.nan, dtype=torch.float64, device="cpu"
    )
    for strip, (start, end) in enumerate(cut):
        ordered[0, : end - start, strip] = found.weight[start:end]
        ordered[1, : end - start, strip] = found.weight[start:end].flip(0)
    first, last = torch.from_numpy(np.array(cut).T.copy())
    last = last - 1
    weights = ordered.to(device, dtype)
    return AxisStrips(
        first=found.first[first].to(device),
        second=found.second[first].to(device),
        start=first.int().to(device),
        length=(last - first + 1).int().to(device),
        ascending=(found.weight[first] <= found.weight[last]).to(device),
        weight=weights[0, :long],
        ordered=weights,
    )


@dataclass(frozen=True)
class Runs:
    """Pixels of M_k as runs along rows of the mask."""

    maps: Tensor  # (run,) int64, which map
    starts: Tensor  # (run,) int64, row * columns + column of the first pixel
    lengths: Tensor  # (run,) int64, pixels


def lit_runs(
    maps: Tensor, thresholds: Tensor, geometry: Geometry, image: Size, mask: Size
) -> Iterator[Runs]:
    """All pixels where upsampled ``maps`` (map, row, column) are above ``thresholds`` (map,), some tiles at a time."""
    device, dtype = maps.device, maps.dtype
    rows = strips(geometry.rows, maps.shape[1], image[0], mask[0], device, dtype)
    columns = strips(geometry.columns, maps.shape[2], image[1], mask[1], device, dtype)
    at_once = max(AT_ONCE // len(rows.weight), 1)
    tiles = _tiles(maps > thresholds[:, None, None], rows, columns)
    for map_, row, column in zip(*(torch.split(part, at_once) for part in tiles), strict=True):
        left, right = _edges(maps, map_, rows, row, columns, column)
        threshold = thresholds.index_select(0, map_)
        bright = true_indices(torch.maximum(left, right) > threshold)
        line, tile = divide_indices(bright.int(), len(map_))
        left, right = (
            left.flatten().index_select(0, bright),
            right.flatten().index_select(0, bright),
        )
        strip = column.int().index_select(0, tile)
        lengths, first = _search(
            left, right - left, threshold.index_select(0, tile), columns, strip
        )
        start = (rows.start[row] * mask[1] + columns.start[column]).index_select(0, tile)
        yield Runs(map_.index_select(0, tile), start.add_(line, alpha=mask[1]).add_(first), lengths)


def _tiles(lit: Tensor, rows: AxisStrips, columns: AxisStrips) -> tuple[Tensor, Tensor, Tensor]:
    """Map, row strip and column strip of every tile that has one of its cells ``lit`` (map, row, column).

    A tile's other cells are the next ones to its first; all maps are one line here, and what is next only over the end
    of a row or a map is taken for nothing, which is seldom.
    """
    any_ = lit.flatten()
    for step in (1, lit.shape[2]):
        any_ = torch.cat([any_[:-step] | any_[step:], any_[-step:]])
    first = (rows.first[:, None] * lit.shape[2] + columns.first).flatten()
    map_, place = divide_indices(
        true_indices(_columns(any_.view(lit.flatten(1).shape), first)), len(first)
    )
    return map_, *divide_indices(place, len(columns.first))


def _edges(
    maps: Tensor, map_: Tensor, rows: AxisStrips, row: Tensor, columns: AxisStrips, column: Tensor
) -> tuple[Tensor, Tensor]:
    """S_k along the rows at the two columns of cells that each tile lies between, (line, tile) each."""
    weight, flat = rows.weight.index_select(1, row), maps.flatten()
    upper, lower = (
        (map_ * maps.shape[1] + cells[row]) * maps.shape[2] for cells in (rows.first, rows.second)
    )

    def along(cells: Tensor) -> Tensor:
        high = flat.index_select(0, upper + cells)
        return (flat.index_select(0, lower + cells) - high) * weight + high

    return along(columns.first[column]), along(columns.second[column])


def _search(
    left: Tensor, rise: Tensor, threshold: Tensor, columns: AxisStrips, strip: Tensor
) -> tuple[Tensor, Tensor]:
    """How many pixels of each line of a tile are lit, and the first of them; (line,) int32 each.

    Along a line S_k = left + weight * rise never turns, rounding included: the lit pixels are its first or its last.
    So their number is found bit by bit, from the bright end.
    """
    _, longest, count = columns.ordered.shape
    from_end = (rise > 0) == columns.ascending.index_select(0, strip)
    begin = from_end.int() * (longest * count) + strip - count
    place, weights = begin.clone(), columns.ordered.flatten()
    step = (longest + 1) // 2 * count
    while step >= count:
        tried = place + step
        lit = weights.index_select(0, tried).mul_(rise).add_(left) > threshold
        place.add_(lit, alpha=step)
        step = step // (2 * count) * count
    lengths = place.sub_(begin).div_(count, rounding_mode="floor")
    return lengths, (columns.length.index_select(0, strip) - lengths) * from_end


def every_pixel(starts: Tensor, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """``start``, ``start + 1`` … of every run, one run after the other, and the run's value; all int32.

    Both at once, as the halves of integers that are one cumulative sum: repeating each would take twice as long.
    """
    if not len(starts):
        return starts.int(), values.int()
    first = starts + values.long().mul_(2**32)
    ends = lengths.cumsum(0, dtype=torch.int64)
    steps = torch.ones(int(ends[-1]) + 1, dtype=torch.int64, device=starts.device)
    steps[:1] = first[:1]
    steps.index_add_(0, ends[:-1], first.diff().sub_(lengths[:-1]))
    halves = steps[:-1].cumsum_(0).view(torch.int32).view(-1, 2)
    return halves[:, 0], halves[:, 1]
