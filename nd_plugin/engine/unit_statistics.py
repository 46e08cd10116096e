"""What is remembered of a layer's activations beside the candidates: constancy, zeros and top images. Parts add up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nd_plugin.errors import RunInvalid
from nd_plugin.method.numpy_on_cpu import count_nonzero, true_indices


@dataclass
class TopImages:
    """The images in which each unit is most active; ``best`` gives them in order, ties to the lower image."""

    keep: int
    activations: Tensor  # (unit, at most keep), descending
    images: Tensor  # (unit, at most keep) int64, into the concept set
    waiting: list[tuple[Tensor, Tensor]] = field(
        default_factory=list
    )  # peaks (image, unit) and images (image,)

    @classmethod
    def empty(cls, keep: int, units: int, dtype: torch.dtype, device: torch.device) -> TopImages:
        """Before any image."""
        return cls(
            keep,
            torch.empty(units, 0, dtype=dtype, device=device),
            torch.empty(units, 0, dtype=torch.int64, device=device),
        )

    def update(self, peaks: Tensor, images: Tensor) -> None:
        """Take in ``peaks`` (image, unit), the largest activations in ``images`` (image,)."""
        self.waiting.append((peaks, images))
        if sum(len(images) for _, images in self.waiting) > 32 * self.keep:
            self.best()

    def best(self) -> TopImages:
        """Itself, sorted."""
        if not self.waiting:
            return self
        peaks, images = (
            torch.cat([peaks for peaks, _ in self.waiting]),
            torch.cat([images for _, images in self.waiting]),
        )
        if self.activations.shape[1] == self.keep:
            last, its_image = self.activations[:, -1], self.images[:, -1]
            better = (peaks > last) | ((peaks == last) & (images[:, None] < its_image))
        else:
            better = peaks >= peaks.topk(min(self.keep, len(peaks)), dim=0).values[-1]
        found = true_indices(better)
        image = found // peaks.shape[1]
        return self._merged(found - image * peaks.shape[1], peaks.flatten()[found], images[image])

    def _merged(self, units: Tensor, activations: Tensor, images: Tensor) -> TopImages:
        """With more activations (any,) of ``units`` in ``images``."""
        count, kept = self.activations.shape
        own = torch.arange(count, device=self.activations.device).repeat_interleave(kept)
        units = torch.cat([own, units])
        activations = torch.cat([self.activations.flatten(), activations])
        images = torch.cat([self.images.flatten(), images])
        order = images.argsort()
        order = order[activations[order].argsort(descending=True, stable=True)]
        order = order[units[order].argsort(stable=True)]
        totals = torch.bincount(units, minlength=count)
        starts = totals.cumsum(0) - totals
        keep = min(self.keep, int(totals.min()))  # every unit has seen the same images
        chosen = order[starts[:, None] + torch.arange(keep, device=order.device)]
        self.activations, self.images, self.waiting = activations[chosen], images[chosen], []
        return self

    def __add__(self, other: TopImages) -> TopImages:
        mine, its = self.best(), other.best()
        units = torch.arange(len(its.images), device=its.images.device).repeat_interleave(
            its.images.shape[1]
        )
        both = TopImages(self.keep, mine.activations, mine.images)
        return both._merged(units, its.activations.flatten(), its.images.flatten())


@dataclass
class UnitStatistics:
    """A layer's activations over some of the probe data set; ``a + b`` is the observation of both parts."""

    cells: tuple[int, int]  # rows and columns of the maps
    images: int
    enough: int  # units with more values other than 0 are not counted further
    highest: Tensor  # (unit,) the largest activation
    lowest_peak: Tensor  # (unit,) the smallest of the images' largest activations
    varied: Tensor  # (unit,) bool, whether two activations differ
    nonzero: Tensor  # (unit,) int64, activations other than 0: exact up to ``enough``
    top: TopImages
    varied_all: bool = False

    @classmethod
    def empty(cls, maps: Tensor, enough: int, top: int) -> UnitStatistics:
        """Before any image; ``maps`` (image, unit, row, column) are an example."""
        units, device = maps.shape[1], maps.device
        return cls(
            cells=(maps.shape[2], maps.shape[3]),
            images=0,
            enough=enough,
            highest=torch.full((units,), -torch.inf, dtype=maps.dtype, device=device),
            lowest_peak=torch.full((units,), torch.inf, dtype=maps.dtype, device=device),
            varied=torch.zeros(units, dtype=torch.bool, device=device),
            nonzero=torch.zeros(units, dtype=torch.int64, device=device),
            top=TopImages.empty(top, units, maps.dtype, device),
        )

    def update(self, maps: Tensor, peaks: Tensor, images: Tensor) -> None:
        """Take in ``maps`` (image, unit, row, column) of ``images`` (image,), with their maxima ``peaks``."""
        self.images += len(maps)
        self.highest = self.highest.maximum(peaks.amax(0))
        if not self.varied_all:
            self.lowest_peak = self.lowest_peak.minimum(peaks.amin(0))
            self.varied |= self.highest != self.lowest_peak
            same = (~self.varied).nonzero()[:, 0]
            self.varied[same] = (
                (maps[:, same] != self.highest[same, None, None]).flatten(2).any(2).any(0)
            )
            self.varied_all = bool(self.varied.all())
        few = (self.nonzero <= self.enough).nonzero()[:, 0]
        if len(few):
            some = maps if len(few) == maps.shape[1] else maps[:, few]
            self.nonzero[few] += count_nonzero(some)
        self.top.update(peaks, images)

    @property
    def locations(self) -> int:
        """n, values of each unit."""
        return self.images * self.cells[0] * self.cells[1]

    def on_cpu(self) -> UnitStatistics:
        """With all its tensors on the CPU, to be sent and stored."""
        top = self.top.best()
        held: dict[str, Any] = {
            name: value.cpu() for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(
            self, **held, top=TopImages(top.keep, top.activations.cpu(), top.images.cpu())
        )

    def __add__(self, other: UnitStatistics) -> UnitStatistics:
        if self.cells != other.cells:
            raise RunInvalid(
                f"maps of {self.cells} and of {other.cells} cells do not belong to one layer"
            )
        return UnitStatistics(
            self.cells,
            self.images + other.images,
            self.enough,
            self.highest.maximum(other.highest),
            self.lowest_peak.minimum(other.lowest_peak),
            self.varied | other.varied | (self.highest != other.highest),
            self.nonzero + other.nonzero,
            self.top + other.top,
        )
