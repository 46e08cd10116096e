"""Integer and boolean operations that NumPy runs several times faster than torch on a CPU.

Each function takes and returns tensors, on any device, and gives the same result on all of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def true_indices(mask: Tensor) -> Tensor:
    """Return the flat indices where ``mask`` is true, ascending."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.flatten().nonzero()[:, 0]


def count_nonzero(maps: Tensor) -> Tensor:
    """Count each unit's nonzero values in ``maps`` (image, unit, row, column); (unit,) int64."""
    if maps.device.type == "cpu":
        return torch.from_numpy(np.count_nonzero(maps.numpy(), axis=(0, 2, 3)))
    return maps.count_nonzero((0, 2, 3))


def divide_indices(indices: Tensor, divisor: int) -> tuple[Tensor, Tensor]:
    """Return quotients and remainders of ``indices`` (index,), which must not be negative."""
    if indices.device.type == "cpu":
        dividend = indices.numpy()
        quotients = torch.from_numpy(
            dividend // np.asarray(divisor, dividend.dtype)
        )
    else:
        quotients = indices // divisor
    return quotients, indices - quotients * divisor


def take_columns(table: Tensor, columns: Tensor) -> Tensor:
    """Return ``table[:, columns]`` of a boolean table (row, column)."""
    if table.device.type == "cpu":
        return torch.from_numpy(np.take(table.numpy(), columns.numpy(), axis=1))
    return table.index_select(1, columns)
