"""What the engine counts: |M_k ∩ L_c|, |M_k| and |L_c| over the probe data set. Parts add up, whatever the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from nd_plugin.geometry import Geometry, Size
from nd_plugin.tally import Counts, Labels
from nd_plugin.tiles import every_pixel, lit_runs
from nd_plugin.types import ConceptSet


@dataclass(frozen=True)
class Scenes:
    """The annotations of some images whose masks have one size, ready to be counted against.

    Labels are places among the concepts that occur in these images, so that a count for each of them is small.
    """

    size: Size
    planes: Tensor  # (plane, image * row * column) int32, 1 + place, 0 for none
    whole: Tensor  # (label, image) int64, 1 + place, 0 for none: concepts of every pixel
    concepts: Tensor  # (place,) int64, indices into the vocabulary
    categories: Tensor  # (image, category) bool, which the image has

    @classmethod
    def of(cls, images: Sequence[Labels], category_of: Counts, categories: int, device: torch.device) -> Scenes:
        """Of at least one image; ``category_of`` (concept,) holds the category of every concept."""
        concepts = np.unique(np.concatenate([labels.concepts for labels in images]))
        places = np.zeros(len(category_of) + 1, np.int32)
        places[concepts + 1] = np.arange(1, len(concepts) + 1)
        size, count = images[0].size, len(images)
        planes = np.zeros((max(len(labels.planes) for labels in images), count, size[0] * size[1]), np.int32)
        whole = np.zeros((max(len(labels.whole) for labels in images), count), np.int64)
        present = np.zeros((count, categories), np.bool_)
        for image, labels in enumerate(images):
            planes[: len(labels.planes), image] = places[labels.planes.reshape(len(labels.planes), size[0] * size[1])]
            whole[: len(labels.whole), image] = places[labels.whole + 1]
            present[image, category_of[labels.concepts]] = True
        tensors = (planes.reshape(len(planes), count * size[0] * size[1]), whole, concepts, present)
        return cls(size, *(torch.from_numpy(array).to(device) for array in tensors))


@dataclass
class ConceptCounts:
    """Areas that do not depend on any layer."""

    area: Counts  # (concept,) |L_c| in mask pixels
    images: Counts  # (category,) images that have the category

    @classmethod
    def none(cls, concepts: int, categories: int) -> ConceptCounts:
        """Nothing counted yet."""
        return cls(np.zeros(concepts, np.int64), np.zeros(categories, np.int64))

    def see(self, labels: Labels, category_of: Counts) -> None:
        """Count one image; ``category_of`` (concept,) holds the category of every concept."""
        self.area[labels.concepts] += labels.areas
        present = np.zeros(len(self.images), np.bool_)
        present[category_of[labels.concepts]] = True
        self.images += present

    def __add__(self, other: ConceptCounts) -> ConceptCounts:
        return ConceptCounts(self.area + other.area, self.images + other.images)


@dataclass
class UnitCounts:
    """The counts of one layer at one quantile. Threads may count into it side by side."""

    intersection: Tensor  # (unit, concept) int64, |M_k ∩ L_c|
    unit_area: Tensor  # (unit, category) int64, |M_k| over the images that have the category
    lock: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @classmethod
    def none(cls, units: int, concepts: int, categories: int, device: torch.device) -> UnitCounts:
        """Nothing counted yet."""
        return cls(*(torch.zeros(units, many, dtype=torch.int64, device=device) for many in (concepts, categories)))

    def see(
        self,
        images: Tensor,
        units: Tensor,
        maps: Tensor,
        thresholds: Tensor,
        geometry: Geometry,
        image: Size,
        scenes: Scenes,
    ) -> None:
        """Count ``maps`` (map, row, column) of ``units`` (map,) and ``images`` (map,), places among the scenes.

        ``thresholds`` are of all units, (unit,); ``image`` is the input size.
        """
        count, many = len(self.intersection), len(scenes.concepts) + 1
        found = torch.zeros(count * many, dtype=torch.int64, device=maps.device)
        areas = torch.zeros(len(maps), dtype=torch.int64, device=maps.device)
        pixels = scenes.size[0] * scenes.size[1]
        for runs in lit_runs(maps, thresholds[units], geometry, image, scenes.size):
            areas.index_add_(0, runs.maps, runs.lengths.long())
            offset = (images * pixels).int().index_select(0, runs.maps)
            row = (units * many).int().index_select(0, runs.maps)
            places, rows = every_pixel(runs.starts + offset, row, runs.lengths)
            for plane in scenes.planes:
                found += torch.bincount(plane.index_select(0, places) + rows, minlength=len(found))
        for label in scenes.whole:
            found.index_add_(0, units * many + label[images], areas)
        with self.lock:
            self.intersection[:, scenes.concepts] += found.view(count, many)[:, 1:]
            self.unit_area.index_add_(0, units, areas[:, None] * scenes.categories[images])

    def __add__(self, other: UnitCounts) -> UnitCounts:
        return UnitCounts(self.intersection + other.intersection, self.unit_area + other.unit_area)


def category_indices(concepts: ConceptSet) -> Counts:
    """The category of every concept, as an index; (concept,)."""
    return np.array([concepts.categories.index(c.category) for c in concepts.concepts], dtype=np.int64)
