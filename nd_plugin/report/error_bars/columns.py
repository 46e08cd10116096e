"""Columns and keys of intervals and chance level in tables for machines, where a run has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nd_plugin.report.error_bars.records import ChanceLevel, LayerIntervals

if TYPE_CHECKING:
    from nd_plugin.report.layer_report import LayerReport
    from nd_plugin.results.dissection import Dissection

INTERVAL_COLUMNS = ("iou_low", "iou_high", "stability", "margin", "second_concept")
CHANCE_COLUMNS = ("p_value", "q_value")
ERROR_BAR_COLUMNS = INTERVAL_COLUMNS + CHANCE_COLUMNS


def error_bar_columns(dissections: Iterable[Dissection | None]) -> list[str]:
    """Return the columns that any of some layers has."""
    layers = [dissection for dissection in dissections if dissection is not None]
    columns: list[str] = []
    if any(layer.folds is not None for layer in layers):
        columns += INTERVAL_COLUMNS
    if any(layer.chance is not None for layer in layers):
        columns += CHANCE_COLUMNS
    return columns


def unit_values(dissection: Dissection | None, unit: int) -> dict[str, Any]:
    """Return the columns of one unit, those that its run has."""
    values: dict[str, Any] = {}
    if dissection is None:
        return values
    if dissection.folds is not None:
        values |= _interval_values(dissection, dissection.intervals(), unit)
    if dissection.chance is not None:
        values |= _chance_values(dissection.chance_level, unit)
    return values


def _interval_values(
    dissection: Dissection, intervals: LayerIntervals, unit: int
) -> dict[str, Any]:
    interval = intervals.iou(unit)
    second = int(intervals.seconds[unit])
    return {
        "iou_low": interval.low,
        "iou_high": interval.high,
        "stability": float(intervals.stability[unit]),
        "margin": float(intervals.margins[unit]),
        # that the unit matches best after its label
        "second_concept": dissection.concepts[second].name,
    }


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
