"""Histograms of the activations of units, from a sample of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 64


@dataclass(frozen=True, eq=False)
class ActivationHistograms:
    """Histogram of each unit: a sample of some cells of each of some images, in even bins.

    The bins reach from the lowest activation of the sample to the highest of all images.
    """

    counts: npt.NDArray[np.int64]  # (unit, bin)
    ranges: npt.NDArray[np.float64]  # (unit, 2) lowest and highest edge

    @classmethod
    def of(
        cls, sample: npt.NDArray[np.float64], highest: npt.NDArray[np.float64]
    ) -> ActivationHistograms:
        """Count a ``sample`` (value, unit) up to ``highest`` (unit,), none of them exceeded.

        Infinite values are left out.
        """
        finite = np.where(np.isfinite(sample), sample, np.nan)
        lowest = np.fmin(np.fmin.reduce(finite, axis=0, initial=np.inf), highest)
        last_edge = np.where(highest > lowest, highest, lowest + 1.0)
        bins = np.floor((finite - lowest) / (last_edge - lowest) * BINS)
        units = np.broadcast_to(np.arange(sample.shape[1]), sample.shape)
        is_finite = np.isfinite(bins)
        bin_numbers = bins[is_finite].clip(0, BINS - 1).astype(np.int64)
        flat = units[is_finite] * BINS + bin_numbers
        counts = np.bincount(flat, minlength=sample.shape[1] * BINS)
        ranges = np.stack([lowest, last_edge], axis=1)
        return cls(counts.reshape(-1, BINS), ranges)

    def histogram(
        self, unit: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the counts (bin,) and edges (bin + 1,) of a unit."""
        lowest, highest = self.ranges[unit].tolist()
        counts = self.counts[unit]
        return counts, np.linspace(lowest, highest, len(counts) + 1)
