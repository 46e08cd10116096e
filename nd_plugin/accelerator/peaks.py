"""What one reading of a batch of activation maps tells: highest and lowest values, and counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from nd_plugin.accelerator.kernels import DTypes, Kernel
from nd_plugin.method.numpy_on_cpu import count_nonzero

VALUES_BEFORE_COMPILING = 2**34


class MapSummary(NamedTuple):
    """Highest and lowest values of each map, and counts of each unit's values over all images."""

    peaks: Tensor  # (image, unit), NaN where any value of the map is
    lowest: Tensor  # (image, unit), NaN where any value of the map is
    nonzero: Tensor  # (unit,) int64, values other than 0
    not_below: Tensor  # (unit,) int64, values from the unit's floor on


def summarize_maps(maps: Tensor, floors: Tensor) -> MapSummary:
    """Summarize ``maps`` (image, unit, row, column) with ``floors`` (unit,) of the same type."""
    flat_maps = maps.flatten(2)
    from_floor_on = maps >= floors[:, None, None]
    return MapSummary(
        flat_maps.amax(2),
        flat_maps.amin(2),
        count_nonzero(maps),
        count_nonzero(from_floor_on),
    )


@dataclass(frozen=True)
class MapReader:
    """Function that summarizes maps: the Triton kernel, or its plain version."""

    kernel: Kernel | None  # None: there is none for this device

    @property
    def note(self) -> str | None:
        """Reason why the plain version is used where a kernel was expected."""
        return self.kernel.note if self.kernel else None

    def __call__(self, maps: Tensor, floors: Tensor) -> MapSummary:
        """Summarize maps; see `summarize_maps`."""
        module = None
        if self.kernel:
            module = self.kernel.module(maps.device, (maps.dtype,), maps.numel())
        if module:
            summary: MapSummary = module.summarize_maps(maps, floors)
            return summary
        return summarize_maps(maps, floors)


def map_reader(device: torch.device) -> MapReader:
    """Return the reader of maps on ``device``; all readers of a device share one kernel."""
    return MapReader(_kernel(device) if device.type == "cuda" else None)


@lru_cache(maxsize=64)
def _kernel(device: torch.device) -> Kernel:
    return Kernel(
        "maps were read",
        "nd_plugin.accelerator.peaks_triton",
        equals_plain,
        VALUES_BEFORE_COMPILING,
    )


def equals_plain(module: ModuleType, device: torch.device, dtypes: DTypes) -> bool:
    """Return whether the kernel summarizes random maps, in two memory formats, as it should."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(3, 40, 7, 9, generator=generator, dtype=torch.float64)
    maps = noise.round(decimals=1).to(device, dtypes[0])
    floors = maps[0, :, 3, 3].contiguous()
    expected = summarize_maps(maps, floors)
    summaries = (
        module.summarize_maps(maps.contiguous(memory_format=memory_format), floors)
        for memory_format in (torch.contiguous_format, torch.channels_last)
    )
    return all(
        torch.equal(tensor, plain_tensor)
        for summary in summaries
        for tensor, plain_tensor in zip(summary, expected, strict=True)
    )
