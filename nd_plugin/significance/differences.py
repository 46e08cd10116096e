"""Differences between two dissections, with intervals: whether a change is more than chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nd_plugin.errors import BadInput
from nd_plugin.report.error_bars.records import Interval
from nd_plugin.significance.statistics.bootstrap import (
    LEVEL,
    BootstrapSample,
    interval_ends,
)
from nd_plugin.significance.statistics.intervals import COUNT_METHOD, ResampledLayer
from nd_plugin.significance.statistics.label_counts import LabelCounts
from nd_plugin.significance.statistics.resampling import Resamples
from nd_plugin.significance.statistics.significant_layer import (
    RESAMPLES,
    SEED,
    SignificantLayer,
)

Floats = npt.NDArray[np.float64]
QUANTITIES = ("unique_detectors", "detectors")


@dataclass(frozen=True)
class Difference:
    """Difference of a count between two dissections: the new one's minus a share of the base's."""

    estimate: float
    interval: Interval
    level: float
    # whether both were resampled alike, which the same images allow: the interval is shorter
    is_paired: bool

    @property
    def is_below_zero(self) -> bool:
        """Whether the new count is lower by more than the interval."""
        return self.interval.high < 0

    @property
    def is_above_zero(self) -> bool:
        """Whether the new count is higher by more than the interval."""
        return self.interval.low > 0


def difference_interval(
    base: SignificantLayer,
    new: SignificantLayer,
    quantity: str = "unique_detectors",
    *,
    share: float = 1.0,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Difference:
    """Return new - share · base of a count, with its interval.

    The interval says how much of the difference the choice of images explains: where it excludes
    0, other images of the same kind would show a difference of the same sign too, in ``level`` of
    the cases (half of the rest is on either side). It says nothing of other seeds of the training.
    A gate at 95 % of the base (``share=0.95``) fails where ``is_below_zero``: the loss is more than
    5 %, and more than images explain.

    Runs over the same images in the same folds are resampled with the same weights. What is hard
    or easy about an image is so for both and cancels, so that small differences show. Runs over
    different images, or with other folds, are resampled apart; ``is_paired`` says which.

    Args:
        base: A dissection, whose run has folds.
        new: Another, whose run has folds.
        quantity: "unique_detectors" or "detectors".
        share: Share of the base that is subtracted.
        level: Share of cases in which the interval covers the true difference.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Raises:
        Unavailable: A run has no folds.
        BadInput: An unknown quantity, a level that is not between 0 and 1, fewer than 40 resamples.
    """
    if quantity not in QUANTITIES:
        raise BadInput(f"quantity {quantity!r} is none of {', '.join(QUANTITIES)}")
    is_paired = have_same_folds(base, new)
    base_layer = base.resampled(resamples, seed)
    new_layer = new.resampled(resamples, seed if is_paired else seed + 1)
    base_sample = _sample(base_layer, quantity)
    new_sample = _sample(new_layer, quantity)
    sample = BootstrapSample(
        new_sample.estimate - share * base_sample.estimate,
        new_sample.replicates - share * base_sample.replicates,
        _fewer(new_sample, base_sample),
    )
    low, high = interval_ends(sample, level, COUNT_METHOD)
    interval = Interval(float(low), float(high))
    return Difference(float(sample.estimate), interval, level, is_paired)


def have_same_folds(base: SignificantLayer, new: SignificantLayer) -> bool:
    """Return whether two runs have counted the same images in the same folds."""
    if base.folds is None or new.folds is None:
        return False
    base_images, new_images = base.folds.category_images, new.folds.category_images
    return (
        base.image_names == new.image_names
        and base.settings.seed == new.settings.seed
        and np.array_equal(base_images, new_images)
    )


def _sample(layer: ResampledLayer, quantity: str) -> BootstrapSample:
    def count(resamples: Resamples) -> Floats:
        return _quantity(layer.count(resamples), quantity)

    (estimate,) = _quantity(layer.count_all(), quantity)
    return BootstrapSample(
        np.array(estimate), count(layer.resamples), count(layer.jackknife)
    )


def _quantity(counts: LabelCounts, quantity: str) -> Floats:
    values: Floats = np.asarray(getattr(counts, quantity), np.float64)
    return values


def _fewer(new: BootstrapSample, base: BootstrapSample) -> Floats:
    """Return the jackknife with fewer folds: its length sets the interval's degrees of freedom."""
    return new.jackknife if new.folds <= base.folds else base.jackknife
