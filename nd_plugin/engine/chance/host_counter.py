"""Masks counted against permuted annotations on a CPU: lit pixels once, for all permutations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nd_plugin.candidates.sparse_maps import SparseMaps
from nd_plugin.engine.chance.annotation_store import StoredLabels
from nd_plugin.engine.chance.permuted import Permuted, UnitBlock
from nd_plugin.engine.thresholds import CPU
from nd_plugin.machine.allocator import trim_memory
from nd_plugin.machine.threads import one_thread
from nd_plugin.method.activation_masks import expand_runs, find_lit_runs
from nd_plugin.method.annotations import Counts
from nd_plugin.method.numpy_on_cpu import true_indices
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.receptive_fields.geometry import Size

PIXELS_AT_ONCE = 2**22  # of masks in work

# from a layer to its maps, batch by batch, and the grid for masks of a size
ReadBatches = Callable[
    [str], Iterator[tuple[SparseMaps, Callable[[Size], MaskGrid]]]
]


@dataclass(frozen=True)
class LitPixels:
    """Lit pixels of some units' maps of one image."""

    units: Counts  # (map,) index into the block
    pixels: Counts  # (pixel,) row * columns + column
    maps: Counts  # (pixel,) index of the pixel's map


@dataclass(frozen=True)
class HostChanceCounter:
    """Counter of blocks of units, in this process or in forked ones."""

    permuted: Permuted
    blocks: Sequence[UnitBlock]
    read_batches: ReadBatches
    # called in the first process only: number of the block, batches done in it
    report: Callable[[int, int], None]
    first_process: int = field(default_factory=os.getpid)

    def count(self, number: int) -> Counts:
        """Count block ``number``; returns |M_k ∩ L_c| (permutation, unit, concept) int64.

        Plain version, for each permutation π, image x, unit and concept:
        ``(M_k(x) & L_c(π(x))).sum()``.
        """
        block = self.blocks[number]
        permutations = self.permuted.permutation_count
        concepts = self.permuted.concept_count
        table = np.zeros((permutations, len(block.units) * concepts), np.int64)
        batches = self.read_batches(block.layer)
        with one_thread():
            for batches_done, (maps, grid_of) in enumerate(batches, 1):
                self._add_batch(block, maps, grid_of, table)
                trim_memory()
                if os.getpid() == self.first_process:
                    self.report(number, batches_done)
        return table.reshape(permutations, len(block.units), concepts)

    def _add_batch(
        self,
        block: UnitBlock,
        maps: SparseMaps,
        grid_of: Callable[[Size], MaskGrid],
        table: Counts,
    ) -> None:
        """Add the maps of a batch to the ``table`` (permutation, unit * concept)."""
        for row, lit_maps in self._lit_maps(block, maps):
            grid = grid_of(self.permuted.size_of(row))
            for lit_pixels in self._lit_pixels(block, maps, lit_maps, grid):
                self._add(lit_pixels, row, table)

    def _lit_maps(
        self, block: UnitBlock, maps: SparseMaps
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield each image of a batch, by its row in the strata, and its lit maps (map,)."""
        units = maps.units
        thresholds = self.permuted.thresholds[block.key]
        in_block = (units >= block.units.start) & (units < block.units.stop)
        rows = torch.from_numpy(self.permuted.row_of)[maps.images.long()]
        is_lit = in_block & (maps.peaks > thresholds[units]) & (rows >= 0)
        lit_maps = true_indices(is_lit)
        # the maps of an image follow each other
        distinct, counts = torch.unique_consecutive(
            rows[lit_maps], return_counts=True
        )
        pieces = torch.split(lit_maps, counts.tolist())
        yield from zip(distinct.tolist(), pieces, strict=True)

    def _lit_pixels(
        self, block: UnitBlock, maps: SparseMaps, lit_maps: Tensor, grid: MaskGrid
    ) -> Iterator[LitPixels]:
        """Yield the lit pixels of an image's ``lit_maps`` (map,), of some maps at a time."""
        maps_at_once = max(PIXELS_AT_ONCE // (grid.mask[0] * grid.mask[1]), 1)
        thresholds = self.permuted.thresholds[block.key]
        for piece in torch.split(lit_maps, maps_at_once):
            units = maps.units[piece].long()
            dense = maps.maps(piece, CPU)
            pixels = []
            map_indices = []
            for runs in find_lit_runs(dense, thresholds[units], grid):
                run_pixels, run_maps = expand_runs(
                    runs.starts, runs.map_index, runs.lengths
                )
                pixels.append(run_pixels.numpy())
                map_indices.append(run_maps.numpy())
            yield LitPixels(
                units.numpy() - block.units.start,
                np.concatenate(pixels).astype(np.intp),
                np.concatenate(map_indices).astype(np.intp),
            )

    def _add(self, lit_pixels: LitPixels, row: int, table: Counts) -> None:
        """Add the lit pixels of an image to the ``table`` (permutation, unit * concept).

        Permutations that give the image the same annotation share the work.
        """
        if not len(lit_pixels.pixels):
            return
        partners = self.permuted.partners[row]
        distinct, partner_of = np.unique(partners, return_inverse=True)
        by_partner = np.argsort(partner_of, kind="stable")
        ends = np.searchsorted(partner_of[by_partner], np.arange(len(distinct) + 1))
        for index, partner in enumerate(distinct.tolist()):
            labels = self.permuted.store.of(self.permuted.image_of(partner))
            intersections = intersect(lit_pixels, labels)
            places = (
                lit_pixels.units[:, None] * self.permuted.concept_count
                + labels.concepts
            )
            for permutation in by_partner[ends[index] : ends[index + 1]].tolist():
                table[permutation][places] += intersections


def intersect(lit_pixels: LitPixels, labels: StoredLabels) -> Counts:
    """Count the lit pixels of each map that carry each concept of an image; (map, concept)."""
    map_count = len(lit_pixels.units)
    combination_count = len(labels.slots)
    keys = lit_pixels.maps * combination_count
    keys += labels.combinations.take(lit_pixels.pixels)
    counts = np.bincount(keys, minlength=map_count * combination_count)
    lit = np.flatnonzero(counts)
    maps, combinations = np.divmod(lit, combination_count)
    slot_count = len(labels.concepts) + 1
    slots = labels.slots[combinations]
    places = (maps * slot_count)[:, None] + slots
    # float64 holds numbers of pixels exactly
    weights = np.repeat(counts[lit], slots.shape[1])
    sums = np.bincount(places.ravel(), weights, minlength=map_count * slot_count)
    table: Counts = sums.astype(np.int64).reshape(map_count, slot_count)
    return table[:, 1:]
