"""Masks of active units: above the dissection's thresholds or a quantile of the image's map."""

from __future__ import annotations

import torch
from torch import Tensor

from nd_plugin.errors import BadInput
from nd_plugin.method.ranks import rank
from nd_plugin.method.upsampling import upsample
from nd_plugin.receptive_fields.geometry import Geometry, Size

MASKS = ("none", "dissection", "image")


def image_thresholds(maps: Tensor, quantile: float) -> Tensor:
    """Return v[floor(quantile * n)] of the n cells of each map, in descending order: (image, unit).

    The paper's quantile is 0.2 (section 3.10). If more cells than that share the largest value (a
    saturated ReLU6), exactly these shall be above the threshold: it is then half way between the
    largest and the next lower value.
    """
    if not 0 < quantile < 1:
        raise BadInput(
            f"image_quantile {quantile} is not between 0 and 1 (the paper's is 0.2)"
        )
    cells = maps.flatten(2)
    cells_above = rank(quantile, cells.shape[2])
    largest_cells = cells.topk(cells_above + 1, dim=2).values
    level = largest_cells[:, :, -1]
    highest = largest_cells[:, :, 0]
    is_highest = cells == highest[:, :, None]
    next_lower = cells.masked_fill(is_highest, -torch.inf).amax(2)
    saturated = (level == highest) & next_lower.isfinite()
    half_way = (highest + next_lower) / 2
    return torch.where(saturated, half_way, level)


def choose_thresholds(
    maps: Tensor, mask_kind: str, quantile: float, dissected: Tensor | None
) -> Tensor:
    """Return thresholds (image, unit) of maps (image, unit, row, column) by the kind of mask.

    ``dissected`` are the dissection's T_k, (unit,). Raises BadInput if they are needed and missing,
    or of other length.
    """
    if mask_kind == "none":
        raise BadInput(
            "mask 'none' has no threshold: choose 'dissection' or 'image'"
        )
    if mask_kind == "image":
        return image_thresholds(maps, quantile)
    if dissected is None:
        raise BadInput(
            "mask 'dissection' needs a dissection: run dissect, or set .dissection to a saved one"
        )
    if len(dissected) != maps.shape[1]:
        raise BadInput(
            f"the dissection has {len(dissected)} units, and the layer has {maps.shape[1]}"
        )
    return dissected.to(maps).expand(len(maps), -1)


def check_mask(mask_kind: str) -> None:
    """Raise BadInput for an unknown kind of mask."""
    if mask_kind not in MASKS:
        raise BadInput(f"mask {mask_kind!r} is none of {', '.join(MASKS)}")


def active_cells(maps: Tensor, unit_thresholds: Tensor) -> Tensor:
    """Compare cells with their unit's threshold: at a cell's centre, S_k is the cell's value."""
    return maps > unit_thresholds[:, :, None, None]


def active_pixels(
    maps: Tensor, unit_thresholds: Tensor, geometry: Geometry, image: Size
) -> Tensor:
    """Compute M_k(x) = S_k(x) > T_k (section 2.2): boolean (image, unit, row, column)."""
    exact = maps if maps.dtype in (torch.float32, torch.float64) else maps.float()
    upsampled = upsample(exact, geometry, image, image)
    return active_cells(upsampled, unit_thresholds.to(exact.dtype))
