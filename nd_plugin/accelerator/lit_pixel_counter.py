"""Counter of lit pixels that suits a device: the Triton kernel, or its plain version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor

from nd_plugin.accelerator.kernels import DTypes, Kernel
from nd_plugin.accelerator.lit_pixels import MEMORY, count_lit_pixels
from nd_plugin.method.upsampling import MaskGrid, upsample
from nd_plugin.receptive_fields.geometry import spread_evenly

PIXELS_BEFORE_COMPILING = 2**32  # of masks


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
        """Return (map, combination) int32; see `lit_pixels.count_lit_pixels`."""
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
