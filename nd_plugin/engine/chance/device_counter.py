"""Masks counted against permuted annotations on the model's device, many batches at a time.

For each permutation the masks are evaluated anew, in the large steps of the counting pass: where
the kernels are compiled, that is cheaper than to store the lit pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nd_plugin.accelerator.annotations import DeviceAnnotations, find_categories
from nd_plugin.accelerator.device_memory import DeviceMemory
from nd_plugin.accelerator.intersections import UnitSums
from nd_plugin.accelerator.map_counts import LitMaps, MapCounter
from nd_plugin.candidates.device_maps import JoinedMaps
from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.candidates.sparse_maps import SparseMaps
from nd_plugin.engine.chance.annotation_store import StoredLabels
from nd_plugin.engine.chance.permuted import Permuted, UnitBlock
from nd_plugin.machine.transfers import to_device
from nd_plugin.method.annotations import Counts
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.probe_data.annotation_tensors import AnnotationTensors
from nd_plugin.receptive_fields.geometry import Geometry, Size
from nd_plugin.significance.sum_rows import SumRows

MAPS_BYTES = 2**28  # of sparse maps that are joined
BYTES_PER_MEMBER = 4  # of a label of a combination, at most


@dataclass(frozen=True)
class StoredMapsOfPart:
    """Candidates of a layer in one part, and the numbers of its batches."""

    candidates: Candidates
    batches: Sequence[int]
    geometry: Geometry
    image_size: Size

    def on(self, device: torch.device) -> Iterator[JoinedMaps]:
        """Yield the maps on a device, those of some batches together."""
        group: list[SparseMaps] = []
        for number in self.batches:
            if number not in self.candidates.by_batch:
                continue
            group.append(self.candidates.on(number, device))
            if sum(maps.nbytes for maps in group) > MAPS_BYTES:
                yield JoinedMaps(group)
                group = []
        if group:
            yield JoinedMaps(group)


@dataclass
class DeviceChanceCounter:
    """Counter of blocks of units on one device."""

    permuted: Permuted
    device: torch.device
    memory: DeviceMemory
    step: Callable[[], None]  # called after each group of batches
    # of the images whose masks have one size, where there is room for all of them
    resident: dict[Size, DeviceAnnotations | None] = field(default_factory=dict)

    def count(self, block: UnitBlock, parts: Sequence[StoredMapsOfPart]) -> Counts:
        """Count a block; returns |M_k ∩ L_c| (permutation, unit, concept) int64, on the CPU."""
        sums = [
            self._no_sums(block) for _ in range(self.permuted.permutation_count)
        ]
        for part in parts:
            for maps in part.on(self.device):
                for size in self._sizes():
                    self._count_size(block, part, maps, size, sums)
                self.step()
        tables = [
            of_permutation.intersections[:, 1:].cpu().numpy()
            for of_permutation in sums
        ]
        return np.stack(tables)

    def _no_sums(self, block: UnitBlock) -> UnitSums:
        return UnitSums.empty(
            len(block.units),
            self.permuted.concept_count,
            self.permuted.category_count,
            self.device,
        )

    def _sizes(self) -> list[Size]:
        distinct = np.unique(self.permuted.strata.sizes, axis=0)
        return [(rows, columns) for rows, columns in distinct.tolist()]

    def _count_size(
        self,
        block: UnitBlock,
        part: StoredMapsOfPart,
        maps: JoinedMaps,
        size: Size,
        sums: Sequence[UnitSums],
    ) -> None:
        """Count the maps of images whose masks have one size, permutation by permutation."""
        rows, indices = self._lit_maps(block, maps, size)
        if not len(indices):
            return
        units = maps.units[indices] - block.units.start
        thresholds = self.permuted.thresholds[block.key].to(self.device)
        of_block = thresholds[block.units.start : block.units.stop]
        sum_rows = SumRows(units, of_block, None)
        grid = MaskGrid(part.geometry, part.image_size, size)
        counter = MapCounter(self.device, self.memory)
        for permutation, of_permutation in enumerate(sums):
            partners = self.permuted.partners[rows, permutation]
            annotations, annotation_rows = self._annotations(partners, size)
            lit_maps = LitMaps(maps, indices, annotation_rows, sum_rows)
            counter.add(lit_maps, grid, annotations, of_permutation)

    def _lit_maps(
        self, block: UnitBlock, maps: JoinedMaps, size: Size
    ) -> tuple[Counts, Tensor]:
        """Return the lit maps in images with masks of a size: rows in the strata, and indices."""
        strata = self.permuted.strata
        has_size = (strata.sizes == size).all(1)
        row_of = np.where(
            has_size[self.permuted.row_of] & (self.permuted.row_of >= 0),
            self.permuted.row_of,
            -1,
        )
        rows = to_device(torch.from_numpy(row_of), self.device)[maps.images]
        thresholds = self.permuted.thresholds[block.key].to(self.device)
        in_block = (maps.units >= block.units.start) & (
            maps.units < block.units.stop
        )
        is_lit = in_block & (maps.peaks > thresholds[maps.units]) & (rows >= 0)
        indices = is_lit.nonzero()[:, 0]
        return rows[indices].cpu().numpy(), indices

    def _annotations(
        self, partners: Counts, size: Size
    ) -> tuple[DeviceAnnotations, Tensor]:
        """Return annotations on the device, and the row in them of each of ``partners`` (map,)."""
        if size not in self.resident:
            self.resident[size] = self._resident(size)
        resident = self.resident[size]
        if resident is None:
            distinct, rows = np.unique(partners, return_inverse=True)
            annotations = self._copied(distinct, size)
            return annotations, torch.from_numpy(rows.reshape(-1)).to(self.device)
        images = torch.from_numpy(self.permuted.strata.images[partners])
        row_of_image = resident.row_of_image(self.permuted.image_count)
        return resident, row_of_image[images.to(self.device)]

    def _resident(self, size: Size) -> DeviceAnnotations | None:
        """Copy the annotations of all images of a size, unless there are too many."""
        strata = self.permuted.strata
        store = self.permuted.store
        has_size = (strata.sizes == size).all(1)
        # of other processes' images, some are not needed here
        is_stored = np.array([image in store for image in strata.images.tolist()])
        rows = np.flatnonzero(has_size & is_stored)
        stored = [store.of(image) for image in strata.images[rows].tolist()]
        if joined_bytes(stored) > self.memory.annotations:
            return None
        return self._copied(rows, size)

    def _copied(self, rows: Counts, size: Size) -> DeviceAnnotations:
        """Copy the annotations of some images, by their rows in the strata, to the device."""
        images = [self.permuted.image_of(row) for row in rows.tolist()]
        labels = [self.permuted.store.of(image).combined(size) for image in images]
        tensors = AnnotationTensors.of(images, labels)
        members = to_device(tensors.members, self.device)
        category_of = torch.from_numpy(self.permuted.category_of).to(self.device)
        return DeviceAnnotations(
            to_device(tensors.images, self.device),
            to_device(tensors.combinations, self.device),
            members,
            find_categories(members, category_of, self.permuted.category_count),
        )


def joined_bytes(stored: Sequence[StoredLabels]) -> int:
    """Estimate the bytes of annotations side by side: of one type, and padded to the largest."""
    pixel_bytes: int = max(labels.combinations.nbytes for labels in stored)
    combinations = max(len(labels.slots) for labels in stored)
    labels_of_each: int = max(labels.slots.shape[1] for labels in stored)
    member_bytes = BYTES_PER_MEMBER * combinations * labels_of_each
    return len(stored) * (pixel_bytes + member_bytes)
