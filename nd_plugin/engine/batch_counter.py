"""Counts of masks against annotations, batch by batch, in any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.candidates.sparse_maps import SparseMaps, peaks_of, sparsify
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.provenance import Skipped
from nd_plugin.engine.thresholds import CPU, UnitThresholds
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.annotations import Counts, LabelCombinations
from nd_plugin.method.counting import (
    AnnotationBatch,
    BatchCounts,
    ConceptCounts,
    UnitMaps,
    count_intersections,
)
from nd_plugin.method.numpy_on_cpu import true_indices
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.probe_data.batches import Batch, Feed
from nd_plugin.probe_data.items import PackedLabels
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.receptive_fields.geometry import Geometry, Size
from nd_plugin.significance.image_concepts import ImageConcepts
from nd_plugin.significance.sum_rows import SumRows, sum_rows

MAPS_AT_ONCE = 1024  # dense maps in memory
# counts of pixels in memory: maps * combinations of labels; units in folds * concepts
COUNTS_AT_ONCE = 2**24
MASK_PIXELS_AT_ONCE = 2**31 - 1  # in an `AnnotationBatch`, numbered in int32


@dataclass(frozen=True)
class Counter:
    """Everything that counting a batch needs, once the images have passed through the model."""

    feed: Feed
    # by layer; thresholds have one item for each quantile
    candidates: Mapping[str, Candidates]
    thresholds: Mapping[str, Sequence[UnitThresholds]]
    geometries: Mapping[str, Geometry]
    readable: AbstractSet[int]  # images that count
    pack_labels_of: AbstractSet[int] = frozenset()  # images, for reports
    fold_of: Counts | None = None  # (image,) of the probe data set; None: no folds

    @cached_property
    def category_of(self) -> Counts:
        """Category index of each concept, (concept,)."""
        return category_indices(self.feed.concepts)

    def decode_and_count(self, number: int) -> CountedBatch:
        """Decode the annotations of batch ``number`` and count it."""
        trim_memory()
        batch = self.feed.annotations(number, self.pack_labels_of)
        return self.count(self.feed.check_strict(batch), {})

    def count(
        self, batch: Batch, activations: Mapping[str, Tensor]
    ) -> CountedBatch:
        """Count a batch.

        ``activations`` (image, unit, row, column) are of layers whose maps were not stored, by
        layer.
        """
        with one_thread():
            return self._count(batch, activations)

    def _count(
        self, batch: Batch, activations: Mapping[str, Tensor]
    ) -> CountedBatch:
        sparse_maps = {
            layer: self._sparse_maps(layer, batch, activations)
            for layer in self.candidates
        }
        category_count = len(self.feed.concepts.categories)
        concept_counts = ConceptCounts.empty(len(self.category_of), category_count)
        image_concepts: list[ImageConcepts] = []
        unit_counts: dict[tuple[str, float], list[BatchCounts]] = {}
        for images, labels in _group_by_size(batch, self.readable):
            for image_labels in labels:
                concept_counts.update(image_labels, self.category_of)
            if self.feed.settings.is_by_image:
                image_concepts.append(_image_concepts(images, labels))
            annotations = AnnotationBatch.of(
                labels, self.category_of, category_count, CPU
            )
            for layer, maps in sparse_maps.items():
                for thresholds in self.thresholds[layer]:
                    counts = self._count_layer(
                        layer, maps, thresholds, images, annotations
                    )
                    unit_counts.setdefault((layer, thresholds.quantile), []).extend(
                        counts
                    )
        return CountedBatch(
            concept_counts,
            unit_counts,
            batch.skipped,
            batch.image_count,
            batch.annotation_remarks,
            packed_labels=batch.packed_labels,
            image_concepts=image_concepts,
        )

    def _sparse_maps(
        self, layer: str, batch: Batch, activations: Mapping[str, Tensor]
    ) -> SparseMaps:
        """Return a layer's maps of a batch: from activations, or else from stored candidates."""
        if layer in activations:
            return _sparsify(
                activations[layer].cpu(), batch.indices, self.thresholds[layer]
            )
        return self.candidates[layer].of(batch.number)

    def _count_layer(
        self,
        layer: str,
        maps: SparseMaps,
        thresholds: UnitThresholds,
        images: Tensor,
        annotations: AnnotationBatch,
    ) -> Iterator[BatchCounts]:
        """Count a layer's maps of ``images`` (image,), ascending, against their annotations.

        Yields all units; of units in folds, some at a time.
        """
        image_indices = torch.searchsorted(images, maps.images.long()).clamp(
            max=len(images) - 1
        )
        is_lit = maps.peaks > thresholds.values[maps.units]
        is_annotated = images[image_indices] == maps.images
        lit_maps = true_indices(is_lit & is_annotated)
        rows = sum_rows(
            maps.units[lit_maps].long(),
            maps.images[lit_maps],
            thresholds.values,
            self.fold_of,
        )
        grid = MaskGrid(
            self.geometries[layer], self.feed.preprocess.size, annotations.size
        )
        rows_at_once = max(COUNTS_AT_ONCE // (len(annotations.concepts) + 1), 1)
        for piece, which in rows.pieces(rows_at_once):
            counts = count_intersections(
                self._dense_pieces(
                    maps, lit_maps[which], piece, image_indices, annotations
                ),
                piece.thresholds,
                grid,
                annotations,
                len(self.category_of),
            )
            yield replace(counts, rows=piece.numbers)

    def _dense_pieces(
        self,
        maps: SparseMaps,
        lit_maps: Tensor,
        rows: SumRows,
        image_indices: Tensor,
        annotations: AnnotationBatch,
    ) -> Iterator[UnitMaps]:
        """Yield the maps with indices ``lit_maps`` (index,) as dense maps, some at a time.

        Their units are the ``rows`` that they are added up in.
        """
        if not len(lit_maps):
            return
        maps_within_counts = COUNTS_AT_ONCE // annotations.combinations_per_image
        piece_size = max(min(MAPS_AT_ONCE, maps_within_counts), 1)
        pieces = torch.split(lit_maps, piece_size)
        rows_of_pieces = torch.split(rows.row_of_map, piece_size)
        for piece, piece_rows in zip(pieces, rows_of_pieces, strict=True):
            yield UnitMaps(image_indices[piece], piece_rows, maps.maps(piece, CPU))


def _group_by_size(
    batch: Batch, readable: AbstractSet[int]
) -> Iterator[tuple[Tensor, list[LabelCombinations]]]:
    """Group the images of a batch that count by the size of their masks.

    A group has at most `MASK_PIXELS_AT_ONCE`. Yields images (image,), ascending, and their labels.
    """
    groups: dict[Size, list[tuple[int, LabelCombinations]]] = {}
    labelled_images = zip(batch.indices.tolist(), batch.labels, strict=True)
    for image, labels in sorted(labelled_images, key=lambda pair: pair[0]):
        if labels is not None and image in readable:
            groups.setdefault(labels.size, []).append((image, labels))
    for (rows, columns), pairs in groups.items():
        images_at_once = max(MASK_PIXELS_AT_ONCE // (rows * columns), 1)
        for start in range(0, len(pairs), images_at_once):
            group = pairs[start : start + images_at_once]
            images, labels_of_images = zip(*group, strict=True)
            yield (
                torch.from_numpy(np.array(images, np.int64)),
                list(labels_of_images),
            )


def _image_concepts(
    images: Tensor, labels: Sequence[LabelCombinations]
) -> ImageConcepts:
    """Return the concepts of ``images`` (image,), whose masks have one size."""
    return ImageConcepts.of(
        images.tolist(),
        labels[0].size,
        [image_labels.concepts for image_labels in labels],
        [image_labels.areas for image_labels in labels],
    )


def _sparsify(
    maps: Tensor, images: Tensor, thresholds: Sequence[UnitThresholds]
) -> SparseMaps:
    """Sparsify ``maps`` (image, unit, row, column) at each unit's lowest threshold."""
    values = torch.stack([at_quantile.values for at_quantile in thresholds])
    return sparsify(maps, images, peaks_of(maps), values.amin(0))


@dataclass(frozen=True)
class CountedBatch:
    """Counts of the images of a batch, or of some that follow each other."""

    areas: ConceptCounts
    # by layer and quantile
    units: Mapping[tuple[str, float], Sequence[BatchCounts]]
    skipped: Sequence[Skipped]
    image_count: int  # images, readable or not
    remarks: Remarks = field(default_factory=Remarks)  # on annotations
    batches: int = 1  # that were counted together
    # for reports, by image
    packed_labels: Mapping[int, PackedLabels] = field(default_factory=dict)
    # for folds and permutations; of those images that count
    image_concepts: Sequence[ImageConcepts] = ()


def category_indices(concepts: ConceptSet) -> Counts:
    """Return the category of each concept as an index; (concept,)."""
    return np.array(
        [
            concepts.categories.index(concept.category)
            for concept in concepts.concepts
        ],
        dtype=np.int64,
    )
