"""Intervals of a layer's counts and of its units' IoU, from resamples of the folds of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nd_plugin.report.error_bars.records import (
    CountInterval,
    CountIntervals,
    LayerIntervals,
)
from nd_plugin.significance.statistics.bootstrap import (
    BootstrapSample,
    interval_ends,
)
from nd_plugin.significance.statistics.label_counts import LabelCounts, count_labels
from nd_plugin.significance.statistics.resampling import Resamples

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Chosen by their coverage (docs/experiments.md). Noise makes detectors of units whose IoU is near
# the limit: resamples have more of them than all images, as those have more than all the images
# that there could be. The percentile interval doubles that bias and missed the true count in up to
# 97 % of the cases; the symmetric one was nearest to its level. IoU is hardly biased, and
# percentiles stay between 0 and 1.
COUNT_METHOD = "symmetric"
IOU_METHOD = "percentile"
ROUNDING = 1e-9  # of counts, which are whole


@dataclass(frozen=True, eq=False)
class ResampledLayer:
    """Layer in all images, in resamples, and with one fold left out."""

    iou: Floats  # (unit, concept)
    category_of: Integers  # (concept,)
    categories: tuple[str, ...]
    min_iou: float
    resamples: Resamples
    jackknife: Resamples

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.iou)

    @property
    def most_unique(self) -> Integers:
        """Largest possible number of unique detectors of each category; (category,)."""
        concepts = np.bincount(self.category_of, minlength=len(self.categories))
        return np.minimum(concepts, self.units)

    def count(self, resamples: Resamples) -> LabelCounts:
        """Count detectors in each of some resamples."""
        return count_labels(
            resamples.labels,
            resamples.best_iou,
            self.category_of,
            len(self.categories),
            self.min_iou,
        )

    def count_all(self) -> LabelCounts:
        """Count detectors in all images, as a single labelling."""
        labels = self.iou.argmax(axis=1)[None]
        return count_labels(
            labels,
            self.iou.max(axis=1)[None],
            self.category_of,
            len(self.categories),
            self.min_iou,
        )


def layer_intervals(layer: ResampledLayer, level: float) -> LayerIntervals:
    """Return intervals of counts and IoU, and the stability of names."""
    labels = layer.iou.argmax(axis=1)
    label_iou = np.take_along_axis(layer.iou, labels[:, None], 1)[:, 0]
    sample = BootstrapSample(
        label_iou, layer.resamples.label_iou, layer.jackknife.label_iou
    )
    low, high = interval_ends(sample, level, IOU_METHOD)
    seconds = second_concepts(layer.iou)
    second_iou = np.take_along_axis(layer.iou, seconds[:, None], 1)[:, 0]
    return LayerIntervals(
        level=level,
        folds=sample.folds,
        resamples=len(layer.resamples),
        counts=_count_intervals(layer, level),
        iou_low=low,
        iou_high=high,
        stability=stability(layer.resamples, labels),
        margins=label_iou - second_iou,
        seconds=seconds,
    )


def stability(resamples: Resamples, labels: Integers) -> Floats:
    """Return the share of resamples in which each unit keeps its label; (unit,)."""
    shares: Floats = (resamples.labels == labels).mean(axis=0)
    return shares


def second_concepts(iou: Floats) -> Integers:
    """Return the concept with the second highest IoU of each unit; (unit,).

    The label itself where there is only one concept.
    """
    labels = iou.argmax(axis=1)
    without_label = iou.copy()
    np.put_along_axis(without_label, labels[:, None], -1.0, 1)
    return np.asarray(without_label.argmax(axis=1), np.int64)


def _count_intervals(layer: ResampledLayer, level: float) -> CountIntervals:
    counts = (
        layer.count_all(),
        layer.count(layer.resamples),
        layer.count(layer.jackknife),
    )
    detectors = tuple(count.detectors_by_category for count in counts)
    unique = tuple(count.unique_by_category for count in counts)
    return CountIntervals(
        detectors=_total_interval(detectors, level, layer.units),
        unique_detectors=_total_interval(unique, level, _most_unique(layer)),
        detectors_by_category=_by_category(
            layer, detectors, level, np.array(layer.units)
        ),
        unique_detectors_by_category=_by_category(
            layer, unique, level, layer.most_unique
        ),
    )


def _most_unique(layer: ResampledLayer) -> int:
    return min(layer.units, int(layer.most_unique.sum()))


def _total_interval(
    tables: Sequence[Integers], level: float, largest: int
) -> CountInterval:
    """Return the interval of the sum over categories of (labelling, category) tables."""
    totals = [table.sum(axis=1, keepdims=True) for table in tables]
    (interval,) = _intervals(totals, level, np.array(largest))
    return interval


def _by_category(
    layer: ResampledLayer,
    tables: Sequence[Integers],
    level: float,
    largest: Integers,
) -> Mapping[str, CountInterval]:
    intervals = _intervals(tables, level, largest)
    return dict(zip(layer.categories, intervals, strict=True))


def _intervals(
    tables: Sequence[Integers], level: float, largest: Integers
) -> list[CountInterval]:
    """Return an interval for each column, between 0 and the largest count that is possible.

    ``tables`` (labelling, category) are of all images, of resamples and of the jackknife.
    """
    estimates, replicates, jackknife = (table.astype(float) for table in tables)
    sample = BootstrapSample(estimates[0], replicates, jackknife)
    low, high = interval_ends(sample, level, COUNT_METHOD)
    # outwards to whole counts
    low = np.maximum(np.floor(low + ROUNDING), 0).astype(np.int64)
    high = np.minimum(np.ceil(high - ROUNDING), largest).astype(np.int64)
    ends = zip(low.tolist(), high.tolist(), strict=True)
    return [CountInterval(*pair) for pair in ends]
