"""Lookup of Broden's label numbers as values of planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin import strips_of

LONGEST_INT16 = 2**15
UNKNOWN = -1  # marks a number that is not in label.csv


@dataclass(frozen=True)
class Labels:
    """Plane value of each label number: 1 + the concept's index, or 0 for "no label"."""

    # (number,) in a signed type; UNKNOWN where there is no such label
    values: npt.NDArray[np.signedinteger[Any]]

    @classmethod
    def of(cls, numbers: tuple[int, ...]) -> Labels:
        """Return the lookup table for a vocabulary's numbers, in the order of its concepts."""
        largest = max(numbers, default=0)
        # signed, for UNKNOWN
        fits = len(numbers) < LONGEST_INT16
        dtype: type[np.signedinteger[Any]] = np.int16 if fits else np.int32
        values = np.full(largest + 1, UNKNOWN, dtype)
        values[list(numbers)] = np.arange(1, len(numbers) + 1)
        values[0] = 0
        return cls(values)

    def values_of(
        self, numbers: npt.NDArray[np.integer[Any]], source: str
    ) -> npt.NDArray[np.integer[Any]]:
        """Return the plane values of label numbers, in the same shape and the table's type.

        Raises ValueError for a number outside the vocabulary; ``source`` is the file to blame.
        """
        largest = int(numbers.max(initial=0))
        if largest >= len(self.values):
            raise ValueError(_not_listed(largest, source))
        # all in range, checked above
        values = self.values.take(numbers, mode="clip")
        if int(values.min(initial=0)) < 0:
            unlisted = numbers[values == UNKNOWN]
            raise ValueError(_not_listed(int(unlisted[0]), source))
        return values

    def plane(
        self, pixels: npt.NDArray[np.uint8], source: str
    ) -> npt.NDArray[np.integer[Any]]:
        """Return the plane (row, column) of a mask's pixels (row, column, channel).

        The label number is red + 256 * green. Strip by strip, as indices into a table take 8 bytes
        a pixel. Raises ValueError as `values_of` does.
        """
        rows, columns, _ = pixels.shape
        plane = np.empty((rows, columns), self.values.dtype)
        for strip in strips_of((rows, columns)):
            strip_pixels = pixels[strip]
            numbers = strip_pixels[:, :, 0] + np.int32(256) * strip_pixels[:, :, 1]
            plane[strip] = self.values_of(numbers, source)
        return plane


def _not_listed(number: int, source: str) -> str:
    return f"label {number} in {source} is not in label.csv"
