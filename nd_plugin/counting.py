"""What the engine counts: |M_k ∩ L_c|, |M_k| and |L_c| over the probe data set. Parts add up, whatever the split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin.geometry import Geometry, Size
from nd_plugin.tally import annotation_masks, tally
from nd_plugin.types import ConceptSet
from nd_plugin.upsample import upsample

AT_ONCE = 2**24  # upsampled pixels in memory at a time
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scene:
    """The annotation of one image, ready to be counted against: the concepts present and their masks."""

    concepts: Counts  # (concept,) indices into the vocabulary, ascending
    categories: Counts  # (category,) indices of the categories the image has
    masks: Tensor  # (concept, row, column) bool

    @classmethod
    def of(cls, planes: npt.NDArray[np.int32], category_of: Counts, device: torch.device) -> Scene:
        """Of planes (plane, row, column); ``category_of`` (concept,) holds the category of every concept."""
        present, masks = annotation_masks(planes)
        return cls(present, np.unique(category_of[present]), torch.from_numpy(masks).to(device))

    @property
    def size(self) -> Size:
        """Of the masks."""
        return int(self.masks.shape[1]), int(self.masks.shape[2])


@dataclass
class ConceptCounts:
    """Areas that do not depend on any layer."""

    area: Counts  # (concept,) |L_c| in mask pixels
    images: Counts  # (category,) images that have the category

    @classmethod
    def none(cls, concepts: int, categories: int) -> ConceptCounts:
        """Nothing counted yet."""
        return cls(np.zeros(concepts, np.int64), np.zeros(categories, np.int64))

    def see(self, scene: Scene) -> None:
        """Count one image."""
        self.area[scene.concepts] += scene.masks.sum((1, 2)).cpu().numpy()
        self.images[scene.categories] += 1

    def __add__(self, other: ConceptCounts) -> ConceptCounts:
        return ConceptCounts(self.area + other.area, self.images + other.images)


@dataclass
class UnitCounts:
    """The counts of one layer."""

    intersection: Counts  # (unit, concept) |M_k ∩ L_c|
    unit_area: Counts  # (unit, category) |M_k| over the images that have the category

    @classmethod
    def none(cls, units: int, concepts: int, categories: int) -> UnitCounts:
        """Nothing counted yet."""
        return cls(np.zeros((units, concepts), np.int64), np.zeros((units, categories), np.int64))

    def see(
        self, units: Tensor, maps: Tensor, thresholds: Tensor, geometry: Geometry, image: Size, scene: Scene
    ) -> None:
        """Count one image: ``maps`` (map, row, column) of ``units`` (map,), ``thresholds`` of all (unit,).

        ``image`` is the input size. Interpolation never leaves the range of a map, so only maps with a value above
        their unit's threshold are looked at.
        """
        lit = maps.amax((1, 2)) > thresholds[units]
        if scene.concepts.size == 0 or not bool(lit.any()):
            return
        at_once = max(AT_ONCE // (scene.size[0] * scene.size[1]), 1)
        for some in torch.split(lit.nonzero()[:, 0], at_once):
            raised = upsample(maps[some], geometry, image, scene.size)
            intersection, area = tally(raised > thresholds[units[some], None, None], scene.masks)
            rows = units[some].cpu().numpy()[:, None]
            self.intersection[rows, scene.concepts] += intersection.cpu().numpy()
            self.unit_area[rows, scene.categories] += area.cpu().numpy()[:, None]

    def __add__(self, other: UnitCounts) -> UnitCounts:
        return UnitCounts(self.intersection + other.intersection, self.unit_area + other.unit_area)


def category_indices(concepts: ConceptSet) -> Counts:
    """The category of every concept, as an index; (concept,)."""
    return np.array([concepts.categories.index(c.category) for c in concepts.concepts], dtype=np.int64)
