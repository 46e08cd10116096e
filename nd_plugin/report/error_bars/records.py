"""Records of how sure a layer's numbers are: intervals, chance level, stability of names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """Interval of a quantity, both ends included."""

    low: float
    high: float

    def to_list(self) -> list[float]:
        """Return both ends, ready for JSON."""
        return [self.low, self.high]


@dataclass(frozen=True)
class CountInterval:
    """Interval of a count, both ends included."""

    low: int
    high: int

    def to_list(self) -> list[int]:
        """Return both ends, ready for JSON."""
        return [self.low, self.high]


@dataclass(frozen=True)
class CountIntervals:
    """Intervals of the counts of a layer, from resampled images."""

    detectors: CountInterval
    unique_detectors: CountInterval
    detectors_by_category: Mapping[str, CountInterval]
    unique_detectors_by_category: Mapping[str, CountInterval]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "detectors": self.detectors.to_list(),
            "unique_detectors": self.unique_detectors.to_list(),
            "detectors_by_category": _plain(self.detectors_by_category),
            "unique_detectors_by_category": _plain(
                self.unique_detectors_by_category
            ),
        }


@dataclass(frozen=True, eq=False)
class LayerIntervals:
    """Intervals of a layer's counts and of its units' IoU, and how stable their names are."""

    level: float  # 0.95: an interval covers the true value in 95 % of the cases
    folds: int
    resamples: int
    counts: CountIntervals
    iou_low: Floats  # (unit,) interval of the IoU with the unit's label
    iou_high: Floats  # (unit,)
    # (unit,) share of the resamples in which the unit has the label that it has in all images
    stability: Floats
    margins: Floats  # (unit,) IoU with the label minus IoU with the second concept
    seconds: Integers  # (unit,) that second concept, as an index

    def iou(self, unit: int) -> Interval:
        """Return the interval of a unit's IoU with its label."""
        return Interval(float(self.iou_low[unit]), float(self.iou_high[unit]))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts' intervals as plain values, ready for JSON."""
        return {
            "level": self.level,
            "folds": self.folds,
            "resamples": self.resamples,
            **self.counts.to_dict(),
        }


@dataclass(frozen=True)
class ChanceCount:
    """Count to expect by chance: mean, and range of 95 % of the permutations."""

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return plain values, ready for JSON."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True, eq=False)
class ChanceLevel:
    """Counts of a layer where annotations are permuted, and what they say of the units."""

    permutations: int
    fixed_images: int  # images that nothing could be exchanged with
    detectors: ChanceCount
    unique_detectors: ChanceCount
    detectors_by_category: Mapping[str, ChanceCount]
    unique_detectors_by_category: Mapping[str, ChanceCount]
    false_discovery_rate: float  # of the layer's detectors
    p_values: Floats  # (unit,) of the best IoU over all concepts
    q_values: Floats  # (unit,) Benjamini and Hochberg's
    iou: Floats  # (unit,) mean over permutations of the best IoU

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values, ready for JSON."""
        return {
            "permutations": self.permutations,
            "fixed_images": self.fixed_images,
            "false_discovery_rate": self.false_discovery_rate,
            "iou": float(self.iou.mean()) if len(self.iou) else 0.0,
            "detectors": self.detectors.to_dict(),
            "unique_detectors": self.unique_detectors.to_dict(),
            "detectors_by_category": _plain_chance(self.detectors_by_category),
            "unique_detectors_by_category": _plain_chance(
                self.unique_detectors_by_category
            ),
        }


def _plain(intervals: Mapping[str, CountInterval]) -> dict[str, list[int]]:
    return {name: interval.to_list() for name, interval in intervals.items()}


def _plain_chance(counts: Mapping[str, ChanceCount]) -> dict[str, dict[str, float]]:
    return {name: count.to_dict() for name, count in counts.items()}
