"""Activation masks M_k as runs of lit pixels, found without upsampling most of S_k.

A pixel of S_k is interpolated between four cells and never exceeds the largest of them, and few
cells exceed T_k. So only the neighbourhoods of such cells are upsampled, with the arithmetic of
`upsampling.upsample`, to the last bit.

Cells cut each axis of the mask into strips, of pixels between the same two cells (`mask_strips`).
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

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin.method.mask_strips import AxisStrips, strips
from nd_plugin.method.numpy_on_cpu import divide_indices, take_columns, true_indices
from nd_plugin.method.upsampling import MaskGrid

LINES_AT_ONCE = 2**18  # of tiles in work, which then stay in the processor's cache


@dataclass(frozen=True)
class Tiles:
    """Tiles of some maps: crossings of a row strip and a column strip."""

    map_index: Tensor  # (tile,) int64
    row_strip: Tensor  # (tile,) int64
    column_strip: Tensor  # (tile,) int64

    def __len__(self) -> int:
        return len(self.map_index)

    def split(self, size: int) -> Iterator[Tiles]:
        """Yield the tiles, at most ``size`` at a time; no tiles are yielded as one empty piece."""
        fields = (self.map_index, self.row_strip, self.column_strip)
        pieces = (torch.split(field, size) for field in fields)
        for piece in zip(*pieces, strict=True):
            yield Tiles(*piece)


@dataclass(frozen=True)
class Runs:
    """Pixels of M_k as runs along rows of the mask.

    A run is empty where a cell at the edge of a line exceeds the threshold, but no pixel lies
    close enough to its centre.
    """

    map_index: Tensor  # (run,) int64
    starts: Tensor  # (run,) int32, row * columns + column of the first pixel
    lengths: Tensor  # (run,) int32, pixels


def find_lit_runs(
    maps: Tensor, thresholds: Tensor, grid: MaskGrid
) -> Iterator[Runs]:
    """Find the pixels where upsampled ``maps`` (map, row, column) exceed ``thresholds`` (map,).

    Yields the runs of some tiles at a time. Maps must be finite in every lit cell and in the cells
    that touch it; any other cell may be -infinity (`sparse_maps.NOT_STORED`).

    Plain version: ``upsample(maps, …) > thresholds[:, None, None]``, each true pixel being in
    exactly one run.
    """
    rows = strips(grid.rows, maps.shape[1], maps.device, maps.dtype)
    columns = strips(grid.columns, maps.shape[2], maps.device, maps.dtype)
    lit_cells = maps > thresholds[:, None, None]
    tiles = _find_tiles(lit_cells, rows, columns)
    longest_strip = rows.weight.shape[0]
    tiles_at_once = max(LINES_AT_ONCE // longest_strip, 1)
    for piece in tiles.split(tiles_at_once):
        yield _find_runs(maps, thresholds, piece, rows, columns, grid.mask[1])


def _find_tiles(lit_cells: Tensor, rows: AxisStrips, columns: AxisStrips) -> Tiles:
    """Return every tile with a lit cell at a corner; ``lit_cells`` (map, row, column) bool.

    Plain version, for one tile: ``lit_cells[map][[first_row, second_row]][:, [first_column,
    second_column]].any()``.

    The cells of all maps are one sequence here. Each cell is combined with the next cell, then
    with the next row: the block of 2 x 2 cells below and right of it. A tile lies in the block of
    its upper left cell, since its second row or column is the first one or the next. At the end
    of a row or map, the next cell is one of another row or map: the few tiles that are returned
    for this reason yield no run.
    """
    map_columns = lit_cells.shape[2]
    block_is_lit = lit_cells.flatten()
    for shift in (1, map_columns):
        shifted = block_is_lit[:-shift] | block_is_lit[shift:]
        block_is_lit = torch.cat([shifted, block_is_lit[-shift:]])
    block_is_lit = block_is_lit.view(lit_cells.flatten(1).shape)
    upper_left_cells = (rows.first[:, None] * map_columns + columns.first).flatten()
    lit_tiles = true_indices(take_columns(block_is_lit, upper_left_cells))
    map_index, tile_of_map = divide_indices(lit_tiles, len(upper_left_cells))
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
    tile_threshold = thresholds.index_select(0, tiles.map_index)
    # NaN, in lines beyond the end of a row strip, passes through the maximum and exceeds nothing
    lit_lines = true_indices(torch.maximum(left, right) > tile_threshold)
    line, tile = divide_indices(lit_lines.int(), len(tiles))
    left = left.flatten().index_select(0, lit_lines)
    right = right.flatten().index_select(0, lit_lines)
    column_strip = tiles.column_strip.int().index_select(0, tile)
    line_threshold = tile_threshold.index_select(0, tile)
    lengths, first_pixels = _lit_counts_and_firsts(
        left, right - left, line_threshold, columns, column_strip
    )
    first_rows = rows.start[tiles.row_strip]
    tile_starts = first_rows * mask_columns + columns.start[tiles.column_strip]
    starts = tile_starts.index_select(0, tile)
    starts.add_(line, alpha=mask_columns).add_(first_pixels)
    return Runs(tiles.map_index.index_select(0, tile), starts, lengths)


def _interpolate_edges(
    maps: Tensor, tiles: Tiles, rows: AxisStrips, columns: AxisStrips
) -> tuple[Tensor, Tensor]:
    """Interpolate between upper and lower cell at each tile's left and right; (line, tile) each.

    There are as many lines as the longest row strip has; those beyond a tile's end are NaN.
    """
    weight = rows.weight.index_select(1, tiles.row_strip)
    flat = maps.flatten()
    map_start = tiles.map_index * maps.shape[1]
    upper_start = (map_start + rows.first[tiles.row_strip]) * maps.shape[2]
    lower_start = (map_start + rows.second[tiles.row_strip]) * maps.shape[2]

    def interpolate(column: Tensor) -> Tensor:
        upper = flat.index_select(0, upper_start + column)
        lower = flat.index_select(0, lower_start + column)
        return (lower - upper) * weight + upper

    left = interpolate(columns.first[tiles.column_strip])
    right = interpolate(columns.second[tiles.column_strip])
    return left, right


def _lit_counts_and_firsts(
    left: Tensor,
    rise: Tensor,
    threshold: Tensor,
    columns: AxisStrips,
    column_strip: Tensor,
) -> tuple[Tensor, Tensor]:
    """Count the lit pixels of each line and return the first of them; (line,) int32 each.

    ``left``, ``rise`` (right - left), ``threshold`` and ``column_strip`` are (line,).

    Plain version, for one line: ``lit = left + weight * rise > threshold``; the count is
    ``lit.sum()``, and the first is 0 or, where S_k ascends, ``length - lit.sum()``.

    Along a line S_k is monotonic, rounding included. So the count is found by binary search from
    the bright end: the number of pixels is tried bit by bit, from the highest down. ``position``
    is the flat index into `AxisStrips.search_weight` of the last pixel that is known to be lit.
    """
    _, padded_length, strip_count = columns.search_weight.shape
    bright_at_end = (rise > 0) == columns.weight_ascends.index_select(
        0, column_strip
    )
    direction_start = bright_at_end.int() * (padded_length * strip_count)
    before_bright_end = direction_start + column_strip - strip_count
    position = before_bright_end.clone()
    weights = columns.search_weight.flatten()
    pixels = (padded_length + 1) // 2
    while pixels:
        step = pixels * strip_count
        weight = weights.index_select(0, position + step)
        is_lit = weight.mul_(rise).add_(left) > threshold
        position.add_(is_lit, alpha=step)
        pixels //= 2
    distance = position.sub_(before_bright_end)
    counts = distance.div_(strip_count, rounding_mode="floor")
    lengths = columns.length.index_select(0, column_strip)
    first_pixels = (lengths - counts) * bright_at_end
    return counts, first_pixels


def expand_runs(
    starts: Tensor, tags: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """List the pixels of all runs, run by run, and the tag of each pixel's run; int32 each.

    ``starts``, ``tags`` and ``lengths`` (run,) are int32, or int64 in the same range; starts and
    lengths are not negative. The results are strided views of one tensor.

    Plain version::

        pixels = [start + step for start, length in zip(starts, lengths) for step in range(length)]
        pixel_tags = [tag for tag, length in zip(tags, lengths) for _ in range(length)]

    The list is one cumulative sum, of 1 within a run and of the jump between runs, which is faster
    than repeating starts and tags. Jumps add up where runs are empty. For starts 7 and 20, lengths
    2 and 1::

        steps            7   1  12        12 = 20 - (7 + 2) + 1
        cumulative sum   7   8  20

    Each sum is a packed int64, ``tag << 32 | pixel``. Pixels are below 2**31, so that none is
    carried into the tag. The pixel is the first half of its memory, on a little-endian processor.
    """
    if not len(starts):
        return starts.int(), tags.int()
    packed_tags = tags.to(torch.int64, copy=True).mul_(2**32)
    packed_starts = starts + packed_tags
    ends = lengths.cumsum(0, dtype=torch.int64)
    steps = torch.ones(int(ends[-1]) + 1, dtype=torch.int64, device=starts.device)
    steps[:1] = packed_starts[:1]
    jumps = packed_starts.diff().sub_(lengths[:-1])
    steps.index_add_(0, ends[:-1], jumps)
    packed = steps[:-1].cumsum_(0)
    halves = packed.view(torch.int32).view(-1, 2)
    return halves[:, 0], halves[:, 1]
