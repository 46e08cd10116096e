"""What the engine counts: |M_k ∩ L_c|, |M_k| and |L_c| over the probe data set. Parts add up, whatever the split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin.method.activation_masks import every_pixel, lit_runs
from nd_plugin.method.annotations import Counts, LabelCombinations, smallest
from nd_plugin.method.numpy_on_cpu import divide_indices, true_indices
from nd_plugin.receptive_fields.geometry import Geometry, Size


@dataclass(frozen=True)
class AnnotationBatch:
    """The annotations of some images whose masks have one size, ready to be counted against."""

    size: Size
    combinations: Tensor  # (image * row * column) int32, which labels each pixel carries together
    labels: Tensor  # (label, image * combination) int64, 1 + place, each at most once; 0 for none
    concepts: (
        Tensor  # (place,) int64, indices into the vocabulary: those that occur in these images
    )
    categories: Tensor  # (image, category) bool, which the image has

    @classmethod
    def of(
        cls,
        images: Sequence[LabelCombinations],
        category_of: Counts,
        categories: int,
        device: torch.device,
    ) -> AnnotationBatch:
        """Of at least one image; ``category_of`` (concept,) holds the category of every concept."""
        concepts = np.unique(np.concatenate([labels.concepts for labels in images]))
        places = np.zeros(len(category_of) + 1, np.int64)
        places[concepts + 1] = np.arange(1, len(concepts) + 1)
        size, count = images[0].size, len(images)
        most, at_once = (max(labels.members.shape[axis] for labels in images) for axis in (0, 1))
        combinations = np.empty((count, *size), np.int32)
        members = np.zeros((at_once, count, most), np.int64)
        present = np.zeros((count, categories), np.bool_)
        for image, labels in enumerate(images):
            combinations[image] = labels.combinations
            members[: labels.members.shape[1], image, : len(labels.members)] = places[
                labels.members.T
            ]
            present[image, category_of[labels.concepts]] = True
        arrays = (combinations.ravel(), members.reshape(at_once, count * most), concepts, present)
        return cls(size, *(torch.from_numpy(array).to(device) for array in arrays))

    @property
    def most(self) -> int:
        """Combinations of labels in one image."""
        return self.labels.shape[1] // len(self.categories)


@dataclass
class ConceptCounts:
    """Areas that do not depend on any layer."""

    area: Counts  # (concept,) |L_c| in mask pixels
    images: Counts  # (category,) images that have the category

    @classmethod
    def empty(cls, concepts: int, categories: int) -> ConceptCounts:
        """Nothing counted yet."""
        return cls(np.zeros(concepts, np.int64), np.zeros(categories, np.int64))

    def update(self, labels: LabelCombinations, category_of: Counts) -> None:
        """Count one image; ``category_of`` (concept,) holds the category of every concept."""
        self.area[labels.concepts] += labels.areas
        present = np.zeros(len(self.images), np.bool_)
        present[category_of[labels.concepts]] = True
        self.images += present

    def __add__(self, other: ConceptCounts) -> ConceptCounts:
        return ConceptCounts(self.area + other.area, self.images + other.images)


@dataclass(frozen=True)
class BatchCounts:
    """What the masks of one layer at one quantile share with the annotations of some images; small, to be sent."""

    pairs: npt.NDArray[
        np.integer[Any]
    ]  # (pair,) unit * concepts + concept, ascending: those that share any pixel
    pixels: npt.NDArray[np.integer[Any]]  # (pair,) |M_k ∩ L_c|
    areas: Counts  # (unit, category) |M_k| over the images that have the category


def count_intersections(
    pieces: Iterable[tuple[Tensor, Tensor, Tensor]],
    thresholds: Tensor,
    geometry: Geometry,
    image: Size,
    scenes: AnnotationBatch,
    concepts: int,
) -> BatchCounts:
    """Count maps, given in ``pieces``: their places among the scenes and their units (map,), (map, row, column).

    ``thresholds`` are of all units, (unit,); ``image`` is the input size, ``concepts`` the size of the vocabulary.
    """
    units, (many, categories) = len(thresholds), (len(scenes.concepts), scenes.categories.shape[1])
    found = torch.zeros(units * (many + 1), dtype=torch.int64, device=thresholds.device)
    areas = torch.zeros(units, categories, dtype=torch.int64, device=thresholds.device)
    for images, its_units, maps in pieces:
        lit = _by_combination(images, maps, thresholds[its_units], geometry, image, scenes)
        areas.index_add_(0, its_units, lit.sum(1)[:, None] * scenes.categories[images])
        some = true_indices(lit > 0)
        map_, combination = divide_indices(some, scenes.most)
        place, row, pixels = (
            images[map_] * scenes.most + combination,
            its_units[map_] * (many + 1),
            lit.flatten()[some],
        )
        for labels in scenes.labels:
            found.index_add_(0, row + labels[place], pixels)
    unit, place = found.view(units, -1)[:, 1:].nonzero().T
    pairs, pixels = unit * concepts + scenes.concepts[place], found.view(units, -1)[unit, place + 1]
    return BatchCounts(
        smallest(pairs.cpu().numpy()), smallest(pixels.cpu().numpy()), areas.cpu().numpy()
    )


def _by_combination(
    images: Tensor,
    maps: Tensor,
    thresholds: Tensor,
    geometry: Geometry,
    image: Size,
    scenes: AnnotationBatch,
) -> Tensor:
    """Pixels of each map by the combination of labels that they carry, (map, combination); ``thresholds`` (map,)."""
    most, pixels = scenes.most, scenes.size[0] * scenes.size[1]
    lit = torch.zeros(len(maps) * most, dtype=torch.int64, device=maps.device)
    own, offsets = (
        (torch.arange(len(maps), device=maps.device) * most).int(),
        (images * pixels).int(),
    )
    for runs in lit_runs(maps, thresholds, geometry, image, scenes.size):
        starts = runs.starts + offsets.index_select(0, runs.maps)
        places, rows = every_pixel(starts, own.index_select(0, runs.maps), runs.lengths)
        lit += torch.bincount(
            scenes.combinations.index_select(0, places) + rows, minlength=len(lit)
        )
    return lit.view(-1, most)


@dataclass
class UnitCounts:
    """The counts of one layer at one quantile."""

    intersection: Tensor  # (unit, concept) int64, |M_k ∩ L_c|
    unit_area: Tensor  # (unit, category) int64, |M_k| over the images that have the category

    @classmethod
    def empty(cls, units: int, concepts: int, categories: int) -> UnitCounts:
        """Nothing counted yet."""
        return cls(
            *(
                torch.zeros(units, many, dtype=torch.int64, device="cpu")
                for many in (concepts, categories)
            )
        )

    def update(self, found: BatchCounts) -> None:
        """Count some images."""
        self.intersection.view(-1).numpy()[found.pairs] += found.pixels
        self.unit_area += torch.from_numpy(found.areas)

    def __add__(self, other: UnitCounts) -> UnitCounts:
        return UnitCounts(self.intersection + other.intersection, self.unit_area + other.unit_area)
