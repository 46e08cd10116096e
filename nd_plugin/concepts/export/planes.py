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
            sized = np.asarray(plane) if size is None else resize_plane(plane, size)
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
        # faster than `unique`, which sorts the pixels
        pixel_counts = np.bincount(np.ravel(plane))
        pixel_counts[0] = 0
        labels = np.flatnonzero(pixel_counts)
        return [int(index) for index in np.unique(self._categories[labels])]

    def _part(self, plane: Plane, category: int) -> tuple[str, Plane]:
        """Return the labels of one category, with its name; 0 elsewhere."""
        is_of_category = self._categories[plane.astype(np.int64)] == category
        part = np.where(is_of_category, plane, plane.dtype.type(0))
        return self._names[category], part


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
