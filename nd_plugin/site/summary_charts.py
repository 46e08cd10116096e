"""Bars of a layer's summary: unique detectors by category, and units by concept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nd_plugin.report.error_bars.records import CountInterval
from nd_plugin.report.error_bars.texts import count_intervals
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.site.concept_scores import ConceptScores


@dataclass(frozen=True)
class Bar:
    """Bar of a chart; ``width`` and ``start`` are in per cent of the chart's width."""

    name: str
    category: int  # index among the categories
    count: int
    width: float
    start: float = 0.0
    units: int = 0
    concept: int = 0  # number of the concept, of bars of concepts
    interval: CountInterval | None = None  # of the count, where the run has folds
    low: float = 0.0  # ends of the interval, in per cent of the chart's width
    high: float = 0.0


@dataclass(frozen=True)
class ConceptBars:
    """Concepts of one category that units detect, those of most units first."""

    name: str
    category: int
    bars: tuple[Bar, ...]


def category_bars(report: LayerReport, categories: Sequence[str]) -> list[Bar]:
    """Return the unique detectors of each category, the longest bar as wide as the chart.

    ``categories`` are those of the page, whose numbers bars have.
    """
    unique = report.summary.unique_detectors_by_category
    units = report.summary.detectors_by_category
    intervals = count_intervals(report)
    interval_of = intervals.unique_detectors_by_category if intervals else {}
    upper_ends = [interval.high for interval in interval_of.values()]
    longest = max([*unique.values(), *upper_ends], default=0)
    bars = []
    for name in report.categories:
        count = unique.get(name, 0)
        width = _per_cent(count, longest)
        number = categories.index(name)
        bar = Bar(name, number, count, width, units=units.get(name, 0))
        bars.append(_with_interval(bar, interval_of.get(name), longest))
    return bars


def _with_interval(bar: Bar, interval: CountInterval | None, longest: int) -> Bar:
    if interval is None:
        return bar
    low = _per_cent(interval.low, longest)
    high = _per_cent(interval.high, longest)
    return replace(bar, interval=interval, low=low, high=high)


def stacked_bars(
    report: LayerReport, categories: Sequence[str], longest: int
) -> list[Bar]:
    """Return the unique detectors of each category one after the other, as in the paper's fig. 9.

    ``longest`` is the number of unique detectors that is as wide as the chart.
    """
    unique = report.summary.unique_detectors_by_category
    bars = []
    start = 0.0
    for number, name in enumerate(categories):
        count = unique.get(name, 0)
        width = _per_cent(count, longest)
        bars.append(Bar(name, number, count, width, start))
        start += width
    return bars


def concept_bars(
    report: LayerReport, scores: ConceptScores, categories: Sequence[str]
) -> list[ConceptBars]:
    """Return the number of units that detect each concept, by category of the page."""
    detectors = [
        concept
        for concept, score in zip(scores.labels, report.scores, strict=True)
        if score.detector
    ]
    units_of = Counter(detectors)
    groups = []
    for number, category in enumerate(categories):
        bars = _bars_of_category(category, number, units_of, scores)
        if bars:
            groups.append(ConceptBars(category, number, bars))
    return groups


def _bars_of_category(
    category: str, number: int, units_of: Mapping[int, int], scores: ConceptScores
) -> tuple[Bar, ...]:
    longest = max(units_of.values(), default=0)
    bars = []
    for concept, units in units_of.items():
        name, own_category = scores.concepts[concept]
        if own_category == category:
            width = _per_cent(units, longest)
            bars.append(Bar(name, number, units, width, concept=concept))
    return tuple(sorted(bars, key=lambda bar: (-bar.count, bar.name)))


def _per_cent(count: int, longest: int) -> float:
    return round(100 * count / longest, 2) if longest else 0.0
