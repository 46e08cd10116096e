"""Lookup of Broden's label numbers as values of planes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNKNOWN = -1  # marks a number that is not in label.csv


@dataclass(frozen=True)
class Labels:
    """Plane value of each label number: 1 + the concept's index, or 0 for "no label"."""

    values: npt.NDArray[np.int32]  # (number,); UNKNOWN where there is no such label

    @classmethod
    def of(cls, numbers: tuple[int, ...]) -> Labels:
        """Return the lookup table for a vocabulary's numbers, in the order of its concepts."""
        largest = max(numbers, default=0)
        values = np.full(largest + 1, UNKNOWN, dtype=np.int32)
        values[list(numbers)] = np.arange(1, len(numbers) + 1)
        values[0] = 0
        return cls(values)

    def values_of(
        self, numbers: npt.NDArray[np.int32], source: str
    ) -> npt.NDArray[np.int32]:
        """Return the plane values of label numbers, in the same shape.

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


def _not_listed(number: int, source: str) -> str:
    return f"label {number} in {source} is not in label.csv"
