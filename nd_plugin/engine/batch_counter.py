"""Masks against annotations, batch by batch, in whatever process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.sparse_maps import SparseMaps, sparsify
from nd_plugin.engine.thresholds import UnitThresholds
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.annotations import Counts, LabelCombinations
from nd_plugin.method.counting import (
    AnnotationBatch,
    BatchCounts,
    ConceptCounts,
    count_intersections,
)
from nd_plugin.method.numpy_on_cpu import true_indices
from nd_plugin.probe_data.batches import Batch, Feed
from nd_plugin.receptive_fields.geometry import Geometry, Size

AT_ONCE = 1024  # maps in memory at a time


PIXELS = 2**31 - 1  # and of the images that they are of


COUNTS = 2**24  # and no more numbers of pixels, by map and combination of labels


@dataclass(frozen=True)
class Counter:
    """What it takes to count a batch: all that the pass over the images has left."""

    feed: Feed
    candidates: Mapping[str, Candidates]  # by layer
    thresholds: Mapping[str, Sequence[UnitThresholds]]
    geometries: Mapping[str, Geometry]
    readable: AbstractSet[int]  # images that count
    device: torch.device

    @cached_property
    def category_of(self) -> Counts:
        """(concept,)"""
        return category_indices(self.feed.concepts)

    def decode_and_count(self, number: int) -> CountedBatch:
        """Count the batch of that number."""
        trim_memory()
        return self.count(self.feed.checked(self.feed.annotations(number)), {})

    def count(self, batch: Batch, activations: Mapping[str, Tensor]) -> CountedBatch:
        """Count a batch; ``activations`` (image, unit, row, column) are of layers whose maps are not kept."""
        with one_thread():
            return self._counted(batch, activations)

    def _counted(self, batch: Batch, activations: Mapping[str, Tensor]) -> CountedBatch:
        kept = {
            layer: _above(self.thresholds[layer], activations[layer], batch.indices)
            if layer in activations
            else candidates.of(batch.number)
            for layer, candidates in self.candidates.items()
        }
        categories = len(self.feed.concepts.categories)
        areas = ConceptCounts.empty(len(self.category_of), categories)
        units: dict[tuple[str, float], list[BatchCounts]] = {}
        for images, labels in _by_size(batch, self.readable):
            for one in labels:
                areas.update(one, self.category_of)
            scenes = AnnotationBatch.of(labels, self.category_of, categories, self.device)
            for layer, maps in kept.items():
                for at in self.thresholds[layer]:
                    units.setdefault((layer, at.quantile), []).append(
                        self._shared(layer, maps, at, images, scenes)
                    )
        return CountedBatch(areas, units, batch.skipped, batch.seen)

    def _shared(
        self,
        layer: str,
        kept: SparseMaps,
        at: UnitThresholds,
        images: Tensor,
        scenes: AnnotationBatch,
    ) -> BatchCounts:
        """What the maps share with the scenes of ``images`` (image,)."""
        place = torch.searchsorted(images, kept.images.long()).clamp(max=len(images) - 1)
        mine = true_indices((kept.peaks > at.values[kept.units]) & (images[place] == kept.images))
        pieces = (
            (
                place[some].to(self.device),
                kept.units[some].long().to(self.device),
                kept.maps(some, self.device),
            )
            for some in (
                torch.split(mine, max(min(AT_ONCE, COUNTS // scenes.most), 1)) if len(mine) else ()
            )
        )
        values, image = at.values.to(self.device), self.feed.preprocess.size
        return count_intersections(
            pieces, values, self.geometries[layer], image, scenes, len(self.category_of)
        )


def _by_size(
    batch: Batch, readable: AbstractSet[int]
) -> Iterator[tuple[Tensor, list[LabelCombinations]]]:
    """The images of a batch that count, ascending, and their labels, apart by the size of their masks.

    No more at a time than have pixels that int32 numbers.
    """
    groups: dict[Size, list[tuple[int, LabelCombinations]]] = {}
    for image, labels in sorted(
        zip(batch.indices.tolist(), batch.labels, strict=True), key=lambda pair: pair[0]
    ):
        if labels is not None and image in readable:
            groups.setdefault(labels.size, []).append((image, labels))
    for (rows, columns), every in groups.items():
        at_once = max(PIXELS // (rows * columns), 1)
        for group in (every[start : start + at_once] for start in range(0, len(every), at_once)):
            yield (
                torch.from_numpy(np.array([image for image, _ in group], np.int64)),
                [labels for _, labels in group],
            )


def _above(found: Sequence[UnitThresholds], maps: Tensor, images: Tensor) -> SparseMaps:
    """What exceeds any threshold of ``maps`` (image, unit, row, column) of ``images`` (image,)."""
    lowest = torch.stack([at.values for at in found]).amin(0).to(maps.device)
    return sparsify(maps, images.to(maps.device), maps.flatten(2).amax(2), lowest)


@dataclass(frozen=True)
class CountedBatch:
    """What the images of one batch add to the counts."""

    areas: ConceptCounts
    units: Mapping[tuple[str, float], Sequence[BatchCounts]]  # by layer and quantile
    skipped: Sequence[Skipped]
    seen: int  # images, readable or not


def category_indices(concepts: ConceptSet) -> Counts:
    """The category of every concept, as an index; (concept,)."""
    return np.array(
        [concepts.categories.index(c.category) for c in concepts.concepts], dtype=np.int64
    )
