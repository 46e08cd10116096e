"""Planes of an annotation, sorted by the categories of their labels.

A plane of a concept set may hold labels of several categories, as Broden's object masks hold
``fabric``, a material. In the files of both formats a mask belongs to one category.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.method.annotations import resize_plane
from nd_plugin.pictures.stored_integers import strips_of
from nd_plugin.receptive_fields.geometry import Size

Plane = npt.NDArray[np.integer[Any]]  # (row, column)


class CategoryOfValues:
    """Categories of the values of planes."""

    def __init__(
        self, concepts: Sequence[Concept], categories: Sequence[str]
    ) -> None:
        numbers = {category: index for index, category in enumerate(categories)}
        indices = [numbers[concept.category] for concept in concepts]
        self._names = tuple(categories)
        self._categories = np.array([-1, *indices], np.int32)  # of 0: none

    def sort(
        self, planes: Sequence[Plane], size: Size | None
    ) -> dict[str, list[Plane]]:
        """Return planes by category, each with the labels of that category alone.

        Planes without a label are left out. A plane of one category stays as it is; the parts of
        another are joined with planes of their category where no pixel gets two labels. ``size`` is
        that to which planes are resized, by nearest neighbours; None: each keeps its own.
        """
        sorted_planes: dict[str, list[Plane]] = {}
        parts: list[tuple[str, Plane]] = []
        for plane in planes:
            integers = as_indices(np.asarray(plane))
            sized = integers if size is None else resize_plane(integers, size)
            categories = self._categories_in(sized)
            if len(categories) == 1:
                name = self._names[categories[0]]
                sorted_planes.setdefault(name, []).append(sized)
            else:
                parts += [self._part(sized, category) for category in categories]
        for name, part in parts:
            _join(sorted_planes.setdefault(name, []), part)
        return {
            name: sorted_planes[name]
            for name in self._names
            if name in sorted_planes
        }

    def of(self, value: int) -> str:
        """Return the category of a value, which is no 0."""
        return self._names[int(self._categories[value])]

    def _categories_in(self, plane: Plane) -> list[int]:
        """Return the indices of the categories that a plane has labels of, ascending."""
        occurs = np.zeros(len(self._categories), np.bool_)
        for strip in strips_of(plane.shape):
            # faster than `unique`, which sorts the pixels; NumPy 1 counts no uint64
            values = plane[strip].ravel().astype(np.int64, copy=False)
            occurs[np.flatnonzero(np.bincount(values))] = True
        occurs[0] = False
        return [int(index) for index in np.unique(self._categories[occurs])]

    def _part(self, plane: Plane, category: int) -> tuple[str, Plane]:
        """Return the labels of one category, with its name; 0 elsewhere."""
        part = np.zeros_like(plane)
        for strip in strips_of(plane.shape):
            is_of_category = self._categories[plane[strip]] == category
            part[strip] = np.where(is_of_category, plane[strip], 0)
        return self._names[category], part


def as_indices(plane: Plane) -> Plane:
    """Return a plane of a type that indexes a table: truth values would select, and not index."""
    if plane.dtype == np.bool_:
        return plane.astype(np.uint8)
    return plane.astype(np.int64) if plane.dtype == np.uint64 else plane


def _join(planes: list[Plane], part: Plane) -> None:
    """Put the labels of ``part`` into the first plane where no pixel has another, or add it."""
    for index, plane in enumerate(planes):
        if plane.shape != part.shape:
            continue
        is_contradicted = (plane > 0) & (part > 0) & (plane != part)
        if not is_contradicted.any():
            planes[index] = np.where(plane > 0, plane, part)
            return
    planes.append(part)
