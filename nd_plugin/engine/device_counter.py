"""Counts of masks against annotations on the model's device, many batches at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import chain
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor

from nd_plugin.accelerator.annotations import DeviceAnnotations
from nd_plugin.accelerator.batch_annotations import (
    BatchAnnotations,
    annotations_on,
)
from nd_plugin.accelerator.device_memory import DeviceMemory
from nd_plugin.accelerator.intersections import UnitSums
from nd_plugin.accelerator.map_counts import LitMaps, MapCounter
from nd_plugin.candidates.device_maps import JoinedMaps, sparsify_batches
from nd_plugin.candidates.sparse_maps import PendingMaps, SparseMaps
from nd_plugin.engine.batch_counter import CountedBatch
from nd_plugin.engine.part_run import PartRun, ThresholdsByLayer
from nd_plugin.engine.thresholds import UnitThresholds
from nd_plugin.method.annotations import Counts, to_smallest_type
from nd_plugin.method.counting import BatchCounts
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.probe_data.batches import Batch
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.receptive_fields.geometry import Size
from nd_plugin.significance.sum_rows import sum_rows

IMAGES_AT_ONCE = 2048
# of a concept of a unit in a fold: its sum, and its place in a list
BYTES_PER_SUM = 16


class AnnotatedBatch(NamedTuple):
    """Batch to be counted."""

    annotations: BatchAnnotations
    # of layers that run once more
    maps: Mapping[str, SparseMaps]


@dataclass
class DeviceCounter:
    """Counter of a part's batches; see `part_run.Strategy.count`."""

    part_run: PartRun
    device: torch.device
    thresholds: ThresholdsByLayer
    layers_to_rerun: Sequence[str]
    memory: DeviceMemory
    annotations: dict[int, BatchAnnotations]  # by batch number, those on the device
    category_of: Counts  # (concept,) index of its category
    # values (unit,) on the device, by layer and quantile
    values: dict[tuple[str, float], Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Copy the thresholds to the device."""
        for layer, at_quantiles in self.thresholds.items():
            for at_quantile in at_quantiles:
                key = (layer, at_quantile.quantile)
                self.values[key] = at_quantile.values.to(self.device)
        if self.layers_to_rerun:
            # all batches are decoded again, with their images
            self.annotations.clear()

    def count_from(self, start: int) -> Iterator[CountedBatch]:
        """Count the part's batches, without the first ``start``."""
        group: list[AnnotatedBatch] = []
        images = 0
        for batch in self._annotated(start):
            group.append(batch)
            images += batch.annotations.image_count
            if images >= IMAGES_AT_ONCE or self.part_run.saver.due(images):
                yield self._count_group(group)
                group = []
                images = 0
        if group:
            yield self._count_group(group)

    def _annotated(self, start: int) -> Iterator[AnnotatedBatch]:
        """Yield the batches; annotations that are not on the device are decoded."""
        feed = self.part_run.feed
        numbers = feed.batch_numbers(start)
        while numbers:
            number = numbers[0]
            if number in self.annotations:
                yield AnnotatedBatch(self.annotations.pop(number), {})
                numbers = numbers[1:]
                continue
            stored = [number in self.annotations for number in numbers]
            missing = stored.index(True) if True in stored else len(numbers)
            yield from self._decoded(numbers[:missing])
            numbers = numbers[missing:]

    def _decoded(self, numbers: range) -> Iterator[AnnotatedBatch]:
        """Decode batches, which follow each other in the part."""
        feed = self.part_run.feed
        part_numbers = feed.batch_numbers()
        batches = feed.batches(
            pictures=bool(self.layers_to_rerun),
            annotated=True,
            as_tensors=True,
            start=part_numbers.index(numbers[0]),
        )
        try:
            for _, batch in zip(numbers, batches, strict=False):
                annotations = annotations_on(
                    self.device,
                    batch,
                    len(feed.concepts.categories),
                    self.category_of,
                    self.part_run.state.readable,
                    with_image_concepts=feed.settings.is_by_image,
                )
                yield AnnotatedBatch(annotations, self._maps_of_rerun(batch))
        finally:
            batches.close()

    def _maps_of_rerun(self, batch: Batch) -> Mapping[str, SparseMaps]:
        """Run a batch through the model for the layers whose maps are not stored."""
        if not self.layers_to_rerun:
            return {}
        readable = self.part_run.images_of_first_pass(batch)
        activations = self.part_run.activations(readable, self.layers_to_rerun)
        self.part_run.report_data.add_activations(readable, activations)
        sparse_maps: dict[str, SparseMaps] = {}
        for layer, maps in activations.items():
            maps = maps.to(self.device)
            images = readable.indices.to(self.device)
            pending = PendingMaps.of(batch.number, images, maps)
            values = [
                self.values[layer, at_quantile.quantile]
                for at_quantile in self.thresholds[layer]
            ]
            lowest = torch.stack(values).amin(0)
            for _, sparse in sparsify_batches([pending], lowest, self.memory.work):
                sparse_maps[layer] = sparse
        return sparse_maps

    def _count_group(self, group: Sequence[AnnotatedBatch]) -> CountedBatch:
        """Count batches together."""

        def count() -> Mapping[tuple[str, float], Sequence[BatchCounts]]:
            return self._count_layers(group)

        units = self.memory.survive(count, self.part_run.state.offload)
        batches = [batch.annotations for batch in group]
        return CountedBatch(
            reduce(add, (batch.areas for batch in batches)),
            units,
            list(chain.from_iterable(batch.skipped for batch in batches)),
            sum(batch.image_count for batch in batches),
            Remarks.total(batch.remarks for batch in batches),
            batches=len(batches),
            image_concepts=[
                of_size for batch in batches for of_size in batch.image_concepts
            ],
        )

    def _count_layers(
        self, group: Sequence[AnnotatedBatch]
    ) -> Mapping[tuple[str, float], Sequence[BatchCounts]]:
        by_size: dict[Size, list[DeviceAnnotations]] = {}
        for batch in group:
            for of_size in batch.annotations.by_size:
                by_size.setdefault(of_size.size, []).append(of_size)
        joined = [DeviceAnnotations.joined(parts) for parts in by_size.values()]
        counts: dict[tuple[str, float], Sequence[BatchCounts]] = {}
        for layer in self.part_run.state.layers:
            maps_of_batches = self._maps_of(layer, group)
            maps = JoinedMaps(maps_of_batches) if maps_of_batches else None
            for at_quantile in self.thresholds[layer]:
                counts[layer, at_quantile.quantile] = self._count_layer(
                    layer, at_quantile, maps, joined
                )
        return counts

    def _maps_of(
        self, layer: str, group: Sequence[AnnotatedBatch]
    ) -> list[SparseMaps]:
        """Return a layer's maps of those batches that have any."""
        if layer in self.layers_to_rerun:
            return [batch.maps[layer] for batch in group if layer in batch.maps]
        candidates = self.part_run.state.candidates(layer)
        numbers = [batch.annotations.number for batch in group]
        return [
            candidates.on(number, self.device)
            for number in numbers
            if number in candidates.by_batch
        ]

    def _count_layer(
        self,
        layer: str,
        at_quantile: UnitThresholds,
        maps: JoinedMaps | None,
        annotations_by_size: Sequence[DeviceAnnotations],
    ) -> Sequence[BatchCounts]:
        """Count a layer's maps at one quantile."""
        if maps is None:
            return ()
        thresholds = self.values[layer, at_quantile.quantile]
        if self.part_run.feed.settings.folds:
            by_size = (
                self._count_folds(layer, thresholds, maps, of_size)
                for of_size in annotations_by_size
            )
            return list(chain.from_iterable(by_size))
        sums = self._no_sums(len(thresholds))
        for of_size in annotations_by_size:
            lit_maps = self._lit_maps(thresholds, maps, of_size)
            self._add(layer, lit_maps, of_size, sums)
        return [_batch_counts(sums)]

    def _count_folds(
        self,
        layer: str,
        thresholds: Tensor,
        maps: JoinedMaps,
        annotations: DeviceAnnotations,
    ) -> Iterator[BatchCounts]:
        """Count by fold: as many units in folds at a time as there is room for their sums."""
        lit_maps = self._lit_maps(thresholds, maps, annotations)
        concept_count = len(self.category_of)
        rows_at_once = max(
            self.memory.work // (BYTES_PER_SUM * (concept_count + 1)), 1
        )
        for piece in lit_maps.pieces(rows_at_once):
            sums = self._no_sums(len(piece.rows.thresholds))
            self._add(layer, piece, annotations, sums)
            yield replace(_batch_counts(sums), rows=piece.rows.numbers)

    def _lit_maps(
        self, thresholds: Tensor, maps: JoinedMaps, annotations: DeviceAnnotations
    ) -> LitMaps:
        """Return the maps in images of ``annotations`` that exceed ``thresholds`` (unit,)."""
        row_of_image = annotations.row_of_image(len(self.part_run.feed.concepts))
        annotation_rows = row_of_image[maps.images]
        is_lit = (maps.peaks > thresholds[maps.units]) & (annotation_rows >= 0)
        indices = is_lit.nonzero()[:, 0]
        rows = sum_rows(
            maps.units[indices],
            maps.images[indices],
            thresholds,
            self.part_run.feed.fold_of,
        )
        return LitMaps(maps, indices, annotation_rows[indices], rows)

    def _no_sums(self, rows: int) -> UnitSums:
        concepts = self.part_run.feed.concepts
        return UnitSums.empty(
            rows, len(concepts.concepts), len(concepts.categories), self.device
        )

    def _add(
        self,
        layer: str,
        lit_maps: LitMaps,
        annotations: DeviceAnnotations,
        sums: UnitSums,
    ) -> None:
        """Add the lit pixels of maps to ``sums``."""
        grid = MaskGrid(
            self.part_run.state.layers[layer].geometry,
            self.part_run.feed.preprocess.size,
            annotations.size,
        )
        MapCounter(self.device, self.memory).add(lit_maps, grid, annotations, sums)


def _batch_counts(sums: UnitSums) -> BatchCounts:
    """Return sums of a device as they are sent between processes."""
    concept_count = sums.intersections.shape[1] - 1
    table = sums.intersections[:, 1:]
    units, concepts = table.nonzero(as_tuple=True)
    pairs = units * concept_count + concepts
    pixels = table[units, concepts]
    return BatchCounts(
        to_smallest_type(pairs.cpu().numpy()),
        to_smallest_type(pixels.cpu().numpy()),
        sums.areas.cpu().numpy(),
    )
