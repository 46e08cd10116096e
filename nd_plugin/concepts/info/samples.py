"""Samples of a concept set for its sample sheet: images, and the pixels of one concept in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.concepts.info.image_labels import LabelReader
from nd_plugin.concepts.info.set_statistics import (
    CategoryStatistics,
    ConceptStatistics,
    SetStatistics,
    even_choice,
)
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.set_checks import read_image
from nd_plugin.errors import BadInput, NDError
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.pictures.pixel_limit import pixel_limit
from nd_plugin.pictures.small_pictures import small_size
from nd_plugin.probe_data.grey_sample import GreySample
from nd_plugin.report.mask_overlays import resized_mask

MOST_CATEGORIES = 12  # of a sheet that fits a page


@dataclass(frozen=True, eq=False)
class Sample:
    """Image of a concept."""

    name: str  # of the concept
    samples: int  # images that have it
    picture: npt.NDArray[np.uint8]  # (row, column, 3), small
    mask: npt.NDArray[np.bool_]  # (row, column) of the picture: L_c


def check_sheet(concepts: ConceptSet) -> None:
    """Raise BadInput for a set with more categories than a sheet shows."""
    if len(concepts.categories) > MOST_CATEGORIES:
        raise BadInput(
            f"a sample sheet shows up to {MOST_CATEGORIES} categories, and "
            f"{concepts.identity.source} has {len(concepts.categories)}: select some of them, "
            "SET[category,category]"
        )


class SampleReader:
    """Reader of the images and masks of a sample sheet; an image is shown once where it can be."""

    def __init__(self, concepts: ConceptSet, max_pixels: int | None = None) -> None:
        self._concepts = concepts
        self._max_pixels = max_pixels
        self._labels = LabelReader(concepts, max_pixels)
        self._grey_sample = GreySample(concepts)
        self._index_of = {
            concept: index for index, concept in enumerate(concepts.concepts)
        }
        self._shown: set[int] = set()

    def read(
        self, statistics: SetStatistics, per_category: int
    ) -> list[tuple[CategoryStatistics, list[Sample]]]:
        """Return the samples of each category, from its most frequent concept to its rarest.

        Categories without a sample are left out, and images that cannot be read.
        """
        sheet = []
        for category in statistics.categories:
            chosen = even_choice(category.by_frequency, per_category)
            samples = [self._sample(concept) for concept in chosen]
            readable = [sample for sample in samples if sample is not None]
            if readable:
                sheet.append((category, readable))
        return sheet

    def _sample(self, statistics: ConceptStatistics) -> Sample | None:
        """Return the best view of a concept that is not shown yet; None if none can be read."""
        views = sorted(statistics.views, key=lambda image: image in self._shown)
        concept = self._index_of[statistics.concept]
        for image in views:
            picture = self._picture(image)
            labels = self._labels.combinations(image)
            if picture is not None and labels is not None:
                self._shown.add(image)
                rows, columns, _ = picture.shape
                mask = resized_mask(mask_of(labels, concept), rows, columns)
                name = statistics.concept.name
                return Sample(name, statistics.samples, picture, mask)
        return None

    def _picture(self, image: int) -> npt.NDArray[np.uint8] | None:
        """Return an image as the host sees it, small; None for one that cannot be read."""
        try:
            with pixel_limit(self._max_pixels):
                decoded = read_image(self._concepts, image)
                rgb = convert_picture(decoded, self._grey_sample.choose_range).rgb
        except (NDError, MemoryError):
            raise
        except (
            Exception
        ):  # a concept set may raise anything; nd concepts check says what
            return None
        size = small_size(rgb.size)
        return np.asarray(rgb.resize(size, Image.Resampling.BILINEAR))


def mask_of(labels: LabelCombinations, concept: int) -> npt.NDArray[np.bool_]:
    """Return L_c of an image: the pixels that carry a concept, in any plane."""
    has_concept = (labels.members == concept + 1).any(axis=1)
    mask: npt.NDArray[np.bool_] = has_concept[labels.combinations]
    return mask
