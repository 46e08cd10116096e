"""Repeats of a number: their mean, and how far they spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nd_plugin.report.layer_report import Summary

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Values of one number in several repeats, such as of several rotations or trainings."""

    values: tuple[float, ...]
    # of a difference; counts and IoU are not negative, nor are their intervals
    is_signed: bool = False

    @classmethod
    def of(cls, values: Sequence[float], *, is_signed: bool = False) -> Spread:
        """Return the spread of one value or more."""
        return cls(tuple(float(value) for value in values), is_signed)

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float | None:
        """Standard deviation (n - 1); None of a single value."""
        if len(self.values) < 2:
            return None
        return float(np.std(self.values, ddof=1))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Interval of 95 % for the mean, by Student's t; None of a single value."""
        deviation = self.deviation
        if deviation is None:
            return None
        # SciPy takes a while to import, and a single value does not need it
        from scipy.special import stdtrit

        count = len(self.values)
        factor = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
        margin = factor * deviation / count**0.5
        low = self.mean - margin
        return low if self.is_signed else max(0.0, low), self.mean + margin

    def text(self, digits: int = 1) -> str:
        """Return mean and standard deviation, as tables show them."""
        mean = f"{self.mean:.{digits}f}"
        if digits == 1:
            mean = mean.removesuffix(".0")
        deviation = self.deviation
        return mean if deviation is None else f"{mean} ± {deviation:.{digits}f}"

    @property
    def interval_text(self) -> str:
        """Interval as tables show it; "" of a single value."""
        if self.interval is None:
            return ""
        low, high = self.interval
        return f"[{low:.1f}, {high:.1f}]"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        interval = self.interval
        return {
            "values": list(self.values),
            "mean": self.mean,
            "sd": self.deviation,
            "interval": None if interval is None else list(interval),
        }


def unique_spread(
    summaries: Sequence[Summary], category: str | None = None
) -> Spread:
    """Return unique detectors over the repeats of a layer; None: those of all categories."""
    if category is None:
        return Spread.of([summary.unique_detectors for summary in summaries])
    by_category = [summary.unique_detectors_by_category for summary in summaries]
    return Spread.of([counts.get(category, 0) for counts in by_category])
