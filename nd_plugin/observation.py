"""What the engine remembers of a layer's activations: thresholds, extremes, zeros and top images. Parts add up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nd_plugin.quantile import Largest


@dataclass(frozen=True)
class TopImages:
    """The images in which each unit is most active, best first, ties to the lower image."""

    keep: int
    activations: Tensor  # (unit, at most keep), descending
    images: Tensor  # (unit, at most keep) int64, into the concept set

    @classmethod
    def of(cls, keep: int, peaks: Tensor, images: Tensor) -> TopImages:
        """From the maxima ``peaks`` (image, unit) of some images."""
        return cls(keep, peaks.T, images.expand(peaks.shape[1], -1)).best()

    def best(self) -> TopImages:
        """Sorted, and no more than ``keep``."""
        by_image = self.images.argsort(dim=1)
        activations, images = self.activations.gather(1, by_image), self.images.gather(1, by_image)
        order = activations.argsort(dim=1, descending=True, stable=True)[:, : self.keep]
        return TopImages(self.keep, activations.gather(1, order), images.gather(1, order))

    def __add__(self, other: TopImages) -> TopImages:
        activations = torch.cat([self.activations, other.activations], dim=1)
        return TopImages(self.keep, activations, torch.cat([self.images, other.images], dim=1)).best()


@dataclass(frozen=True)
class Observation:
    """A layer's activations over some of the probe data set; ``a + b`` is the observation of both parts."""

    cells: tuple[int, int]  # rows and columns of the maps
    largest: Largest
    minimum: Tensor  # (unit,)
    maximum: Tensor  # (unit,)
    zeros: Tensor  # (unit,) int64, locations that are exactly 0
    top: TopImages

    @classmethod
    def of(cls, maps: Tensor, images: Tensor, peaks: tuple[Tensor, Tensor], keep: int, top: int) -> Observation:
        """Of ``maps`` (image, unit, row, column), with their minima and maxima ``peaks`` (image, unit) each."""
        values = maps.transpose(0, 1).flatten(1)
        low, high = peaks
        return cls(
            (maps.shape[2], maps.shape[3]),
            Largest.of(keep, values),
            low.amin(0),
            high.amax(0),
            (values == 0).sum(1),
            TopImages.of(top, high, images),
        )

    def __add__(self, other: Observation) -> Observation:
        return Observation(
            self.cells,
            self.largest + other.largest,
            torch.minimum(self.minimum, other.minimum),
            torch.maximum(self.maximum, other.maximum),
            self.zeros + other.zeros,
            self.top + other.top,
        )
