"""Rows that counts of maps are added up in: units, or units in folds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SumRows:
    """Rows of a table of sums, and the row of each map.

    Of units in folds, only those that occur have a row: there are many more of them than maps.
    """

    row_of_map: Tensor  # (map,) int64
    thresholds: Tensor  # (row,) T_k of the row's unit
    # (row,) fold * units + unit, ascending; None: the rows are the units
    numbers: Integers | None

    def pieces(self, rows_at_once: int) -> Iterator[tuple[SumRows, Tensor | slice]]:
        """Yield some rows at a time, and which maps are theirs: indices (map,), or a slice of all.

        Rows that are the units stay together.
        """
        if self.numbers is None:
            yield self, slice(None)
            return
        for start in range(0, len(self.numbers), rows_at_once):
            end = start + rows_at_once
            is_here = (self.row_of_map >= start) & (self.row_of_map < end)
            which = is_here.nonzero()[:, 0]
            piece = SumRows(
                self.row_of_map[which] - start,
                self.thresholds[start:end],
                self.numbers[start:end],
            )
            yield piece, which


def sum_rows(
    units: Tensor, images: Tensor, thresholds: Tensor, fold_of: Integers | None
) -> SumRows:
    """Return the rows of maps of ``units`` and ``images`` (map,).

    ``thresholds`` (unit,); ``fold_of`` (image,) is of the probe data set, or None for no folds.
    """
    if fold_of is None:
        return SumRows(units, thresholds, None)
    folds = torch.from_numpy(fold_of).to(units.device)[images.long()]
    numbers, row_of_map = torch.unique(
        folds * len(thresholds) + units, return_inverse=True
    )
    return SumRows(
        row_of_map, thresholds[numbers % len(thresholds)], numbers.cpu().numpy()
    )
