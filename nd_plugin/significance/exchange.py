"""Images whose annotations may be exchanged, and permutations of these.

Under the null hypothesis a unit knows nothing of what an image's annotation says, beyond what all
images of its stratum share. Whole annotations are exchanged, so that concepts that occur together
stay together, and only within a stratum, so that |M_k| and |L_c| of equation 1 stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nd_plugin.significance.image_concepts import ImageConcepts
from nd_plugin.significance.random_numbers import PERMUTATIONS, random_state

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Strata:
    """Strata of the images that have a concept: masks of one size, and the same categories."""

    images: Integers  # (image,) ascending, indices into the probe data set
    sizes: Integers  # (image, 2) rows and columns of the masks
    stratum_of: Integers  # (image,) number of the image's stratum

    @classmethod
    def of(
        cls, images: ImageConcepts, category_of: Integers, categories: int
    ) -> Strata:
        """Divide images into strata; ``category_of`` (concept,) are indices of categories."""
        by_index = ImageConcepts.joined([images])
        has_category = by_index.has_category(category_of, categories)
        counts = has_category.any(1)
        features = np.concatenate([by_index.sizes, has_category], axis=1)[counts]
        stratum_of = np.zeros(len(features), np.int64)
        if len(features):
            _, inverse = np.unique(features, axis=0, return_inverse=True)
            stratum_of = inverse.reshape(-1).astype(np.int64)
        return cls(by_index.images[counts], by_index.sizes[counts], stratum_of)

    @property
    def fixed_images(self) -> int:
        """Number of images that are alone in their stratum."""
        return int((np.bincount(self.stratum_of) == 1).sum())

    @cached_property
    def _by_stratum(self) -> Integers:
        """Rows of the images, stratum after stratum; (image,)."""
        return np.argsort(self.stratum_of, kind="stable")

    def permute(self, seed: int, number: int) -> Integers:
        """Return the row whose annotation each image gets in a permutation; (image,).

        Each permutation of a stratum is equally likely. It depends on the seed, its number, and the
        images and their strata, and on nothing else of the run.
        """
        draws = random_state(seed, PERMUTATIONS, number).random_sample(
            len(self.images)
        )
        partners = np.empty(len(self.images), np.int64)
        partners[self._by_stratum] = np.lexsort((draws, self.stratum_of))
        return partners

    def permutations(self, seed: int, count: int) -> npt.NDArray[np.int32]:
        """Return `permute` of all permutations, (image, permutation)."""
        columns = np.empty((len(self.images), count), np.int32)
        for number in range(count):
            columns[:, number] = self.permute(seed, number)
        return columns
