"""One layer at several quantiles τ: labels, detectors and IoU of its units over τ (section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from nd_plugin.report.categories import all_categories
from nd_plugin.report.error_bars.records import CountIntervals
from nd_plugin.report.error_bars.texts import count_intervals
from nd_plugin.report.layer_report import LayerReport, count_by

PAPER_QUANTILE = 0.005


@dataclass(frozen=True)
class SweepPoint:
    """Counts of a layer at one quantile."""

    quantile: float
    detectors: int
    unique_detectors: int
    detectors_by_category: Mapping[str, int]
    unique_detectors_by_category: Mapping[str, int]
    # of all units, detectors or not
    labels_by_category: Mapping[str, int]
    median_iou: float  # of all units with their labels
    kept_labels: int  # units whose label is the same as at the reference
    # units whose IoU is nowhere higher; ties to the smaller quantile
    best_units: int
    # of resampled images; None where the run has no folds
    intervals: CountIntervals | None = None
    # mean counts where annotations are permuted; None where the run has no permutations
    chance_detectors: float | None = None
    chance_unique_detectors: float | None = None


@dataclass(frozen=True)
class QuantileSweep:
    """Reports of one layer of one run at two or more quantiles, ascending."""

    reports: tuple[LayerReport, ...]

    @property
    def title(self) -> str:
        """Name of the layer, behind that of its run where several are reported."""
        return self.reports[0].title

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Quantiles τ, ascending."""
        return tuple(map(quantile_of, self.reports))

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.reports[0].scores)

    @property
    def reference_index(self) -> int:
        """Index of the quantile that labels are compared with: the paper's, else the smallest."""
        quantiles = self.quantiles
        if PAPER_QUANTILE in quantiles:
            return quantiles.index(PAPER_QUANTILE)
        return 0

    @property
    def reference(self) -> float:
        """Quantile that labels are compared with."""
        return self.quantiles[self.reference_index]

    @property
    def categories(self) -> list[str]:
        """Categories of the layer, in the paper's order."""
        return all_categories(self.reports)

    @cached_property
    def iou(self) -> tuple[tuple[float, ...], ...]:
        """IoU of each unit with its label, (quantile, unit)."""
        return tuple(
            tuple(score.iou for score in report.scores) for report in self.reports
        )

    @cached_property
    def best_quantiles(self) -> tuple[float, ...]:
        """Quantile at which each unit has its highest IoU, (unit,); ties to the smaller one."""
        quantiles = self.quantiles
        best = []
        for values in zip(*self.iou, strict=True):
            best.append(quantiles[values.index(max(values))])
        return tuple(best)

    @cached_property
    def points(self) -> tuple[SweepPoint, ...]:
        """Counts at each quantile, ascending."""
        return tuple(map(self._point, range(len(self.reports))))

    def _point(self, index: int) -> SweepPoint:
        report = self.reports[index]
        summary = report.summary
        chance = report.chance_level
        quantile = self.quantiles[index]
        labels = _labels(report)
        reference = _labels(self.reports[self.reference_index])
        pairs = zip(labels, reference, strict=True)
        return SweepPoint(
            quantile,
            detectors=summary.detectors,
            unique_detectors=summary.unique_detectors,
            detectors_by_category=summary.detectors_by_category,
            unique_detectors_by_category=summary.unique_detectors_by_category,
            labels_by_category=count_by(
                [category for category, _ in labels], self.categories
            ),
            median_iou=median(self.iou[index]) if self.units else 0.0,
            kept_labels=sum(label == earlier for label, earlier in pairs),
            best_units=self.best_quantiles.count(quantile),
            intervals=count_intervals(report),
            chance_detectors=None if chance is None else chance.detectors.mean,
            chance_unique_detectors=None
            if chance is None
            else chance.unique_detectors.mean,
        )


def quantile_of(report: LayerReport) -> float:
    """Return the quantile of a report that records one."""
    quantile = report.summary.quantile
    assert quantile is not None
    return quantile


def _labels(report: LayerReport) -> list[tuple[str, str]]:
    return [(score.category, score.concept) for score in report.scores]


def quantile_sweeps(reports: Iterable[LayerReport]) -> list[QuantileSweep]:
    """Return a sweep for each layer of a run that is there at two quantiles or more.

    Layers are told apart by run, name and number of units; of two reports at one quantile the
    first counts.
    """
    layers: dict[tuple[str, str, int], dict[float, LayerReport]] = {}
    for report in reports:
        if report.summary.quantile is not None:
            key = (report.run, report.layer, len(report.scores))
            layers.setdefault(key, {}).setdefault(quantile_of(report), report)
    return [
        QuantileSweep(tuple(sorted_by_quantile(by_quantile.values())))
        for by_quantile in layers.values()
        if len(by_quantile) > 1
    ]


def sorted_by_quantile(reports: Iterable[LayerReport]) -> Sequence[LayerReport]:
    """Return reports with ascending quantiles."""
    return sorted(reports, key=quantile_of)
