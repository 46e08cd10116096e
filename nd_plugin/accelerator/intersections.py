"""Counts of equation 1 from the lit pixels of each map by their combination of labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin.accelerator.annotations import DeviceAnnotations
from nd_plugin.method.annotations import to_smallest_type
from nd_plugin.method.counting import BatchCounts


@dataclass(frozen=True, eq=False)
class DeviceCounts:
    """Counts of one layer at one quantile, on a device."""

    intersections: (
        Tensor  # (unit, 1 + concept) int64, |M_k ∩ L_c|; column 0: no label
    )
    areas: Tensor  # (unit, category) int64, |M_k| in images that have the category

    @classmethod
    def empty(
        cls, units: int, concepts: int, categories: int, device: torch.device
    ) -> DeviceCounts:
        """Return the counts of no map."""
        return cls(
            torch.zeros(units, concepts + 1, dtype=torch.int64, device=device),
            torch.zeros(units, categories, dtype=torch.int64, device=device),
        )

    def on_cpu(self) -> BatchCounts:
        """Return the counts as they are sent between processes."""
        concept_count = self.intersections.shape[1] - 1
        table = self.intersections[:, 1:]
        units, concepts = table.nonzero(as_tuple=True)
        pairs = units * concept_count + concepts
        pixels = table[units, concepts]
        return BatchCounts(
            to_smallest_type(pairs.cpu().numpy()),
            to_smallest_type(pixels.cpu().numpy()),
            self.areas.cpu().numpy(),
        )

    def add(
        self,
        lit_pixels: Tensor,
        units: Tensor,
        image_rows: Tensor,
        annotations: DeviceAnnotations,
    ) -> None:
        """Add ``lit_pixels`` (map, combination) of maps of ``units`` (map,).

        ``image_rows`` (map,) int64 index ``annotations``.
        """
        has_category = annotations.categories[image_rows]
        map_areas = lit_pixels.sum(1, dtype=torch.int64)
        self.areas.index_add_(0, units, map_areas[:, None] * has_category)
        map_index, combination = lit_pixels.nonzero(as_tuple=True)
        labels = annotations.members[image_rows[map_index], combination].long()
        row_starts = units[map_index] * self.intersections.shape[1]
        pixels = lit_pixels[map_index, combination].long()
        table = self.intersections.view(-1)
        table.index_add_(
            0,
            (row_starts[:, None] + labels).flatten(),
            pixels[:, None].expand_as(labels).flatten(),
        )
