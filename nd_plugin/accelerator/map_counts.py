"""Lit pixels of sparse maps on a device, added up by row and concept, some maps at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin.accelerator.annotations import DeviceAnnotations
from nd_plugin.accelerator.device_memory import DeviceMemory
from nd_plugin.accelerator.intersections import (
    ImageLabels,
    UnitSums,
    intersection_adder,
)
from nd_plugin.accelerator.lit_pixels import lit_pixel_counter
from nd_plugin.candidates.device_maps import JoinedMaps
from nd_plugin.method.upsampling import MaskGrid
from nd_plugin.significance.sum_rows import SumRows

# beside the dense map: indices of its stored cells, and counts of combinations
BYTES_PER_CELL = 24
BYTES_PER_COMBINATION = 16


@dataclass(frozen=True)
class LitMaps:
    """Maps of which a cell exceeds the threshold, and what they are counted against."""

    maps: JoinedMaps
    indices: Tensor  # (map,) int64, into `maps`
    annotation_rows: Tensor  # (map,) int64, into the images of `DeviceAnnotations`
    rows: SumRows

    def pieces(self, rows_at_once: int) -> Iterator[LitMaps]:
        """Yield the maps of some rows at a time."""
        for rows, which in self.rows.pieces(rows_at_once):
            yield LitMaps(
                self.maps, self.indices[which], self.annotation_rows[which], rows
            )


@dataclass(frozen=True)
class MapCounter:
    """Counter of the maps of one device."""

    device: torch.device
    memory: DeviceMemory

    def add(
        self,
        lit_maps: LitMaps,
        grid: MaskGrid,
        annotations: DeviceAnnotations,
        sums: UnitSums,
    ) -> None:
        """Add the lit pixels of maps to ``sums``; ``grid`` has the annotations' size."""
        count_lit_pixels = lit_pixel_counter(self.device, self.memory.work)
        add_intersections = intersection_adder(self.device, self.memory.work)
        labels = ImageLabels(annotations.members, annotations.categories)
        combination_count = annotations.members.shape[1]
        for piece, cell_count in self._pieces(lit_maps, combination_count):
            image_rows = lit_maps.annotation_rows[piece]
            sum_rows = lit_maps.rows.row_of_map[piece]
            lit_pixels = count_lit_pixels(
                lit_maps.maps.dense(lit_maps.indices[piece], cell_count),
                lit_maps.rows.thresholds[sum_rows],
                image_rows,
                grid,
                annotations.combinations,
                combination_count,
            )
            add_intersections(lit_pixels, image_rows, sum_rows, labels, sums)
        self.memory.note(count_lit_pixels.note)
        self.memory.note(add_intersections.note)

    def _pieces(
        self, lit_maps: LitMaps, combination_count: int
    ) -> Iterator[tuple[slice, int]]:
        """Yield some lit maps at a time, and how many cells they have stored."""
        rows, columns = lit_maps.maps.cells
        bytes_per_map = (
            BYTES_PER_CELL * rows * columns
            + BYTES_PER_COMBINATION * combination_count
        )
        step = max(self.memory.work // bytes_per_map, 1)
        starts = range(0, len(lit_maps.indices), step)
        pieces = [slice(start, start + step) for start in starts]
        if not pieces:
            return
        counts = lit_maps.maps.counts
        cell_counts = [counts[lit_maps.indices[piece]].sum() for piece in pieces]
        yield from zip(pieces, torch.stack(cell_counts).tolist(), strict=True)
