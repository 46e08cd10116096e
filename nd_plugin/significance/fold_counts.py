"""Counts of a layer by fold: what resampling of images needs, without a second run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nd_plugin.errors import BadInput

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FoldCounts:
    """Counts of a layer by fold, random parts of the images of equal size.

    They add up to the Dissection's counts. Of the intersections, which are many, only those with
    pixels are stored.
    """

    # (entry,) ascending: (fold * units + unit) * concepts + concept
    pairs: Integers
    pixels: Integers  # (entry,) |M_k ∩ L_c| in the fold, positive
    # (fold, unit, category) |M_k| over the fold's images that have the category
    unit_area: Integers
    concept_area: Integers  # (fold, concept) |L_c|
    category_images: Integers  # (fold, category) images that have the category

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.unit_area)

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.unit_area.shape[1])

    @property
    def concepts(self) -> int:
        """Number of concepts."""
        return int(self.concept_area.shape[1])

    def weighted(
        self, weights: npt.ArrayLike
    ) -> tuple[Integers, Integers, Integers]:
        """Sum the folds, each as often as its weight says.

        ``weights`` (fold,) are integers: how often a resample has drawn each fold; 1 for all gives
        the counts of the Dissection. Returns the intersection (unit, concept), unit_area
        (unit, category) and concept_area (concept,). Raises BadInput for other weights.
        """
        multiples = self._checked(weights)
        layer_size = self.units * self.concepts
        intersection = np.zeros(layer_size, np.int64)
        fold_starts = np.arange(self.folds + 1) * layer_size
        entries = np.searchsorted(self.pairs, fold_starts)
        for fold in np.flatnonzero(multiples).tolist():
            of_fold = slice(entries[fold], entries[fold + 1])
            pairs = self.pairs[of_fold] - fold_starts[fold]
            # each pair once in a fold
            intersection[pairs] += multiples[fold] * self.pixels[of_fold]
        return (
            intersection.reshape(self.units, self.concepts),
            np.tensordot(multiples, self.unit_area, 1),
            np.tensordot(multiples, self.concept_area, 1),
        )

    def _checked(self, weights: npt.ArrayLike) -> Integers:
        multiples = np.asarray(weights)
        is_integer = np.issubdtype(multiples.dtype, np.integer)
        if not is_integer or multiples.shape != (self.folds,):
            raise BadInput(
                f"weights are {multiples.dtype}{multiples.shape}: "
                f"give an integer for each of the {self.folds} folds"
            )
        return multiples.astype(np.int64)
