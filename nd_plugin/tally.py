"""Annotations as label planes: |L_c| of one image, and what masks are counted against.

Integers, so sums do not depend on any order.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.geometry import Size
from nd_plugin.types import Annotation

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """What one image shows at the size of the masks; every pixel carries a concept at most once."""

    planes: npt.NDArray[np.integer[Any]]  # (plane, row, column), 1 + concept, 0 for none; the smallest type that does
    whole: Counts  # (label,) concepts of every pixel, ascending
    concepts: Counts  # (concept,) those that have a pixel, ascending
    areas: Counts  # (concept,) |L_c| of these

    @classmethod
    def of(cls, annotation: Annotation, size: Size) -> "Labels":
        """Bring an annotation to a size, nearest neighbours; a concept that stands in several planes is kept once.

        Raises ValueError for a plane that is not (row, column).
        """
        strange = [np.shape(plane) for plane in annotation.planes if np.ndim(plane) != 2 or np.size(plane) == 0]
        if strange:
            raise ValueError(f"a plane is of shape {strange[0]}, where (row, column) belongs")
        resized = [resize_plane(np.asarray(plane), size) for plane in annotation.planes]
        top = max((int(plane.max(initial=0)) for plane in resized), default=0)
        planes = np.zeros((len(resized), *size), np.min_scalar_type(top))
        whole = np.array(sorted(set(annotation.labels)), dtype=np.int64)
        for place, plane in enumerate(resized):
            planes[place] = plane
            for doubled in (*whole[whole <= top], *planes[:place]):
                planes[place][planes[place] == doubled] = 0
        seen = np.bincount(planes.ravel(), minlength=int(whole.max(initial=0)) + 1)
        seen[whole] = size[0] * size[1]
        seen[0] = 0
        values = np.flatnonzero(seen)
        return cls(planes, whole[whole > 0] - 1, values - 1, seen[values])

    @property
    def size(self) -> Size:
        """Of the masks."""
        return int(self.planes.shape[1]), int(self.planes.shape[2])


def nearest_rows(source: int, target: int) -> npt.NDArray[np.int64]:
    """The source row of each target row, floor((j + 0.5)·source/target), in integers."""
    return (2 * np.arange(target, dtype=np.int64) + 1) * source // (2 * target)


def resize_plane(plane: npt.NDArray[np.integer[Any]], size: Size) -> npt.NDArray[np.integer[Any]]:
    """An annotation plane (row, column) brought to ``size`` by nearest neighbours."""
    if plane.shape == size:
        return plane
    return plane[nearest_rows(plane.shape[0], size[0])[:, None], nearest_rows(plane.shape[1], size[1])[None, :]]
