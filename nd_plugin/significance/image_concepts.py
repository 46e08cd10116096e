"""Concepts of single images: what folds and permutations need to know of the annotations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from nd_plugin.receptive_fields.geometry import Size

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageConcepts:
    """Sizes of the masks and areas of the concepts of images that count, one after the other."""

    images: Integers  # (image,) indices into the probe data set
    sizes: Integers  # (image, 2) rows and columns of the masks
    concept_counts: Integers  # (image,) concepts of the image
    concepts: Integers  # (concept of an image,) image after image
    areas: Integers  # (concept of an image,) |L_c| in the image, pixels

    @classmethod
    def of(
        cls,
        images: Sequence[int],
        size: Size,
        concepts: Sequence[Integers],
        areas: Sequence[Integers],
    ) -> ImageConcepts:
        """Join ``concepts`` and ``areas`` of images whose masks have one ``size``."""
        return cls(
            np.array(images, np.int64),
            np.array([size] * len(images), np.int64).reshape(-1, 2),
            np.array([len(of_image) for of_image in concepts], np.int64),
            _joined(concepts),
            _joined(areas),
        )

    @classmethod
    def joined(cls, parts: Iterable[ImageConcepts]) -> ImageConcepts:
        """Join the images of all parts, in the order of their indices."""
        nothing = cls.of([], (0, 0), [], [])
        all_parts = [nothing, *parts]
        columns = [
            np.concatenate([getattr(part, field.name) for part in all_parts])
            for field in fields(cls)
        ]
        return cls(*columns)._sorted()

    def _sorted(self) -> ImageConcepts:
        order = np.argsort(self.images, kind="stable")
        owners = np.arange(len(self.images)).repeat(self.concept_counts)
        rank_of = np.empty_like(order)
        rank_of[order] = np.arange(len(order))
        entries = np.argsort(rank_of[owners], kind="stable")
        return ImageConcepts(
            self.images[order],
            self.sizes[order],
            self.concept_counts[order],
            self.concepts[entries],
            self.areas[entries],
        )

    def has_category(
        self, category_of: Integers, categories: int
    ) -> npt.NDArray[np.bool_]:
        """Return which categories each image has, (image, category).

        ``category_of`` (concept,) is the index of each concept's category.
        """
        present = np.zeros((len(self.images), categories), np.bool_)
        owners = np.arange(len(self.images)).repeat(self.concept_counts)
        present[owners, category_of[self.concepts]] = True
        return present

    def count_by_fold(
        self, fold_of: Integers, folds: int, category_of: Integers, categories: int
    ) -> tuple[Integers, Integers]:
        """Count by fold: |L_c| (fold, concept), and images that have a category (fold, category).

        ``fold_of`` (image,) is of the whole probe data set.
        """
        folds_of_images = fold_of[self.images]
        concept_area = np.zeros((folds, len(category_of)), np.int64)
        folds_of_entries = folds_of_images.repeat(self.concept_counts)
        np.add.at(concept_area, (folds_of_entries, self.concepts), self.areas)
        category_images = np.zeros((folds, categories), np.int64)
        present = self.has_category(category_of, categories)
        np.add.at(category_images, folds_of_images, present)
        return concept_area, category_images


def _joined(parts: Sequence[Integers]) -> Integers:
    nothing = np.zeros(0, np.int64)
    return np.concatenate([nothing, *parts]).astype(np.int64)
