"""Where a unit is active in one image: against the dissection's thresholds, or against the image's own map."""

from __future__ import annotations

import torch
from torch import Tensor

from nd_plugin.errors import BadInput
from nd_plugin.method.ranks import rank
from nd_plugin.method.upsampling import upsample
from nd_plugin.receptive_fields.geometry import Geometry, Size

MASKS = ("none", "dissection", "image")


def image_thresholds(maps: Tensor, quantile: float) -> Tensor:
    """(image, unit): v[floor(quantile * n)] of the n cells of each map, descending (the paper's section 3.10: 0.2).

    Where more cells than that share the largest value (a ReLU6 that is saturated), they are the top: the threshold is
    then half way from them to the next lower value.
    """
    if not 0 < quantile < 1:
        raise BadInput(f"image_quantile {quantile} is not between 0 and 1 (the paper's is 0.2)")
    cells = maps.flatten(2)
    level = cells.topk(rank(quantile, cells.shape[2]) + 1, dim=2).values[:, :, -1]
    highest = cells.amax(2)
    below = cells.masked_fill(cells == highest[:, :, None], -torch.inf).amax(2)
    saturated = (level == highest) & below.isfinite()
    return torch.where(saturated, (highest + below) / 2, level)


def thresholds(maps: Tensor, mask: str, quantile: float, dissected: Tensor | None) -> Tensor:
    """(image, unit), of maps (image, unit, row, column), by the kind of mask. ``dissected`` are T_k (unit,)."""
    if mask == "image":
        return image_thresholds(maps, quantile)
    if dissected is None:
        raise BadInput(
            "mask 'dissection' needs a dissection: run dissect, or set .dissection to a saved one"
        )
    if len(dissected) != maps.shape[1]:
        raise BadInput(
            f"the dissection has {len(dissected)} units, and the layer gives {maps.shape[1]}"
        )
    return dissected.to(maps).expand(len(maps), -1)


def check_mask(mask: str) -> None:
    """Raises BadInput for what is no kind of mask."""
    if mask not in MASKS:
        raise BadInput(f"mask {mask!r} is none of {', '.join(MASKS)}")


def active_cells(maps: Tensor, above: Tensor) -> Tensor:
    """Which cells are active, strictly: at its own centre, the upsampled map S_k is the cell's value."""
    return maps > above[:, :, None, None]


def active_pixels(maps: Tensor, above: Tensor, geometry: Geometry, image: Size) -> Tensor:
    """M_k(x) = S_k(x) > T_k (section 2.2), boolean (image, unit, row, column) at the image's own resolution."""
    exact = maps if maps.dtype in (torch.float32, torch.float64) else maps.float()
    return active_cells(upsample(exact, geometry, image, image), above.to(exact.dtype))
