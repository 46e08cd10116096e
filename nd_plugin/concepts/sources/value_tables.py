"""Lookup of the integers in masks as values of planes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.pictures.stored_integers import strips_of

Integers = npt.NDArray[np.integer[Any]]
# from pixels (row, column) or (row, column, channel) to integers (row, column)
Decoding = Callable[[Integers], Integers]

LARGEST_DENSE = 2**16  # entries of a table that is looked up by index
VALUES_NAMED = 3  # unlisted values of one mask, one by one


@dataclass(frozen=True)
class ValueTable:
    """Plane values by the integers that masks hold; integers that it lacks are "no label"."""

    integers: npt.NDArray[np.int64]  # sorted
    plane_values: Integers  # of these integers, in the smallest type
    # by integer, 0 for those that are not listed; None where integers are too large for that
    dense: Integers | None = None

    @classmethod
    def of(cls, plane_values: Mapping[int, int], largest: int = 0) -> ValueTable:
        """Return the table of plane values by integers, 0 or more.

        Planes have the smallest type that takes these values and ``largest``, such as the number of
        concepts: planes of one set should be of one type.
        """
        ordered = sorted(plane_values)
        dtype = np.min_scalar_type(max([largest, *plane_values.values()]))
        integers = np.array(ordered, np.int64)
        values = np.array([plane_values[key] for key in ordered], dtype)
        if ordered and ordered[-1] >= LARGEST_DENSE:
            return cls(integers, values)
        dense = np.zeros((ordered[-1] if ordered else 0) + 1, dtype)
        dense[integers] = values
        return cls(integers, values, dense)

    def plane(
        self, pixels: Integers, decode: Decoding | None = None
    ) -> tuple[Integers, set[int]]:
        """Return the plane (row, column) of a mask, and its integers that are not listed, but 0.

        ``decode`` makes integers of pixels with channels. Strip by strip, as indices into a table
        take 8 bytes a pixel.
        """
        rows, columns = pixels.shape[:2]
        plane = np.empty((rows, columns), self.plane_values.dtype)
        unlisted: set[int] = set()
        for strip in strips_of((rows, columns)):
            integers = pixels[strip] if decode is None else decode(pixels[strip])
            plane[strip] = self._values_of(integers)
            # most pixels without a label are 0: they need no sorting
            is_unlisted = (plane[strip] == 0) & (integers != 0)
            unlisted.update(np.unique(integers[is_unlisted]).tolist())
        return plane, unlisted

    def _values_of(self, integers: Integers) -> Integers:
        if self.dense is not None:
            return look_up(self.dense, integers)
        places = np.searchsorted(self.integers, integers)
        places[places == len(self.integers)] = 0
        is_listed = self.integers[places] == integers
        return np.where(is_listed, self.plane_values[places], 0).astype(
            self.plane_values.dtype
        )


def look_up(table: Integers, integers: Integers) -> Integers:
    """Return a table's entries at these indices, in its type; 0 for indices outside of it."""
    smallest, largest = integers.min(initial=0), integers.max(initial=0)
    if smallest >= 0 and largest < len(table):
        # all inside, so that nothing is clipped; it saves NumPy a check of each
        return table.take(integers, mode="clip")
    indices = integers.astype(np.int64)
    outside = (indices < 0) | (indices >= len(table))
    indices[outside] = 0
    entries = table[indices]
    entries[outside] = 0
    return entries


def unlisted_remarks(
    unlisted: Collection[int], masks: str, table: str
) -> tuple[str, ...]:
    """Return remarks on integers in ``masks`` that ``table`` does not list, but 0.

    Many different integers are one remark, the same for all masks.
    """
    integers = sorted(integer for integer in unlisted if integer != 0)
    where = f"in {masks}, and {table} does not list"
    if len(integers) > VALUES_NAMED:
        return (f"more than {VALUES_NAMED} values of one mask occur {where} them",)
    return tuple(f"{integer} occurs {where} it" for integer in integers)
