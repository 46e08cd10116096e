"""Intervals, stability and chance level in words, for reports of any kind."""

from __future__ import annotations

from nd_plugin.report.error_bars.records import (
    ChanceLevel,
    CountInterval,
    CountIntervals,
    Interval,
    LayerIntervals,
)
from nd_plugin.report.layer_report import LayerReport

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
    """Return a share in per cent; a small one that is not 0 is not shown as 0."""
    percentage = 100 * share
    if 0 < percentage < 1:
        return "< 1 %"
    return f"{percentage:.0f} %"


def mean_count_text(mean: float) -> str:
    """Return a mean count: ``0.4``, ``38``."""
    return f"{mean:.1f}" if mean < FEW else f"{mean:.0f}"


def count_intervals(report: LayerReport) -> CountIntervals | None:
    """Return the intervals of a layer's counts; None where its run has no folds."""
    return None if report.intervals is None else report.intervals.counts


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
    return (
        f"in brackets: {intervals.level * 100:g} % intervals over {intervals.folds} folds of the "
        "images"
    )


def chance_line(chance: ChanceLevel) -> str:
    """Return the detectors to expect by chance, with their range, and the false-discovery rate."""
    detectors = mean_count_text(chance.detectors.mean)
    unique = mean_count_text(chance.unique_detectors.mean)
    rate = per_cent(chance.false_discovery_rate)
    return (
        f"{detectors} detectors and {unique} unique expected by chance "
        f"(false-discovery rate {rate}; {chance.permutations} permutations)"
    )


def unit_interval_text(intervals: LayerIntervals, unit: int) -> str:
    """Return the interval of a unit's IoU with its level."""
    interval = iou_range_text(intervals.iou(unit))
    return f"{intervals.level * 100:g} % interval of the IoU {interval}"
