"""Activations that are exact enough, and those that are not finite: where the first one is."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(maps: Tensor) -> Tensor:
    """Return maps as float32 or float64."""
    return maps if maps.dtype in (torch.float32, torch.float64) else maps.float()


def first_non_finite(maps: Tensor, peaks: Tensor) -> tuple[int, int, int, int]:
    """Return image, unit, row and column of the first activation that stops a run.

    ``maps`` (image, unit, row, column) have some ``peaks`` (image, unit), their maxima, that are
    not finite. It is the first NaN or +infinity of the first such map; in a map of nothing but
    -infinity, the first cell.
    """
    image, unit = _first_true(~peaks.isfinite())
    unit_map = maps[image, unit]
    row, column = _first_true(unit_map.isnan() | (unit_map == peaks[image, unit]))
    return image, unit, row, column


def _first_true(mask: Tensor) -> tuple[int, int]:
    row, column = mask.nonzero()[0].tolist()
    return row, column
