"""Intervals, stability and p-values of units, as the script of a page reads them."""

from __future__ import annotations

from typing import Any

from nd_plugin.report.error_bars.records import ChanceLevel, LayerIntervals
from nd_plugin.report.layer_report import LayerReport

DIGITS = 4


def error_bar_block(report: LayerReport) -> dict[str, Any]:
    """Return ``intervals`` and ``chance`` of a layer's units, a list for each quantity; (unit,).

    Each only where the run has it.
    """
    block: dict[str, Any] = {}
    if report.intervals is not None:
        block["intervals"] = _intervals(report.intervals)
    if report.chance_level is not None:
        block["chance"] = _chance(report.chance_level)
    return block


def _intervals(intervals: LayerIntervals) -> dict[str, Any]:
    return {
        "level": intervals.level,
        "low": _rounded(intervals.iou_low),
        "high": _rounded(intervals.iou_high),
        "stability": _rounded(intervals.stability),
        "margin": _rounded(intervals.margins),
        "second": intervals.seconds.tolist(),
    }


def _chance(chance: ChanceLevel) -> dict[str, Any]:
    return {
        "permutations": chance.permutations,
        "p": _rounded(chance.p_values),
        "q": _rounded(chance.q_values),
    }


def _rounded(values: Any) -> list[float]:
    rounded: list[float] = values.round(DIGITS).tolist()
    return rounded
