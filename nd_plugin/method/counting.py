"""Counts of equation 1: |M_k ∩ L_c|, |M_k| and |L_c| over the probe data set.

Counts of parts of the data set add up to the counts of the whole, however it is split.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nd_plugin.method.activation_masks import expand_runs, find_lit_runs
from nd_plugin.method.annotations import (
    Counts,
    Integers,
    LabelCombinations,
    to_smallest_type,
)
from nd_plugin.method.numpy_on_cpu import divide_indices, true_indices
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.receptive_fields.geometry import Size


@dataclass(frozen=True)
class AnnotationBatch:
    """Annotations of some images whose masks have one size, ready to be counted against.

    A slot is an index into ``concepts``, plus 1; slot 0 stands for no label.
    """

    size: Size
    combinations: Tensor  # (image * row * column) int32, indices in each image
    labels: Tensor  # (label, image * combination) int64, slots, each at most once
    concepts: Tensor  # (concept,) int64, those in these images, of the vocabulary
    categories: Tensor  # (image, category) bool, which the image has

    @classmethod
    def of(
        cls,
        images: Sequence[LabelCombinations],
        category_of: Counts,
        categories: int,
        device: torch.device,
    ) -> AnnotationBatch:
        """Join the annotations of at least one image; ``category_of`` (concept,)."""
        size = images[0].size
        concepts = np.unique(np.concatenate([image.concepts for image in images]))
        slot_of = np.zeros(len(category_of) + 1, np.int64)  # by label, 1 + concept
        slot_of[concepts + 1] = np.arange(1, len(concepts) + 1)
        image_count = len(images)
        combination_count = max(len(image.members) for image in images)
        label_count = max(image.members.shape[1] for image in images)
        combinations = np.empty((image_count, *size), np.int32)
        labels = np.zeros((label_count, image_count, combination_count), np.int64)
        present = np.zeros((image_count, categories), np.bool_)
        for index, image in enumerate(images):
            combinations[index] = image.combinations
            slots = slot_of[image.members.T]
            labels[: len(slots), index, : len(image.members)] = slots
            present[index, category_of[image.concepts]] = True
        flat_labels = labels.reshape(label_count, image_count * combination_count)
        return cls(
            size,
            torch.from_numpy(combinations.ravel()).to(device),
            torch.from_numpy(flat_labels).to(device),
            torch.from_numpy(concepts).to(device),
            torch.from_numpy(present).to(device),
        )

    @property
    def combinations_per_image(self) -> int:
        """Largest number of combinations of labels in an image."""
        return self.labels.shape[1] // len(self.categories)


@dataclass
class ConceptCounts:
    """Counts of annotations, which do not depend on any layer."""

    area: Counts  # (concept,) |L_c| in mask pixels
    images: Counts  # (category,) images that have the category
    # (category,) mask pixels of these images; None: an earlier version has begun to count
    pixels: Counts | None

    @classmethod
    def empty(cls, concepts: int, categories: int) -> ConceptCounts:
        """Return the counts of no image."""
        return cls(
            np.zeros(concepts, np.int64),
            np.zeros(categories, np.int64),
            np.zeros(categories, np.int64),
        )

    def update(self, labels: LabelCombinations, category_of: Counts) -> None:
        """Count one image; ``category_of`` (concept,)."""
        self.area[labels.concepts] += labels.areas
        present = np.zeros(len(self.images), np.bool_)
        present[category_of[labels.concepts]] = True
        self._add_images(present.astype(np.int64), labels.combinations.size)

    def update_images(
        self,
        concepts: Counts,
        areas: Counts,
        concept_counts: Counts,
        category_of: Counts,
        mask_pixels: int,
    ) -> None:
        """Count several images, whose ``concepts`` and ``areas`` follow each other.

        ``concept_counts`` (image,) tells how many of them are an image's. Each mask has
        ``mask_pixels``.
        """
        np.add.at(self.area, concepts, areas)
        present = np.zeros((len(concept_counts), len(self.images)), np.bool_)
        image = np.arange(len(concept_counts)).repeat(concept_counts)
        present[image, category_of[concepts]] = True
        self._add_images(present.sum(0), mask_pixels)

    def _add_images(self, images: Counts, mask_pixels: int) -> None:
        """Add ``images`` (category,) that have each category, with masks of one size."""
        self.images += images
        if self.pixels is not None:
            self.pixels += images * mask_pixels

    def __add__(self, other: ConceptCounts) -> ConceptCounts:
        pixels = None
        if self.pixels is not None and other.pixels is not None:
            pixels = self.pixels + other.pixels
        return ConceptCounts(
            self.area + other.area, self.images + other.images, pixels
        )


@dataclass(frozen=True)
class UnitMaps:
    """Activation maps of some units in some images, in any order."""

    images: Tensor  # (map,) int64, index into an `AnnotationBatch`
    units: Tensor  # (map,) int64
    maps: Tensor  # (map, row, column)


@dataclass(frozen=True)
class BatchCounts:
    """Counts of one layer at one quantile over some images; small, to be sent between processes.

    A row is a unit. Where images are counted by fold, it is a unit in a fold, and ``rows`` tells
    which.
    """

    pairs: Integers  # (pair,) row * concepts + concept, ascending: those that share any pixel
    pixels: Integers  # (pair,) |M_k ∩ L_c|
    areas: Counts  # (row, category) |M_k| over the images that have the category
    # (row,) fold * units + unit, ascending; None: the rows are the units
    rows: Counts | None = None


def count_intersections(
    pieces: Iterable[UnitMaps],
    thresholds: Tensor,
    grid: MaskGrid,
    annotations: AnnotationBatch,
    concept_count: int,
) -> BatchCounts:
    """Count masks of maps against annotations.

    ``thresholds`` (unit,) are of all units; ``grid.mask`` is the annotations' size;
    ``concept_count`` is the size of the vocabulary.
    """
    unit_count = len(thresholds)
    slot_count = len(annotations.concepts) + 1
    category_count = annotations.categories.shape[1]
    device = thresholds.device
    intersections = torch.zeros(
        unit_count * slot_count, dtype=torch.int64, device=device
    )
    areas = torch.zeros(
        unit_count, category_count, dtype=torch.int64, device=device
    )
    for piece in pieces:
        lit_pixels = _count_by_combination(
            piece, thresholds[piece.units], grid, annotations
        )
        has_category = annotations.categories[piece.images]
        areas.index_add_(0, piece.units, lit_pixels.sum(1)[:, None] * has_category)
        _add_intersections(intersections, lit_pixels, piece, annotations)
    table = intersections.view(unit_count, slot_count)
    units, concept_indices = table[:, 1:].nonzero().T
    pairs = units * concept_count + annotations.concepts[concept_indices]
    pixels = table[units, concept_indices + 1]
    return BatchCounts(
        to_smallest_type(pairs.cpu().numpy()),
        to_smallest_type(pixels.cpu().numpy()),
        areas.cpu().numpy(),
    )


def _count_by_combination(
    piece: UnitMaps,
    thresholds: Tensor,
    grid: MaskGrid,
    annotations: AnnotationBatch,
) -> Tensor:
    """Count the lit pixels of each map by the pixels' combination of labels; ``thresholds`` (map,).

    Returns (map, combination) int64.

    Plain version, for one map: ``bincount(combinations[upsample(map) > threshold])``. Here one
    `bincount` serves all maps: each adds its index times the number of combinations.
    """
    map_count = len(piece.maps)
    combination_count = annotations.combinations_per_image
    mask_pixels = annotations.size[0] * annotations.size[1]
    device = piece.maps.device
    lit_pixels = torch.zeros(
        map_count * combination_count, dtype=torch.int64, device=device
    )
    map_offsets = (torch.arange(map_count, device=device) * combination_count).int()
    image_offsets = (piece.images * mask_pixels).int()
    for runs in find_lit_runs(piece.maps, thresholds, grid):
        starts = runs.starts + image_offsets.index_select(0, runs.map_index)
        run_offsets = map_offsets.index_select(0, runs.map_index)
        pixels, pixel_offsets = expand_runs(starts, run_offsets, runs.lengths)
        combinations = annotations.combinations.index_select(0, pixels)
        lit_pixels += torch.bincount(
            combinations + pixel_offsets, minlength=len(lit_pixels)
        )
    return lit_pixels.view(-1, combination_count)


def _add_intersections(
    intersections: Tensor,
    lit_pixels: Tensor,
    piece: UnitMaps,
    annotations: AnnotationBatch,
) -> None:
    """Add ``lit_pixels`` (map, combination) to ``intersections`` (unit * slot), label by label."""
    combination_count = annotations.combinations_per_image
    slot_count = len(annotations.concepts) + 1
    nonzero = true_indices(lit_pixels > 0)
    map_index, combination = divide_indices(nonzero, combination_count)
    column = piece.images[map_index] * combination_count + combination
    row_start = piece.units[map_index] * slot_count
    pixels = lit_pixels.flatten()[nonzero]
    for slots in annotations.labels:
        intersections.index_add_(0, row_start + slots[column], pixels)


@dataclass
class UnitCounts:
    """Counts of one layer at one quantile."""

    intersection: Tensor  # (unit, concept) int64, |M_k ∩ L_c|
    unit_area: Tensor  # (unit, category) int64, |M_k| in images with the category

    @classmethod
    def empty(cls, units: int, concepts: int, categories: int) -> UnitCounts:
        """Return the counts of no image."""
        return cls(
            torch.zeros(units, concepts, dtype=torch.int64, device="cpu"),
            torch.zeros(units, categories, dtype=torch.int64, device="cpu"),
        )

    def update(self, batch: BatchCounts) -> None:
        """Add the counts of some images."""
        self.intersection.view(-1).numpy()[batch.pairs] += batch.pixels
        self.unit_area += torch.from_numpy(batch.areas)

    def __add__(self, other: UnitCounts) -> UnitCounts:
        return UnitCounts(
            self.intersection + other.intersection, self.unit_area + other.unit_area
        )
