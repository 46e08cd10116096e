"""Planes of one category, filled from masks of single concepts that may overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.integer[Any]]


class PlaneStack:
    """As few planes as it takes for no mask to cover another.

    A mask goes to the first plane in which it covers no other concept; masks of one concept are
    joined.
    """

    def __init__(self, size: tuple[int, int], dtype: Any) -> None:
        """Begin without planes; ``size`` is (rows, columns)."""
        self._size = size
        self._dtype = dtype
        self.planes: list[Integers] = []

    def add(self, mask: npt.NDArray[np.bool_], value: int) -> None:
        """Add the mask (row, column) of a concept with this plane value.

        Raises ValueError for a mask of another size.
        """
        if mask.shape != self._size:
            rows, columns = self._size
            raise ValueError(
                f"a mask is of {mask.shape[0]}x{mask.shape[1]} pixels, the first of its image of "
                f"{rows}x{columns}"
            )
        plane = self._plane_for(mask, value)
        plane[mask] = value

    def _plane_for(self, mask: npt.NDArray[np.bool_], value: int) -> Integers:
        for plane in self.planes:
            covered = plane[mask]
            if not np.any((covered != 0) & (covered != value)):
                return plane
        plane = np.zeros(self._size, self._dtype)
        self.planes.append(plane)
        return plane
