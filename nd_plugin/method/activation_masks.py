"""Activation masks M_k as runs of lit pixels, found without upsampling most of S_k.

A pixel of S_k is interpolated between four cells and never exceeds the largest of them, and few
cells exceed T_k. So only the neighbourhoods of such cells are upsampled, with the arithmetic of
`upsampling.upsample`, to the last bit.

Cells cut each axis of the mask into strips, of pixels between the same two cells. Here cells A, B
and C have their centres at mask columns 1, 5 and 9; clamped ends are cut to the length of the
longest inner strip::

    mask column      0   1   2   3   4   5   6   7   8   9
    centres              A               B               C
    strip          |______0________|_1_|_______2_______|_3_|
    its two cells         A B       A B        B C      C C

A tile is the crossing of a row strip and a column strip: all its pixels lie between the same four
cells. Each mask row of a tile is a line. Rows are interpolated first, which gives S_k at both
edges of each line (``left``, ``right``); along a line S_k then only rises or only falls, so its
lit pixels (#) are one run at one of its ends::

     upper left cell              upper right cell
            o . . . . . . . . . . . . . . o
            .                             .
    line 0  left[0]   - # # # # #   right[0]     run: 5 pixels from the end
    line 1  left[1]   - - - # # #   right[1]     run: 3 pixels from the end
    line 2  left[2]   - - - - - -   right[2]     both edges dark: not searched
            .                             .
            o . . . . . . . . . . . . . . o
     lower left cell              lower right cell
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import divide_indices, take_columns, true_indices
from nd_plugin.method.upsampling import MaskAxis, MaskGrid, taps

LINES_AT_ONCE = (
    2**18
)  # so that the lines of tiles in work stay in the processor's cache


@dataclass(frozen=True)
class AxisStrips:
    """Strips of one axis of a mask: neighbouring pixels between the same two cells.

    Weights beyond a strip's end are NaN, which exceeds no threshold. `search_weight` is padded to
    2**n - 1 pixels, for a binary search.
    """

    first: Tensor  # (strip,) int64, cells
    second: Tensor  # (strip,) int64, cells
    start: Tensor  # (strip,) int32, first pixel
    length: Tensor  # (strip,) int32, pixels
    ascending: Tensor  # (strip,) bool, whether the last weight is not below the first
    weight: Tensor  # (pixel, strip), of the second cell
    search_weight: Tensor  # (direction, pixel, strip), from a strip's first pixel and from its last


@lru_cache(maxsize=256)
def strips(
    axis: MaskAxis, cell_count: int, device: torch.device, dtype: torch.dtype
) -> AxisStrips:
    """Cut one axis of a mask over ``cell_count`` cells into strips.

    Plain version: append pixel j to the current strip if `taps` gives it the same two cells as
    pixel j - 1, else begin a new strip.
    """
    cells = taps(axis, cell_count)
    bounds = _strip_bounds(cells.first)
    longest = max(end - start for start, end in bounds)
    padded_length = 2 ** longest.bit_length() - 1
    weights = torch.full(
        (2, padded_length, len(bounds)), torch.nan, dtype=torch.float64, device="cpu"
    )
    for strip, (start, end) in enumerate(bounds):
        strip_weights = cells.weight[start:end]
        weights[0, : end - start, strip] = strip_weights
        weights[1, : end - start, strip] = strip_weights.flip(0)
    starts, ends = torch.from_numpy(np.array(bounds).T.copy())
    weights = weights.to(device, dtype)
    return AxisStrips(
        first=cells.first[starts].to(device),
        second=cells.second[starts].to(device),
        start=starts.int().to(device),
        length=(ends - starts).int().to(device),
        ascending=(cells.weight[starts] <= cells.weight[ends - 1]).to(device),
        weight=weights[0, :longest],
        search_weight=weights,
    )


def _strip_bounds(first_cells: Tensor) -> list[tuple[int, int]]:
    """Return start and end of every strip, from the first cell of every pixel (pixel,).

    Pixels beyond the outer centres belong to the outer strips, which may be very long. These are
    cut, since every strip takes the memory of the longest.
    """
    breaks = np.flatnonzero(np.diff(first_cells.numpy())) + 1
    uncut = list(itertools.pairwise([0, *breaks.tolist(), len(first_cells)]))
    inner = uncut[1:-1] or uncut
    longest = max(end - start for start, end in inner)
    bounds = []
    for uncut_start, uncut_end in uncut:
        starts = range(uncut_start, uncut_end, longest)
        bounds += [(start, min(start + longest, uncut_end)) for start in starts]
    return bounds


@dataclass(frozen=True)
class Tiles:
    """Tiles of some maps: crossings of a row strip and a column strip."""

    map: Tensor  # (tile,) int64, index of the map
    row_strip: Tensor  # (tile,) int64
    column_strip: Tensor  # (tile,) int64

    def __len__(self) -> int:
        return len(self.map)

    def split(self, size: int) -> Iterator[Tiles]:
        """Yield the tiles, at most ``size`` at a time; no tiles are yielded as one empty piece."""
        fields = (self.map, self.row_strip, self.column_strip)
        pieces = (torch.split(field, size) for field in fields)
        for piece in zip(*pieces, strict=True):
            yield Tiles(*piece)


@dataclass(frozen=True)
class Runs:
    """Pixels of M_k as runs along rows of the mask."""

    maps: Tensor  # (run,) int64, index of the map
    starts: Tensor  # (run,) int32, row * columns + column of the first pixel
    lengths: Tensor  # (run,) int32, pixels; may be 0


def find_lit_runs(maps: Tensor, thresholds: Tensor, grid: MaskGrid) -> Iterator[Runs]:
    """Find the pixels where upsampled ``maps`` (map, row, column) exceed ``thresholds`` (map,).

    Yields the runs of some tiles at a time.

    Plain version: ``upsample(maps, …) > thresholds[:, None, None]``, each true pixel being in
    exactly one run.
    """
    rows = strips(grid.rows, maps.shape[1], maps.device, maps.dtype)
    columns = strips(grid.columns, maps.shape[2], maps.device, maps.dtype)
    lit_cells = maps > thresholds[:, None, None]
    tiles = _find_tiles(lit_cells, rows, columns)
    tiles_at_once = max(LINES_AT_ONCE // len(rows.weight), 1)
    for piece in tiles.split(tiles_at_once):
        yield _find_runs(maps, thresholds, piece, rows, columns, grid.mask[1])


def _find_tiles(lit_cells: Tensor, rows: AxisStrips, columns: AxisStrips) -> Tiles:
    """Return every tile with a lit cell at a corner; ``lit_cells`` (map, row, column) bool.

    Plain version, for one tile: ``lit_cells[map][[first_row, second_row]][:, [first_column,
    second_column]].any()``.

    All maps are one flat line here, so that a corner is found by a shift of 1 or of a row. At the
    end of a row or map, the shift reaches the next one: the few tiles that are returned for this
    reason yield no run.
    """
    map_columns = lit_cells.shape[2]
    lit_corner = lit_cells.flatten()
    for shift in (1, map_columns):
        shifted = lit_corner[:-shift] | lit_corner[shift:]
        lit_corner = torch.cat([shifted, lit_corner[-shift:]])
    lit_corner = lit_corner.view(lit_cells.flatten(1).shape)
    first_cells = (rows.first[:, None] * map_columns + columns.first).flatten()
    lit_tiles = true_indices(take_columns(lit_corner, first_cells))
    map_index, tile_of_map = divide_indices(lit_tiles, len(first_cells))
    row_strip, column_strip = divide_indices(tile_of_map, len(columns.first))
    return Tiles(map_index, row_strip, column_strip)


def _find_runs(
    maps: Tensor,
    thresholds: Tensor,
    tiles: Tiles,
    rows: AxisStrips,
    columns: AxisStrips,
    mask_columns: int,
) -> Runs:
    """Return the run of every line whose left or right edge is above its map's threshold."""
    left, right = _interpolate_edges(maps, tiles, rows, columns)
    tile_threshold = thresholds.index_select(0, tiles.map)
    lit_lines = true_indices(torch.maximum(left, right) > tile_threshold)
    line, tile = divide_indices(lit_lines.int(), len(tiles))
    left = left.flatten().index_select(0, lit_lines)
    right = right.flatten().index_select(0, lit_lines)
    strip = tiles.column_strip.int().index_select(0, tile)
    line_threshold = tile_threshold.index_select(0, tile)
    lengths, first_pixels = _search_lit_pixels(
        left, right - left, line_threshold, columns, strip
    )
    first_rows = rows.start[tiles.row_strip]
    tile_starts = first_rows * mask_columns + columns.start[tiles.column_strip]
    starts = tile_starts.index_select(0, tile)
    starts.add_(line, alpha=mask_columns).add_(first_pixels)
    return Runs(tiles.map.index_select(0, tile), starts, lengths)


def _interpolate_edges(
    maps: Tensor, tiles: Tiles, rows: AxisStrips, columns: AxisStrips
) -> tuple[Tensor, Tensor]:
    """Interpolate between the rows of each tile's left and right cells; (line, tile) each."""
    weight = rows.weight.index_select(1, tiles.row_strip)
    flat = maps.flatten()
    map_start = tiles.map * maps.shape[1]
    upper_start = (map_start + rows.first[tiles.row_strip]) * maps.shape[2]
    lower_start = (map_start + rows.second[tiles.row_strip]) * maps.shape[2]

    def interpolate(column: Tensor) -> Tensor:
        upper = flat.index_select(0, upper_start + column)
        lower = flat.index_select(0, lower_start + column)
        return (lower - upper) * weight + upper

    left = interpolate(columns.first[tiles.column_strip])
    right = interpolate(columns.second[tiles.column_strip])
    return left, right


def _search_lit_pixels(
    left: Tensor, rise: Tensor, threshold: Tensor, columns: AxisStrips, strip: Tensor
) -> tuple[Tensor, Tensor]:
    """Count the lit pixels of each line and return the first of them; (line,) int32 each.

    ``left``, ``rise`` (right - left), ``threshold`` and the column ``strip`` are (line,).

    Plain version, for one line: ``lit = left + weight * rise > threshold``; the count is
    ``lit.sum()``, and the first is 0 or, where S_k ascends, ``length - lit.sum()``.

    Along a line S_k is monotonic, rounding included. So the count is found by binary search from
    the bright end: its bits are tried from the highest down, ``position`` being the flat index
    into `AxisStrips.search_weight`.
    """
    _, padded_length, strip_count = columns.search_weight.shape
    bright_at_end = (rise > 0) == columns.ascending.index_select(0, strip)
    direction_start = bright_at_end.int() * (padded_length * strip_count)
    search_start = (
        direction_start + strip - strip_count
    )  # one pixel before the bright end
    position = search_start.clone()
    weights = columns.search_weight.flatten()
    step = (padded_length + 1) // 2 * strip_count
    while step >= strip_count:
        weight = weights.index_select(0, position + step)
        is_lit = weight.mul_(rise).add_(left) > threshold
        position.add_(is_lit, alpha=step)
        step = step // (2 * strip_count) * strip_count
    lengths = position.sub_(search_start).div_(strip_count, rounding_mode="floor")
    first_pixels = (columns.length.index_select(0, strip) - lengths) * bright_at_end
    return lengths, first_pixels


def expand_runs(
    starts: Tensor, values: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """List the pixels of all runs, run by run, and the value of each pixel's run; int32 each.

    Plain version::

        pixels = [start + step for start, length in zip(starts, lengths) for step in range(length)]
        pixel_values = [value for value, length in zip(values, lengths) for _ in range(length)]

    Pixel and value are the low and high half of one int64. The list is one cumulative sum, of 1
    within a run and of the jump between runs: faster than repeating starts and values.
    """
    if not len(starts):
        return starts.int(), values.int()
    packed_starts = starts + values.long().mul_(2**32)
    ends = lengths.cumsum(0, dtype=torch.int64)
    steps = torch.ones(int(ends[-1]) + 1, dtype=torch.int64, device=starts.device)
    steps[:1] = packed_starts[:1]
    jumps = packed_starts.diff().sub_(lengths[:-1])
    steps.index_add_(0, ends[:-1], jumps)
    packed = steps[:-1].cumsum_(0)
    halves = packed.view(torch.int32).view(-1, 2)
    return halves[:, 0], halves[:, 1]
