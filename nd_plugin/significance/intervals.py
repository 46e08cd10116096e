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
from nd_plugin.significance.bootstrap import BootstrapSample, interval_ends
from nd_plugin.significance.label_counts import LabelCounts, count_labels
from nd_plugin.significance.resampling import Resamples

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Chosen by their coverage (docs/experiments.md): resamples have more detectors than all images, as
# those have more than all images there are. The percentile interval doubles that bias, the basic
# one takes it off. IoU is hardly biased, and percentiles stay between 0 and 1.
COUNT_METHOD = "basic"
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
    others = iou.copy()
    np.put_along_axis(others, labels[:, None], -1.0, 1)
    return np.asarray(others.argmax(axis=1), np.int64)


def _count_intervals(layer: ResampledLayer, level: float) -> CountIntervals:
    counts = (
        layer.count_all(),
        layer.count(layer.resamples),
        layer.count(layer.jackknife),
    )
    detectors = tuple(count.detectors_by_category for count in counts)
    unique = tuple(count.unique_by_category for count in counts)
    return CountIntervals(
        detectors=_total_interval(detectors, level),
        unique_detectors=_total_interval(unique, level),
        detectors_by_category=_by_category(detectors, layer.categories, level),
        unique_detectors_by_category=_by_category(unique, layer.categories, level),
    )


def _total_interval(tables: Sequence[Integers], level: float) -> CountInterval:
    """Return the interval of the sum over categories of (labelling, category) tables."""
    (interval,) = _intervals(
        [table.sum(1, keepdims=True) for table in tables], level
    )
    return interval


def _by_category(
    tables: Sequence[Integers], categories: Sequence[str], level: float
) -> Mapping[str, CountInterval]:
    return dict(zip(categories, _intervals(tables, level), strict=True))


def _intervals(tables: Sequence[Integers], level: float) -> list[CountInterval]:
    """Return an interval for each column: of all images, resamples and jackknife; no count < 0."""
    estimates, replicates, jackknife = (table.astype(float) for table in tables)
    sample = BootstrapSample(estimates[0], replicates, jackknife)
    low, high = interval_ends(sample, level, COUNT_METHOD)
    # outwards to whole counts
    low = np.maximum(np.floor(low + ROUNDING), 0).astype(np.int64)
    high = np.maximum(np.ceil(high - ROUNDING), 0).astype(np.int64)
    ends = zip(low.tolist(), high.tolist(), strict=True)
    return [CountInterval(*pair) for pair in ends]
