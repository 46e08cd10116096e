"""Activation maps of units in their top images, stored sparsely: enough to draw M_k exactly.

Stored are the cells above T_k and those that touch them. No other cell decides about a pixel of
M_k (see `method.activation_masks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.method.annotations import Counts
from nd_plugin.receptive_fields.geometry import Geometry, Size

UNKNOWN = -1  # number of stored cells of a map that is not known
NOT_STORED = -np.inf  # value of cells that are not stored: exceeds no threshold

Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TopMaps:
    """Sparse maps of units in their top images, unit by unit in the order of ranks."""

    geometry: Geometry  # of the cells
    image_size: Size  # of the model's input, pixels
    cells: Size  # rows and columns of a map
    counts: Integers  # (unit, rank) stored cells: 0 lights nothing, `UNKNOWN`
    positions: Integers  # (cell,) row * columns + column, ascending in each map
    values: Floats  # (cell,) float32 or float64

    @cached_property
    def _ends(self) -> Counts:
        """Index behind the last cell of each map, (unit, rank)."""
        stored = np.maximum(self.counts, 0).astype(np.int64)
        return stored.ravel().cumsum().reshape(stored.shape)

    def is_known(self, unit: int, rank: int) -> bool:
        """Return whether the map of a unit in its top image ``rank`` is known."""
        return bool(self.counts[unit, rank] != UNKNOWN)

    def dense(self, unit: int, rank: int) -> Floats:
        """Return a map (row, column); cells that are not stored are ``NOT_STORED``."""
        end = int(self._ends[unit, rank])
        stored = slice(end - max(int(self.counts[unit, rank]), 0), end)
        dense = np.full(self.cells, NOT_STORED, self.values.dtype)
        dense.ravel()[self.positions[stored]] = self.values[stored]
        return dense

    def masks(
        self, unit: int, ranks: Sequence[int], threshold: float, size: Size
    ) -> Mask:
        """Compute M_k (rank, row, column) at ``size``, for T_k or a higher threshold."""
        masks = np.zeros((len(ranks), *size), np.bool_)
        if not self.counts[unit, ranks].any():
            return masks
        # torch takes a second to import, and reports of numbers do without it
        import torch

        from nd_plugin.method.activation_masks import find_lit_runs
        from nd_plugin.method.upsampling import MaskGrid, finite

        dense = np.stack([self.dense(unit, rank) for rank in ranks])
        maps = finite(torch.from_numpy(dense))
        # torch refuses a number beyond the type of the maps, which no map exceeds either
        limits = torch.finfo(maps.dtype)
        within_type = min(max(threshold, limits.min), limits.max)
        thresholds = torch.full(
            (len(ranks),), within_type, dtype=maps.dtype, device="cpu"
        )
        grid = MaskGrid(self.geometry, self.image_size, size)
        pixels = masks.reshape(len(ranks), -1)
        for runs in find_lit_runs(maps, thresholds, grid):
            columns = (runs.map_index, runs.starts, runs.lengths)
            lines = zip(*(column.tolist() for column in columns), strict=True)
            for index, start, length in lines:
                pixels[index, start : start + length] = True
        return masks
