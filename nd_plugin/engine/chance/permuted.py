"""What is counted against permuted annotations: images, their partners, and blocks of units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nd_plugin.engine.chance.annotation_store import AnnotationStore
from nd_plugin.method.annotations import Counts
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.significance.exchange import Strata


@dataclass(frozen=True)
class UnitBlock:
    """Units of one layer at one quantile, as many as there is room for their intersections."""

    layer: str
    quantile: float
    units: range

    @property
    def key(self) -> tuple[str, float]:
        """Layer and quantile."""
        return self.layer, self.quantile


@dataclass(frozen=True, eq=False)
class Permuted:
    """Permuted annotations, and the thresholds of the masks that are counted against them."""

    strata: Strata
    # (row of `strata`, permutation) row whose annotation an image gets
    partners: npt.NDArray[np.int32]
    store: AnnotationStore
    image_count: int  # of the probe data set
    category_of: Counts  # (concept,)
    category_count: int
    thresholds: Mapping[tuple[str, float], Tensor]  # (unit,) by layer and quantile

    @cached_property
    def row_of(self) -> Counts:
        """Row of each image of the probe data set in `strata`, (image,); -1 for none."""
        rows = np.full(self.image_count, -1, np.int64)
        rows[self.strata.images] = np.arange(len(self.strata.images))
        return rows

    @property
    def permutation_count(self) -> int:
        """Number of permutations."""
        return int(self.partners.shape[1])

    @property
    def concept_count(self) -> int:
        """Number of concepts."""
        return len(self.category_of)

    def size_of(self, row: int) -> Size:
        """Return rows and columns of the masks of an image, by its row in `strata`."""
        rows, columns = self.strata.sizes[row].tolist()
        return rows, columns

    def image_of(self, row: int) -> int:
        """Return the image of a row in `strata`."""
        return int(self.strata.images[row])


def divide_units(
    units: Mapping[tuple[str, float], int], most: int, processes: int
) -> Sequence[UnitBlock]:
    """Divide the ``units`` of each layer and quantile into blocks of at most ``most``.

    There is at least a block for each of the ``processes`` that share the work, where there are as
    many units.
    """
    even_share = -(-sum(units.values()) // processes)
    step = max(min(most, even_share), 1)
    blocks = []
    for (layer, quantile), count in units.items():
        for start in range(0, count, step):
            block = range(start, min(start + step, count))
            blocks.append(UnitBlock(layer, quantile, block))
    return blocks
