"""Statistics of a layer's units: constancy, zeros and top images. Statistics of parts add up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nd_plugin.accelerator.peaks import MapSummary
from nd_plugin.errors import RunInvalid
from nd_plugin.method.numpy_on_cpu import count_nonzero, true_indices

PENDING_PER_TOP_IMAGE = 32  # images whose maxima are stored before they are ranked


@dataclass
class TopImages:
    """Images with the highest activation of each unit, and images that are not yet ranked.

    Equal activations are ordered by image, the lower index first.
    """

    count: int  # images for each unit
    activations: Tensor  # (unit, at most keep), descending
    images: Tensor  # (unit, at most keep) int64, indices into the probe data set
    # not yet ranked: maxima (image, unit) and images (image,)
    pending: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @classmethod
    def empty(
        cls, keep: int, units: int, dtype: torch.dtype, device: torch.device
    ) -> TopImages:
        """Return the top images of ``units`` units before any image."""
        activations = torch.empty(units, 0, dtype=dtype, device=device)
        images = torch.empty(units, 0, dtype=torch.int64, device=device)
        return cls(keep, activations, images)

    def update(self, peaks: Tensor, images: Tensor) -> None:
        """Add ``peaks`` (image, unit), the highest activations in ``images`` (image,)."""
        self.pending.append((peaks, images))
        pending_images = sum(len(images) for _, images in self.pending)
        if pending_images > PENDING_PER_TOP_IMAGE * self.count:
            self.compact()

    def best(self) -> TopImages:
        """Return the same top images with all images ranked."""
        if not self.pending:
            return TopImages(self.count, self.activations, self.images)
        peaks = torch.cat([peaks for peaks, _ in self.pending])
        images = torch.cat([images for _, images in self.pending])
        unit_count = peaks.shape[1]
        candidates = true_indices(self._may_be_top(peaks, images))
        image_indices = candidates // unit_count
        units = candidates - image_indices * unit_count
        return self._with(units, peaks.flatten()[candidates], images[image_indices])

    def compact(self) -> None:
        """Rank the pending images, and drop those that are not among the top images."""
        ranked = self.best()
        self.activations = ranked.activations
        self.images = ranked.images
        self.pending = []

    def _may_be_top(self, peaks: Tensor, images: Tensor) -> Tensor:
        """Return whether each of ``peaks`` (image, unit) can be a top activation, (image, unit).

        Where a unit has all its top images, those that come before the last of these; otherwise
        the highest ones.
        """
        is_full = self.activations.shape[1] == self.count
        if not is_full:
            highest = peaks.topk(min(self.count, len(peaks)), dim=0).values
            return peaks >= highest[-1]
        last_activation = self.activations[:, -1]
        last_image = self.images[:, -1]
        wins_tie = (peaks == last_activation) & (images[:, None] < last_image)
        return (peaks > last_activation) | wins_tie

    def _with(
        self, units: Tensor, activations: Tensor, images: Tensor
    ) -> TopImages:
        """Return the top images of these and more activations (any,) of ``units`` in ``images``.

        All units have been seen in the same images, so all have equally many top images.
        """
        unit_count, ranked_count = self.activations.shape
        all_units = torch.arange(unit_count, device=self.activations.device)
        ranked_units = all_units.repeat_interleave(ranked_count)
        units = torch.cat([ranked_units, units])
        activations = torch.cat([self.activations.flatten(), activations])
        images = torch.cat([self.images.flatten(), images])
        order = _ranking(units, activations, images)
        totals = torch.bincount(units, minlength=unit_count)
        starts = totals.cumsum(0) - totals  # of each unit, in the order
        top_count = min(self.count, int(totals.min()))
        ranks = torch.arange(top_count, device=order.device)
        top = order[starts[:, None] + ranks]
        return TopImages(self.count, activations[top], images[top])

    def __add__(self, other: TopImages) -> TopImages:
        ranked = other.best()
        unit_count, ranked_count = ranked.images.shape
        units = torch.arange(unit_count, device=ranked.images.device)
        return self.best()._with(
            units.repeat_interleave(ranked_count),
            ranked.activations.flatten(),
            ranked.images.flatten(),
        )


def _ranking(units: Tensor, activations: Tensor, images: Tensor) -> Tensor:
    """Return the order by unit, then descending activation, then image; all (any,)."""
    order = images.argsort()
    order = order[activations[order].argsort(descending=True, stable=True)]
    return order[units[order].argsort(stable=True)]


@dataclass
class UnitStatistics:
    """Statistics of a layer's activations over a part of the probe data set.

    ``a + b`` are the statistics of both parts.
    """

    cells: tuple[int, int]  # rows and columns of the maps
    images: int  # number of images
    enough: int  # units with more nonzero activations are not counted further
    highest: Tensor  # (unit,) the highest activation
    lowest_peak: Tensor  # (unit,) the lowest of the images' highest activations
    varied: Tensor  # (unit,) bool, whether two activations differ
    # (unit,) int64, activations other than 0: exact at least up to ``enough``
    nonzero: Tensor
    top: TopImages
    all_varied: bool = False  # then ``lowest_peak`` is not updated further

    @classmethod
    def empty(cls, maps: Tensor, enough: int, top: int) -> UnitStatistics:
        """Return the statistics before any image, with ``top`` top images for each unit.

        ``maps`` (image, unit, row, column) give the sizes, the dtype and the device.
        """
        units = maps.shape[1]
        device = maps.device
        return cls(
            cells=(maps.shape[2], maps.shape[3]),
            images=0,
            enough=enough,
            highest=torch.full(
                (units,), -torch.inf, dtype=maps.dtype, device=device
            ),
            lowest_peak=torch.full(
                (units,), torch.inf, dtype=maps.dtype, device=device
            ),
            varied=torch.zeros(units, dtype=torch.bool, device=device),
            nonzero=torch.zeros(units, dtype=torch.int64, device=device),
            top=TopImages.empty(top, units, maps.dtype, device),
        )

    def update(self, maps: Tensor, peaks: Tensor, images: Tensor) -> None:
        """Add ``maps`` (image, unit, row, column) of ``images`` (image,) with maxima ``peaks``."""
        self.images += len(maps)
        self.highest = self.highest.maximum(peaks.amax(0))
        if not self.all_varied:
            self._update_varied(maps, peaks)
        self._count_nonzero(maps)
        self.top.update(peaks, images)

    def add(self, summary: MapSummary, images: Tensor) -> None:
        """Add the ``summary`` of maps of ``images`` (image,); no result is looked at."""
        peaks = summary.peaks
        highest = peaks.amax(0)
        self.images += len(peaks)
        self.varied |= highest != summary.lowest.amin(0)
        self.highest = self.highest.maximum(highest)
        self.lowest_peak = self.lowest_peak.minimum(peaks.amin(0))
        self.varied |= self.highest != self.lowest_peak
        self.nonzero += summary.nonzero
        self.top.update(peaks, images)

    def _update_varied(self, maps: Tensor, peaks: Tensor) -> None:
        """Find units that vary between images, or else within a map."""
        self.lowest_peak = self.lowest_peak.minimum(peaks.amin(0))
        self.varied |= self.highest != self.lowest_peak
        units = (~self.varied).nonzero()[:, 0]
        highest = self.highest[units, None, None]
        differs = maps[:, units] != highest
        self.varied[units] = differs.flatten(2).any(2).any(0)
        self.all_varied = bool(self.varied.all())

    def _count_nonzero(self, maps: Tensor) -> None:
        """Count the nonzero activations of units that do not have enough of them."""
        units = (self.nonzero <= self.enough).nonzero()[:, 0]
        if len(units):
            all_units = len(units) == maps.shape[1]
            self.nonzero[units] += count_nonzero(
                maps if all_units else maps[:, units]
            )

    @property
    def locations(self) -> int:
        """Number n of activations of each unit."""
        rows, columns = self.cells
        return self.images * rows * columns

    def on_cpu(self) -> UnitStatistics:
        """Return a copy with all tensors on the CPU and all images ranked, to be sent or saved."""
        ranked = self.top.best()
        top = TopImages(ranked.count, ranked.activations.cpu(), ranked.images.cpu())
        tensors: dict[str, Any] = {
            name: value.cpu()
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **tensors, top=top)

    def __add__(self, other: UnitStatistics) -> UnitStatistics:
        if self.cells != other.cells:
            raise RunInvalid(
                f"parts of one layer have maps of {self.cells} and of {other.cells} cells: "
                "they come from different models or image sizes"
            )
        return UnitStatistics(
            cells=self.cells,
            images=self.images + other.images,
            enough=self.enough,
            highest=self.highest.maximum(other.highest),
            lowest_peak=self.lowest_peak.minimum(other.lowest_peak),
            varied=self.varied | other.varied | (self.highest != other.highest),
            nonzero=self.nonzero + other.nonzero,
            top=self.top + other.top,
        )
