"""The maps that may hold a pixel of M_k, kept while the images pass through the model once.

T_k is never less than the (floor(τ·n)+1)-th largest value seen so far, and interpolation never leaves the range of a
map; so a map whose maximum does not exceed that bound lights nothing and can be forgotten at once (DESIGN section 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Kept:
    """The candidates of one batch, in the order of its images."""

    images: Tensor  # (map,) int64, into the concept set
    units: Tensor  # (map,) int64
    peaks: Tensor  # (map,) maxima
    maps: Tensor  # (map, row, column)

    def above(self, bound: Tensor) -> Kept:
        """Those whose maximum exceeds their unit's ``bound`` (unit,)."""
        stay = self.peaks > bound[self.units]
        if bool(stay.all()):
            return self
        return Kept(self.images[stay], self.units[stay], self.peaks[stay], self.maps[stay])

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return sum(tensor.nbytes for tensor in (self.images, self.units, self.peaks, self.maps))


@dataclass
class Candidates:
    """The candidates of one layer; ``a + b`` are those of both parts."""

    parts: list[Kept] = field(default_factory=list)

    def see(self, maps: Tensor, images: Tensor, peaks: Tensor, bound: Tensor) -> None:
        """Keep what exceeds ``bound`` (unit,) of ``maps`` (image, unit, row, column) with maxima ``peaks``."""
        image, unit = (peaks > bound).nonzero(as_tuple=True)
        if len(image):
            self.parts.append(Kept(images[image], unit, peaks[image, unit], maps[image, unit]))

    def prune(self, bound: Tensor) -> None:
        """Forget what a better bound rules out."""
        self.parts = [part for part in (part.above(bound) for part in self.parts) if len(part.units)]

    def by_image(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Units (map,) and maps (map, row, column) of each image that has any."""
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for part in self.parts:
            images, counts = torch.unique_consecutive(part.images, return_counts=True)
            sizes = counts.tolist()
            pairs = zip(torch.split(part.units, sizes), torch.split(part.maps, sizes), strict=True)
            found.update(zip(images.tolist(), pairs, strict=True))
        return found

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return sum(part.nbytes for part in self.parts)

    def __add__(self, other: Candidates) -> Candidates:
        return Candidates(self.parts + other.parts)
