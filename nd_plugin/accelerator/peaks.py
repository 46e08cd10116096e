"""What the first pass needs of every activation map, whether or not it becomes a candidate."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class MapSummary(NamedTuple):
    """Summary of maps (image, unit, row, column)."""

    peaks: Tensor  # (image, unit), maxima; NaN where a map has one
    lowest: Tensor  # (image, unit), minima
    nonzero: Tensor  # (unit,) int64, values other than 0
    reached: Tensor  # (unit,) int64, values not below the unit's floor


def summarise(maps: Tensor, floor: Tensor) -> MapSummary:
    """Summarise ``maps`` (image, unit, row, column); ``floor`` is (unit,)."""
    flat = maps.flatten(2)
    return MapSummary(
        flat.amax(2),
        flat.amin(2),
        flat.count_nonzero((0, 2)),
        (flat >= floor[:, None]).sum((0, 2)),
    )
