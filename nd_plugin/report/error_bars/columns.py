"""Columns and keys of intervals and chance level in tables for machines, where a run has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nd_plugin.report.error_bars.records import ChanceLevel, LayerIntervals
from nd_plugin.report.layer_report import LayerReport

INTERVAL_COLUMNS = ("iou_low", "iou_high", "stability", "margin", "second_concept")
CHANCE_COLUMNS = ("p_value", "q_value")
ERROR_BAR_COLUMNS = INTERVAL_COLUMNS + CHANCE_COLUMNS


def error_bar_columns(reports: Sequence[LayerReport]) -> list[str]:
    """Return the columns that any of some reports has."""
    columns: list[str] = []
    if any(report.intervals is not None for report in reports):
        columns += INTERVAL_COLUMNS
    if any(report.chance_level is not None for report in reports):
        columns += CHANCE_COLUMNS
    return columns


def error_bar_values(report: LayerReport) -> list[dict[str, Any]]:
    """Return the values of each unit, in the order of the scores; empty where there are none."""
    return [unit_values(report, index) for index in range(len(report.scores))]


def unit_values(report: LayerReport, unit: int) -> dict[str, Any]:
    """Return the columns of one unit, those that its run has."""
    values: dict[str, Any] = {}
    if report.intervals is not None:
        values |= _interval_values(report, report.intervals, unit)
    if report.chance_level is not None:
        values |= _chance_values(report.chance_level, unit)
    return values


def _interval_values(
    report: LayerReport, intervals: LayerIntervals, unit: int
) -> dict[str, Any]:
    interval = intervals.iou(unit)
    return {
        "iou_low": interval.low,
        "iou_high": interval.high,
        "stability": float(intervals.stability[unit]),
        "margin": float(intervals.margins[unit]),
        "second_concept": second_concept(report, intervals, unit),
    }


def second_concept(
    report: LayerReport, intervals: LayerIntervals, unit: int
) -> str:
    """Return the name of the concept that a unit matches best after its label."""
    dissection = report.dissection
    if dissection is None:
        return ""
    return dissection.concepts[int(intervals.seconds[unit])].name


def _chance_values(chance: ChanceLevel, unit: int) -> dict[str, Any]:
    return {
        "p_value": float(chance.p_values[unit]),
        "q_value": float(chance.q_values[unit]),
    }


def error_bar_content(report: LayerReport) -> Mapping[str, Any]:
    """Return ``intervals`` and ``chance`` of a layer as plain values, those that it has."""
    content: dict[str, Any] = {}
    if report.intervals is not None:
        content["intervals"] = report.intervals.to_dict()
    if report.chance_level is not None:
        content["chance"] = report.chance_level.to_dict()
    return content
