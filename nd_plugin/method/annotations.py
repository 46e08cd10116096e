"""Annotations as combinations of labels: |L_c| of one image, and what masks are counted against.

Integers, so sums do not depend on any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.receptive_fields.geometry import Size

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelCombinations:
    """What one image shows at the size of the masks: which concepts each pixel carries together.

    However many planes there are, a pixel is then counted once, and a concept that stands in several planes too.
    """

    combinations: npt.NDArray[
        np.integer[Any]
    ]  # (row, column), which of them; the smallest type that does
    members: Counts  # (combination, any number), 1 + concept, each at most once; 0 for none
    concepts: Counts  # (concept,) those that have a pixel, ascending
    areas: Counts  # (concept,) |L_c| of these

    @classmethod
    def of(cls, annotation: Annotation, size: Size) -> LabelCombinations:
        """Bring an annotation to a size, nearest neighbours.

        Raises ValueError for a plane that is not (row, column).
        """
        strange = [
            np.shape(plane)
            for plane in annotation.planes
            if np.ndim(plane) != 2 or np.size(plane) == 0
        ]
        if strange:
            raise ValueError(f"a plane is of shape {strange[0]}, where (row, column) belongs")
        found = np.zeros(size, np.int64)
        members = np.array([annotation.labels], np.int64).reshape(1, -1)
        for plane in annotation.planes:
            values = resize_plane(np.asarray(plane), size).astype(np.int64)
            many = int(values.max()) + 1
            both, found = _numbered(found * many + values)
            members = np.column_stack([members[both // many], both % many])
        members.sort(axis=1)
        members[:, 1:][members[:, 1:] == members[:, :-1]] = 0
        pixels = np.bincount(found.ravel(), minlength=len(members))
        areas = np.zeros(int(members.max(initial=0)) + 1, np.int64)
        np.add.at(areas, members, pixels[:, None])
        concepts = np.flatnonzero(areas[1:])
        return cls(smallest(found), members, concepts, areas[1:][concepts])

    @property
    def size(self) -> Size:
        """Of the masks."""
        return int(self.combinations.shape[0]), int(self.combinations.shape[1])


def smallest(values: Counts) -> npt.NDArray[np.integer[Any]]:
    """The same, none of them negative, in the smallest type that holds them."""
    return values.astype(np.min_scalar_type(values.max(initial=0)))


def _numbered(values: Counts) -> tuple[Counts, Counts]:
    """The distinct ones of some numbers, ascending, and the place of each among them: `numpy.unique`, faster."""
    top = int(values.max()) + 1
    if top > 8 * values.size + 2**16:
        distinct, places = np.unique(values, return_inverse=True)
        return distinct, places.reshape(values.shape)
    seen, place = np.zeros(top, np.bool_), np.empty(top, np.int64)
    seen[values] = True
    distinct = np.flatnonzero(seen)
    place[distinct] = np.arange(len(distinct))
    return distinct, place.take(values)


def nearest_rows(source: int, target: int) -> npt.NDArray[np.int64]:
    """The source row of each target row, floor((j + 0.5)·source/target), in integers."""
    return (2 * np.arange(target, dtype=np.int64) + 1) * source // (2 * target)


def resize_plane(plane: npt.NDArray[np.integer[Any]], size: Size) -> npt.NDArray[np.integer[Any]]:
    """An annotation plane (row, column) brought to ``size`` by nearest neighbours."""
    if plane.shape == size:
        return plane
    return plane[
        nearest_rows(plane.shape[0], size[0])[:, None],
        nearest_rows(plane.shape[1], size[1])[None, :],
    ]
