"""Data for reports that the passes collect on their way, where they have them at hand.

Whatever is missing here, after an interruption or in a merge, is made afterwards (`taking`): the
result is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from nd_plugin.engine.report_data.top_map_collector import TopMapCollector
from nd_plugin.method.annotations import Counts
from nd_plugin.probe_data.batches import Batch, Feed
from nd_plugin.probe_data.items import PackedLabels
from nd_plugin.receptive_fields.geometry import Geometry, Size

# whose small pictures and labels are collected: about 80 MiB
MOST_COLLECTED = 2**13


@dataclass(frozen=True)
class LayerTop:
    """Top images of a layer's units, which are to have pictures if the budget allows."""

    top_images: Counts  # (unit, rank)
    geometry: Geometry
    cells: Size  # rows and columns of a map
    lowest_peaks: Tensor  # (unit,) highest activation in the last of these images
    thresholds: Tensor  # (unit,) T_k of the largest quantile, the lowest


@dataclass
class CollectedData:
    """Small pictures, packed labels and maps that the passes of this process have collected."""

    small_pictures: dict[int, bytes] = field(default_factory=dict)  # by image
    packed_labels: dict[int, PackedLabels] = field(default_factory=dict)  # by image
    maps: dict[str, TopMapCollector] = field(default_factory=dict)  # by layer
    pack_labels_of: frozenset[int] = frozenset()  # images, in the counting pass

    def prepare(self, tops: Mapping[str, LayerTop]) -> None:
        """Prepare to collect what the counting pass has at hand; ``tops`` by layer."""
        self.maps = {
            layer: TopMapCollector(top.top_images, top.thresholds)
            for layer, top in tops.items()
        }
        self.pack_labels_of = choose_labels_to_pack(
            [top.top_images for top in tops.values()]
        )

    def add_labels(self, packed_labels: Mapping[int, PackedLabels]) -> None:
        """Add packed labels of a batch."""
        self.packed_labels.update(packed_labels)

    def add_activations(
        self, batch: Batch, activations: Mapping[str, Tensor]
    ) -> None:
        """Add maps of a batch that went through the model again, by layer."""
        images = batch.indices.numpy()
        for layer, maps in activations.items():
            if layer in self.maps and self.maps[layer].needs(images):
                self.maps[layer].add_activations(maps, images)


def collects_small_pictures(feed: Feed) -> bool:
    """Return whether the first pass makes small pictures of all its images.

    It has decoded them anyway. Of a large probe data set most would not be needed.
    """
    return feed.settings.pictures > 0 and feed.images <= MOST_COLLECTED


def new_images_by_rank(top_images: Counts) -> list[Counts]:
    """Return the images of each rank of ``top_images`` (unit, rank) that no lower rank has."""
    by_rank = []
    earlier = np.zeros(0, np.int64)
    for rank in range(top_images.shape[1]):
        images = np.setdiff1d(top_images[:, rank], earlier)
        earlier = np.union1d(earlier, images)
        by_rank.append(images)
    return by_rank


def choose_labels_to_pack(all_top_images: Sequence[Counts]) -> frozenset[int]:
    """Choose images whose labels the counting pass packs: the first ranks of all layers."""
    images: dict[int, None] = {}
    new_images = [new_images_by_rank(top_images) for top_images in all_top_images]
    for rank in range(max((len(ranks) for ranks in new_images), default=0)):
        for ranks in new_images:
            if rank < len(ranks):
                images.update(dict.fromkeys(ranks[rank].tolist()))
    return frozenset(list(images)[:MOST_COLLECTED])
