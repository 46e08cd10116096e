"""Activation maps at the resolution of the masks: S_k(x) of the paper's section 2.2.

The arithmetic is fixed so that every device and every implementation agrees to the last bit, and so that no value ever
leaves the range of its neighbours: interpolation weights are multiples of 2**-20 (exact in float32) and each step is
``a + t * (b - a)``, multiplication and addition rounded apart, rows first, then columns. Where neighbours are equal the
result is exactly their value; strict comparison with a threshold that occurs in the map is then safe. Minus infinity
counts as the lowest finite number: it lights nothing beside it, and leaves the pixel at its neighbour's centre alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nd_plugin.receptive_fields.geometry import Axis, Geometry, Size

WEIGHT_BITS = 20


@dataclass(frozen=True)
class Taps:
    """For each target cell the two source cells it lies between and the weight of the second."""

    first: Tensor  # (target,) int64
    second: Tensor  # (target,) int64
    weight: Tensor  # (target,) float64, a multiple of 2**-20 in [0, 1)


def taps(axis: Axis, cells: int, pixels: int, target: int) -> Taps:
    """Where ``target`` mask pixels over ``pixels`` input pixels lie among ``cells`` cells, clamped at the edges."""
    pixel = (torch.arange(target, dtype=torch.float64, device="cpu") + 0.5) * pixels / target - 0.5
    position = ((pixel - axis.offset) / axis.stride).clamp(0, cells - 1)
    position = (position * 2**WEIGHT_BITS).round() / 2**WEIGHT_BITS
    first = position.floor().long()
    return Taps(first, (first + 1).clamp(max=cells - 1), position - first)


@lru_cache(maxsize=256)
def _taps_on(
    axis: Axis, cells: int, pixels: int, target: int, device: torch.device, dtype: torch.dtype
) -> Taps:
    found = taps(axis, cells, pixels, target)
    return Taps(found.first.to(device), found.second.to(device), found.weight.to(device, dtype))


def upsample(maps: Tensor, geometry: Geometry, image: Size, mask: Size) -> Tensor:
    """Bring ``maps`` (…, row, column), float32 or float64, to (…, mask row, mask column).

    ``image`` is the model's input size in pixels; the interpolants sit at the receptive fields' centres.
    """
    rows = _taps_on(geometry.rows, maps.shape[-2], image[0], mask[0], maps.device, maps.dtype)
    columns = _taps_on(geometry.columns, maps.shape[-1], image[1], mask[1], maps.device, maps.dtype)
    maps = finite(maps)
    upper = maps.index_select(-2, rows.first)
    tall = upper + rows.weight[:, None] * (maps.index_select(-2, rows.second) - upper)
    left = tall.index_select(-1, columns.first)
    right = tall.index_select(-1, columns.second)
    return right.sub_(left).mul_(columns.weight).add_(left)


def finite(maps: Tensor) -> Tensor:
    """The lowest finite number in place of minus infinity."""
    return maps.clamp(min=torch.finfo(maps.dtype).min)
