"""Activation maps at the resolution of the masks: S_k(x) of the paper's section 2.2.

The arithmetic is fixed, so that every device and every implementation agrees to the last bit, and
no value ever leaves the range of its neighbours:

- interpolation weights are multiples of 2**-20, which float32 holds exactly;
- each step is ``a + t * (b - a)``, multiplication and addition rounded separately;
- rows are interpolated first, then columns.

Where neighbours are equal, the result is exactly their value; strict comparison with a threshold
that occurs in the map is then safe. Minus infinity is replaced by the lowest finite number: it
lights no pixel, and a pixel at the centre of a neighbouring cell keeps that cell's value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nd_plugin.receptive_fields.geometry import Axis, Geometry, Size

WEIGHT_BITS = 20


@dataclass(frozen=True)
class MaskAxis:
    """Rows or columns of a mask over an image, and the layer's cells along them."""

    cells: Axis
    image: int  # input pixels
    mask: int  # mask pixels


@dataclass(frozen=True)
class MaskGrid:
    """Placement of a layer's cells and of mask pixels over the input image."""

    geometry: Geometry  # of the cells
    image: Size  # the model's input, in pixels
    mask: Size  # in mask pixels

    @property
    def rows(self) -> MaskAxis:
        """Vertical axis."""
        return MaskAxis(self.geometry.rows, self.image[0], self.mask[0])

    @property
    def columns(self) -> MaskAxis:
        """Horizontal axis."""
        return MaskAxis(self.geometry.columns, self.image[1], self.mask[1])


@dataclass(frozen=True)
class Taps:
    """Two cells around each mask pixel along one axis, and the weight of the second."""

    first: Tensor  # (pixel,) int64
    second: Tensor  # (pixel,) int64
    weight: Tensor  # (pixel,) float64, a multiple of 2**-20 in [0, 1)


def taps(axis: MaskAxis, cell_count: int) -> Taps:
    """Locate each mask pixel among ``cell_count`` cells.

    Pixels beyond the outer centres take the outer cells' values.
    """
    mask_pixel = torch.arange(axis.mask, dtype=torch.float64, device="cpu")
    image_pixel = (mask_pixel + 0.5) * axis.image / axis.mask - 0.5
    position = ((image_pixel - axis.cells.offset) / axis.cells.stride).clamp(
        0, cell_count - 1
    )
    position = (position * 2**WEIGHT_BITS).round() / 2**WEIGHT_BITS
    first = position.floor().long()
    second = (first + 1).clamp(max=cell_count - 1)
    return Taps(first, second, position - first)


@lru_cache(maxsize=256)
def taps_on(
    axis: MaskAxis, cell_count: int, device: torch.device, dtype: torch.dtype
) -> Taps:
    """Return `taps` on a device, with weights of the maps' type."""
    on_cpu = taps(axis, cell_count)
    return Taps(
        on_cpu.first.to(device),
        on_cpu.second.to(device),
        on_cpu.weight.to(device, dtype),
    )


def upsample(maps: Tensor, geometry: Geometry, image: Size, mask: Size) -> Tensor:
    """Interpolate ``maps`` (…, row, column), float32 or float64, to (…, mask row, mask column).

    ``geometry`` places the interpolants at the centres of the cells' receptive fields; ``image``
    is the model's input size in pixels.
    """
    grid = MaskGrid(geometry, image, mask)
    rows = taps_on(grid.rows, maps.shape[-2], maps.device, maps.dtype)
    columns = taps_on(grid.columns, maps.shape[-1], maps.device, maps.dtype)
    maps = finite(maps)
    upper = maps.index_select(-2, rows.first)
    lower = maps.index_select(-2, rows.second)
    tall = upper + rows.weight[:, None] * (lower - upper)
    left = tall.index_select(-1, columns.first)
    right = tall.index_select(-1, columns.second)
    return right.sub_(left).mul_(columns.weight).add_(left)


def finite(maps: Tensor) -> Tensor:
    """Replace minus infinity by the lowest finite number."""
    return maps.clamp(min=torch.finfo(maps.dtype).min)
