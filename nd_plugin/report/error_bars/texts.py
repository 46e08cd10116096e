"""Intervals, stability and chance level in words, for reports of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nd_plugin.report.error_bars.columns import unit_values
from nd_plugin.report.error_bars.records import (
    ChanceLevel,
    CountInterval,
    CountIntervals,
    Interval,
    LayerIntervals,
)
from nd_plugin.report.layer_report import LayerReport

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

FEW = 10  # a smaller number is shown with a decimal


def count_text(count: int, interval: CountInterval | None, dash: str = "-") -> str:
    """Return a count, behind it its interval: ``38 (31-44)``."""
    if interval is None:
        return str(count)
    return f"{count} ({range_text(interval, dash)})"


def range_text(interval: CountInterval, dash: str = "-") -> str:
    """Return the interval of a count: ``31-44``."""
    return f"{interval.low}{dash}{interval.high}"


def iou_range_text(interval: Interval, dash: str = "-") -> str:
    """Return the interval of an IoU: ``0.041-0.063``."""
    return f"{interval.low:.3f}{dash}{interval.high:.3f}"


def per_cent(share: float) -> str:
    """Return a share in per cent; only none is shown as 0 %, and only all as 100 %."""
    percentage = 100 * share
    if 0 < percentage < 1:
        return "< 1 %"
    if 99 < percentage < 100:
        return "> 99 %"
    return f"{percentage:.0f} %"


def mean_count_text(mean: float) -> str:
    """Return a mean count: ``0.4``, ``38``."""
    rounded = round(mean, 1)
    return f"{rounded:.1f}" if rounded < FEW else f"{mean:.0f}"


def count_intervals(report: LayerReport) -> CountIntervals | None:
    """Return the intervals of a layer's counts; None where its run has no folds."""
    return None if report.intervals is None else report.intervals.counts


def unique_interval(report: LayerReport) -> CountInterval | None:
    """Return the interval of a layer's unique detectors; None where its run has no folds."""
    intervals = count_intervals(report)
    return None if intervals is None else intervals.unique_detectors


def detectors_interval(report: LayerReport) -> CountInterval | None:
    """Return the interval of a layer's detectors; None where its run has no folds."""
    intervals = count_intervals(report)
    return None if intervals is None else intervals.detectors


def error_bar_lines(report: LayerReport) -> list[str]:
    """Return what the intervals are, and what chance gives: no line, one or two."""
    lines = []
    if report.intervals is not None:
        lines.append(intervals_line(report.intervals))
    if report.chance_level is not None:
        lines.append(chance_line(report.chance_level))
    return lines


def intervals_line(intervals: LayerIntervals) -> str:
    """Return the level of intervals and what they come from."""
    return f"intervals at {intervals.level * 100:g} %, over {intervals.folds} folds of the images"


def chance_line(chance: ChanceLevel) -> str:
    """Return the detectors to expect by chance, with their range, and the false-discovery rate."""
    detectors = mean_count_text(chance.detectors.mean)
    unique = mean_count_text(chance.unique_detectors.mean)
    rate = per_cent(chance.false_discovery_rate)
    return (
        f"{detectors} detectors and {unique} unique expected by chance "
        f"(false-discovery rate {rate}; {chance.permutations} permutations)"
    )


def unit_lines(dissection: Dissection, unit: int) -> list[str]:
    """Return how sure a unit's IoU and label are: no line, one or two."""
    values = unit_values(dissection, unit)
    lines = []
    if dissection.folds is not None:
        intervals = dissection.intervals()
        interval = iou_range_text(intervals.iou(unit))
        level = f"{intervals.level * 100:g} %"
        lines.append(
            f"IoU {interval} ({level} interval); label kept in "
            f"{per_cent(values['stability'])} of the resamples, IoU {values['margin']:.4f} above "
            f"the second ({values['second_concept']})"
        )
    if dissection.chance is not None:
        lines.append(
            f"p-value {values['p_value']:.2g}, q-value {values['q_value']:.2g} "
            f"({dissection.chance.permutations} permutations)"
        )
    return lines
