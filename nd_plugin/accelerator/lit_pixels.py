"""Lit pixels of activation masks M_k, counted in large dense steps.

The plain version in torch, and the choice between it and the Triton kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor

from nd_plugin.accelerator.kernels import DTypes, Kernel
from nd_plugin.method.numpy_on_cpu import divide_indices, true_indices
from nd_plugin.method.upsampling import MaskGrid, upsample
from nd_plugin.receptive_fields.geometry import spread_evenly

MEMORY = 2**30  # bytes
PIXELS_BEFORE_COMPILING = 2**32  # of masks
INDEX_BYTES = 56  # of a lit pixel: seven int64


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


@dataclass(frozen=True)
class LitPixelCounter:
    """Function that counts the lit pixels of each map by the pixels' combination of labels."""

    kernel: Kernel | None  # None: there is none for this device
    memory: int  # bytes for intermediate results of the plain version

    @property
    def note(self) -> str | None:
        """Reason why the plain version is used where a kernel was expected."""
        return self.kernel.note if self.kernel else None

    def __call__(
        self,
        maps: Tensor,
        thresholds: Tensor,
        images: Tensor,
        grid: MaskGrid,
        combinations: Tensor,
        combination_count: int,
    ) -> Tensor:
        """Return (map, combination) int32; see `count_lit_pixels`."""
        arguments = (
            maps,
            thresholds,
            images,
            grid,
            combinations,
            combination_count,
        )
        module = None
        if self.kernel:
            dtypes = maps.dtype, combinations.dtype
            mask_pixels = len(maps) * grid.mask[0] * grid.mask[1]
            module = self.kernel.module(maps.device, dtypes, mask_pixels)
        if module:
            counts: Tensor = module.count_lit_pixels(*arguments)
            return counts
        return count_lit_pixels(*arguments, memory=self.memory)


def lit_pixel_counter(
    device: torch.device, memory: int = MEMORY
) -> LitPixelCounter:
    """Return the counter for maps on ``device``; all counters of a device share one kernel.

    ``memory`` is for the intermediate results of the plain version, in bytes.
    """
    kernel = _kernel(device) if device.type == "cuda" else None
    return LitPixelCounter(kernel, memory)


@lru_cache(maxsize=64)
def _kernel(device: torch.device) -> Kernel:
    return Kernel(
        "lit pixels were counted",
        "nd_plugin.accelerator.lit_pixels_triton",
        equals_plain,
        PIXELS_BEFORE_COMPILING,
    )


def equals_plain(module: ModuleType, device: torch.device, dtypes: DTypes) -> bool:
    """Return whether the kernel counts as the plain version does, on maps with ties.

    Each threshold is the value of one pixel, which is dark. Fused multiplications and additions
    would raise the last bit of some of these values, and light the pixels.
    """
    arguments = _sample(device, *dtypes)
    counts: Tensor = module.count_lit_pixels(*arguments)
    return torch.equal(counts, count_lit_pixels(*arguments))


def _sample(
    device: torch.device, maps_dtype: torch.dtype, combinations_dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, MaskGrid, Tensor, int]:
    """Return arguments of `count_lit_pixels`: random maps, and thresholds that pixels equal."""
    map_count, combination_count = 64, 3
    input_size = (64, 64)
    mask_size = (23, 23)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(map_count, 5, 5, generator=generator, dtype=torch.float64)
    maps = maps.to(maps_dtype)
    geometry = spread_evenly((5, 5), input_size)
    upsampled = upsample(maps, geometry, input_size, mask_size).flatten(1)
    map_indices = torch.arange(map_count)
    thresholds = upsampled[map_indices, map_indices * 7]
    combinations = torch.randint(
        combination_count, (2, *mask_size), generator=generator
    )
    return (
        maps.to(device),
        thresholds.to(device),
        (map_indices % 2).to(device),
        MaskGrid(geometry, input_size, mask_size),
        combinations.to(device, combinations_dtype),
        combination_count,
    )
