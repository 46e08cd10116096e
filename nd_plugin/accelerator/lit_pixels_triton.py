"""Lit pixels of activation masks M_k, counted by a Triton kernel that stores no upsampled map.

The arithmetic is that of `method.upsampling`, to the last bit: multiplication and addition must not
be fused into one instruction that rounds once. `LAUNCH_OPTIONS` forbid it.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from nd_plugin.accelerator.kernels import device_of
from nd_plugin.method.upsampling import MaskGrid, taps_on

# a block of mask pixels: what a program looks at in one step
# the fastest of those tried on an H200 (benchmarks/kernels.py --sweep)
BLOCK_ROWS = 8
BLOCK_COLUMNS = 64
CELLS_AT_ONCE = 128  # compared with the threshold before a block is upsampled
LAUNCH_OPTIONS: dict[str, int | bool] = {
    "num_warps": 1,
    "num_stages": 1,
    "enable_fp_fusion": False,
}

# one compiled kernel serves all sizes, and tensors that begin anywhere in memory
UNSPECIALIZED = (
    "maps",
    "thresholds",
    "images",
    "combinations",
    "counts",
    "row_first",
    "row_second",
    "row_weight",
    "column_first",
    "column_second",
    "column_weight",
    "map_rows",
    "map_columns",
    "mask_rows",
    "mask_columns",
    "combination_count",
)


def count_lit_pixels(
    maps: Tensor,
    thresholds: Tensor,
    images: Tensor,
    grid: MaskGrid,
    combinations: Tensor,
    combination_count: int,
) -> Tensor:
    """Count the lit pixels of each map by the pixels' combination of labels.

    Plain version, with the same arguments: `accelerator.lit_pixels.count_lit_pixels`.
    """
    counts = torch.zeros(
        len(maps), combination_count, dtype=torch.int32, device=maps.device
    )
    if len(maps):
        launch(maps, thresholds, images, grid, combinations, counts)
    return counts


def launch(
    maps: Tensor,
    thresholds: Tensor,
    images: Tensor,
    grid: MaskGrid,
    combinations: Tensor,
    counts: Tensor,
    *,
    block: tuple[int, int] = (BLOCK_ROWS, BLOCK_COLUMNS),
    options: dict[str, Any] = LAUNCH_OPTIONS,
) -> Any:
    """Add the lit pixels of at least one map to ``counts`` (map, combination) int32.

    ``block`` is rows and columns of a block of mask pixels, powers of two. Returns the compiled
    kernel.
    """
    _, map_rows, map_columns = maps.shape
    mask_rows, mask_columns = grid.mask
    rows = taps_on(grid.rows, map_rows, maps.device, maps.dtype)
    columns = taps_on(grid.columns, map_columns, maps.device, maps.dtype)
    programs = (len(maps), triton.cdiv(mask_columns, block[1]))
    with device_of(maps):
        return count_block_columns[programs](
            maps.contiguous(),
            thresholds.contiguous(),
            images.contiguous(),
            combinations.contiguous(),
            counts,
            rows.first,
            rows.second,
            rows.weight,
            columns.first,
            columns.second,
            columns.weight,
            map_rows,
            map_columns,
            mask_rows,
            mask_columns,
            counts.shape[1],
            LOWEST=torch.finfo(maps.dtype).min,
            BLOCK_ROWS=block[0],
            BLOCK_COLUMNS=block[1],
            CELLS_AT_ONCE=CELLS_AT_ONCE,
            **options,
        )


@triton.jit(do_not_specialize=UNSPECIALIZED)
def count_block_columns(
    maps: tl.tensor,  # (map, row, column)
    thresholds: tl.tensor,  # (map,)
    images: tl.tensor,  # (map,) int64
    combinations: tl.tensor,  # (image, mask row, mask column)
    counts: tl.tensor,  # (map, combination) int32
    row_first: tl.tensor,  # (mask row,) int64, as in `upsampling.Taps`
    row_second: tl.tensor,
    row_weight: tl.tensor,
    column_first: tl.tensor,  # (mask column,) int64
    column_second: tl.tensor,
    column_weight: tl.tensor,
    map_rows: tl.tensor,
    map_columns: tl.tensor,
    mask_rows: tl.tensor,
    mask_columns: tl.tensor,
    combination_count: tl.tensor,
    LOWEST: tl.constexpr,  # noqa: N803, the lowest finite number
    BLOCK_ROWS: tl.constexpr,  # noqa: N803
    BLOCK_COLUMNS: tl.constexpr,  # noqa: N803
    CELLS_AT_ONCE: tl.constexpr,  # noqa: N803
) -> None:
    """Count the lit pixels in one column of blocks of one map's mask.

    Interpolation being convex, a block is dark if all cells around it are. These lie in one
    rectangle of the map: cells advance with the pixels along each axis, or go back.
    """
    map_index = tl.program_id(0).to(tl.int64)
    block_start = tl.program_id(1) * BLOCK_COLUMNS
    first_cell = maps + map_index * map_rows * map_columns
    threshold = tl.load(thresholds + map_index)
    image = tl.load(images + map_index).to(tl.int64)
    mask_start = image * mask_rows * mask_columns
    first_count = counts + map_index * combination_count

    mask_column = block_start + tl.arange(0, BLOCK_COLUMNS)
    column_in_mask = mask_column < mask_columns
    left_column = tl.load(column_first + mask_column, column_in_mask, 0).to(
        tl.int32
    )
    right_column = tl.load(column_second + mask_column, column_in_mask, 0).to(
        tl.int32
    )
    right_weight = tl.load(column_weight + mask_column, column_in_mask, 0)
    block_end = tl.minimum(block_start + BLOCK_COLUMNS, mask_columns) - 1
    lowest_column, highest_column = _cell_range(
        column_first, column_second, block_start, block_end
    )
    column_count = highest_column - lowest_column + 1

    for row_start in range(0, mask_rows, BLOCK_ROWS):
        row_end = tl.minimum(row_start + BLOCK_ROWS, mask_rows) - 1
        lowest_row, highest_row = _cell_range(
            row_first, row_second, row_start, row_end
        )
        cell_count = (highest_row - lowest_row + 1) * column_count
        is_bright = cell_count > BLOCK_ROWS * BLOCK_COLUMNS  # not worth a look
        if not is_bright:
            is_bright = _any_above(
                first_cell + lowest_row * map_columns + lowest_column,
                map_columns,
                column_count,
                cell_count,
                threshold,
                LOWEST,
                CELLS_AT_ONCE,
            )
        if is_bright:
            mask_row = row_start + tl.arange(0, BLOCK_ROWS)
            row_in_mask = mask_row < mask_rows
            upper_row = tl.load(row_first + mask_row, row_in_mask, 0).to(tl.int32)
            lower_row = tl.load(row_second + mask_row, row_in_mask, 0).to(tl.int32)
            lower_weight = tl.load(row_weight + mask_row, row_in_mask, 0)[:, None]
            upper = first_cell + (upper_row * map_columns)[:, None]
            lower = first_cell + (lower_row * map_columns)[:, None]
            in_mask = row_in_mask[:, None] & column_in_mask[None, :]
            left = _interpolate(
                _load_finite(upper + left_column[None, :], in_mask, LOWEST),
                _load_finite(lower + left_column[None, :], in_mask, LOWEST),
                lower_weight,
            )
            right = _interpolate(
                _load_finite(upper + right_column[None, :], in_mask, LOWEST),
                _load_finite(lower + right_column[None, :], in_mask, LOWEST),
                lower_weight,
            )
            upsampled = _interpolate(left, right, right_weight[None, :])
            is_lit = (upsampled > threshold) & in_mask
            pixel = mask_row[:, None] * mask_columns + mask_column[None, :]
            combination = tl.load(combinations + (mask_start + pixel), is_lit, 0)
            count = first_count + combination.to(tl.int32)
            tl.atomic_add(count, 1, is_lit, sem="relaxed")


@triton.jit
def _cell_range(
    first: tl.tensor, second: tl.tensor, start: tl.tensor, end: tl.tensor
) -> tl.tensor:
    """Return the lowest and the highest cell of mask pixels ``start`` to ``end``."""
    lowest = tl.minimum(tl.load(first + start), tl.load(first + end))
    highest = tl.maximum(tl.load(second + start), tl.load(second + end))
    return lowest.to(tl.int32), highest.to(tl.int32)


@triton.jit
def _any_above(
    corner: tl.tensor,
    map_columns: tl.tensor,
    column_count: tl.tensor,
    cell_count: tl.tensor,
    threshold: tl.tensor,
    LOWEST: tl.constexpr,  # noqa: N803
    CELLS_AT_ONCE: tl.constexpr,  # noqa: N803
) -> tl.tensor:
    """Return whether a cell of a rectangle of the map exceeds the threshold."""
    above = tl.zeros((CELLS_AT_ONCE,), tl.int32)
    for start in range(0, cell_count, CELLS_AT_ONCE):
        cell = start + tl.arange(0, CELLS_AT_ONCE)
        row = cell // column_count
        position = row * map_columns + (cell - row * column_count)
        value = _load_finite(corner + position, cell < cell_count, LOWEST)
        above |= ((value > threshold) & (cell < cell_count)).to(tl.int32)
    return tl.max(above, 0) > 0


@triton.jit
def _load_finite(
    cells: tl.tensor,
    mask: tl.tensor,
    LOWEST: tl.constexpr,  # noqa: N803
) -> tl.tensor:
    """Load cells, minus infinity replaced by the lowest finite number; NaN stays NaN."""
    values = tl.load(cells, mask, 0.0)
    return tl.maximum(values, LOWEST, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _interpolate(
    first: tl.tensor, second: tl.tensor, weight: tl.tensor
) -> tl.tensor:
    return first + weight * (second - first)
