"""Lit pixels of activation masks M_k, counted in large dense steps: the plain version, in torch."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nd_plugin.method.numpy_on_cpu import divide_indices, true_indices
from nd_plugin.method.upsampling import MaskGrid, upsample

MEMORY = 2**30  # bytes
INDEX_BYTES = 56  # of a lit pixel: seven int64


class CountLitPixels(Protocol):
    """Function that counts the lit pixels of each map by the pixels' combination of labels."""

    def __call__(
        self,
        maps: Tensor,
        thresholds: Tensor,
        images: Tensor,
        grid: MaskGrid,
        combinations: Tensor,
        combination_count: int,
    ) -> Tensor:
        """Return (map, combination) int32; see `count_lit_pixels` for the arguments."""
        ...


def count_lit_pixels(
    maps: Tensor,
    thresholds: Tensor,
    images: Tensor,
    grid: MaskGrid,
    combinations: Tensor,
    combination_count: int,
    *,
    memory: int = MEMORY,
) -> Tensor:
    """Count the lit pixels of each map by the pixels' combination of labels.

    ``maps`` (map, row, column) are float32 or float64, any of their cells may be -infinity;
    ``thresholds`` (map,); ``images`` (map,) int64, indices into ``combinations`` (image, mask row,
    mask column), which are integers below ``combination_count``. Intermediate results take at
    most ``memory`` bytes, unless those of a single map take more.

    Returns (map, combination) int32: for one map, ``bincount(combinations[image][upsample(map) >
    threshold], minlength=combination_count)``.
    """
    counts = torch.zeros(
        len(maps), combination_count, dtype=torch.int32, device=maps.device
    )
    maps_at_once = max(memory // bytes_per_map(maps, grid), 1)
    for start in range(0, len(maps), maps_at_once):
        piece = slice(start, start + maps_at_once)
        _count(
            maps[piece],
            thresholds[piece],
            images[piece],
            grid,
            combinations,
            counts[piece],
        )
    return counts


def bytes_per_map(maps: Tensor, grid: MaskGrid) -> int:
    """Return what the intermediate results of one map take at most, if all its pixels are lit."""
    cell_rows, cell_columns = maps.shape[1:]
    mask_rows, mask_columns = grid.mask
    mask_pixels = mask_rows * mask_columns
    # finite map, upper and lower cells of every mask row with two steps between them
    interpolated_rows = (cell_rows + 5 * mask_rows) * cell_columns
    upsampled = 2 * mask_pixels
    floats = (interpolated_rows + upsampled) * maps.element_size()
    return floats + mask_pixels * (1 + INDEX_BYTES)


def _count(
    maps: Tensor,
    thresholds: Tensor,
    images: Tensor,
    grid: MaskGrid,
    combinations: Tensor,
    counts: Tensor,
) -> None:
    """Add the lit pixels of some maps to ``counts`` (map, combination), which is contiguous."""
    upsampled = upsample(maps, grid.geometry, grid.image, grid.mask)
    is_lit = upsampled > thresholds[:, None, None]
    del upsampled
    lit_pixels = true_indices(is_lit)
    mask_pixels = grid.mask[0] * grid.mask[1]
    map_indices, pixels = divide_indices(lit_pixels, mask_pixels)
    pixels += images.index_select(0, map_indices) * mask_pixels
    lit_combinations = combinations.flatten().index_select(0, pixels)
    entries = map_indices * counts.shape[1] + lit_combinations
    one = torch.ones((), dtype=counts.dtype, device=counts.device)
    counts.view(-1).index_add_(0, entries, one.expand(len(entries)))
