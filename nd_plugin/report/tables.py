"""Tables of results for machines: units as CSV, layers as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nd_plugin.borders.csv_text import csv_table
from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.report.error_bars.columns import (
    error_bar_columns,
    error_bar_content,
    unit_values,
)
from nd_plugin.report.json_text import document_text
from nd_plugin.report.layer_report import (
    SCORE_NAMES,
    LayerReport,
    NearestMiss,
    UnitScore,
)
from nd_plugin.report.thresholds.sweep import quantile_sweeps
from nd_plugin.report.thresholds.tables import sweep_content

if TYPE_CHECKING:
    from nd_plugin.results.dissection import Dissection

UNIT_COLUMNS = (
    "unit",
    "concept",
    "category",
    "iou",
    "threshold",
    "intersection",
    "unit_area",
    "concept_area",
    "detector",
    *SCORE_NAMES[1:],
)
UNIT_IN_FILE = "unit_in_file"


def unit_row(score: UnitScore) -> dict[str, Any]:
    """Return the columns of units.csv of one unit; ``detector`` is 1 or 0."""
    row = {name: getattr(score, name) for name in UNIT_COLUMNS}
    row["detector"] = int(score.detector)
    return row


def unit_rows(
    scores: Iterable[UnitScore], dissection: Dissection | None
) -> list[dict[str, Any]]:
    """Return the columns of units.csv of each unit, and those of error bars where there are any."""
    return [
        {**unit_row(score), **unit_values(dissection, score.unit)}
        for score in scores
    ]


def units_csv(dissection: Dissection) -> str:
    """Return units.csv: a line for each unit, columns `UNIT_COLUMNS` and those of error bars."""
    columns = (*UNIT_COLUMNS, *error_bar_columns([dissection]))
    return csv_table(columns, unit_rows(dissection.unit_scores(), dissection))


def unit_contents(report: LayerReport) -> list[dict[str, Any]]:
    """Return everything that is known of each unit, by name."""
    return [
        {**asdict(score), **unit_values(report.dissection, score.unit)}
        for score in report.scores
    ]


def to_csv(reports: Sequence[LayerReport]) -> str:
    """Return a line for each unit of every layer: ``layer``, then the columns of units.csv.

    The column ``run`` precedes where there are several, and ``unit_in_file`` follows where a file
    that was read numbers its units from 1.
    """
    dissections = [report.dissection for report in reports]
    columns = ["layer", *UNIT_COLUMNS, *error_bar_columns(dissections)]
    if any(report.run for report in reports):
        columns.insert(0, "run")
    if any(report.first_unit_in_source for report in reports):
        columns.append(UNIT_IN_FILE)
    rows = []
    for report in reports:
        for of_unit in unit_rows(report.scores, report.dissection):
            row = {
                "run": report.run,
                "layer": report.layer,
                **of_unit,
                UNIT_IN_FILE: of_unit["unit"] + report.first_unit_in_source,
            }
            rows.append(row)
    # a run without error bars leaves their columns empty beside one that has them
    return csv_table(columns, rows)


def to_json(reports: Sequence[LayerReport]) -> str:
    """Return `layers_content` as a JSON document."""
    return document_text(layers_content(reports)) + "\n"


def layers_content(reports: Sequence[LayerReport]) -> dict[str, Any]:
    """Return, under ``layers``, the summary, units, nearest misses and notes of each layer.

    Layers at several quantiles have their counts over τ under ``quantile_sweeps``.
    """
    content: dict[str, Any] = {
        "layers": [_layer_content(report) for report in reports]
    }
    sweeps = quantile_sweeps(reports)
    if sweeps:
        content["quantile_sweeps"] = [sweep_content(sweep) for sweep in sweeps]
    return content


def _layer_content(report: LayerReport) -> dict[str, Any]:
    run = {"run": report.run} if report.run else {}
    return {
        **run,
        **report.summary.to_dict(),
        **error_bar_content(report),
        "min_iou": report.min_iou,
        "labelled_by": report.label_score,
        "precision": report.precision or None,
        "notes": list(report.notes),
        "nearest_misses": [_miss_content(miss) for miss in report.nearest_misses()],
        "unit_scores": [
            _unit_content(content, report.first_unit_in_source)
            for content in unit_contents(report)
        ],
    }


def _miss_content(miss: NearestMiss) -> dict[str, Any]:
    return {
        "category": miss.score.category,
        "concept": miss.score.concept,
        "iou": miss.score.iou,
        "unit": miss.score.unit,
        "detects": miss.label or None,
    }


def _unit_content(
    content: dict[str, Any], first_unit_in_source: int
) -> dict[str, Any]:
    """Return a unit's score; with its number in the file that was read, where that differs."""
    if first_unit_in_source:
        return {**content, UNIT_IN_FILE: content["unit"] + first_unit_in_source}
    return content


def dissection_json(
    report: LayerReport, settings: Settings, provenance: Provenance
) -> str:
    """Return everything of one layer but its arrays: summary, units, notes, what was run."""
    content = {
        "summary": report.summary.to_dict(),
        **error_bar_content(report),
        "units": unit_contents(report),
        "notes": list(report.notes),
        "settings": asdict(settings),
        "provenance": asdict(provenance),
    }
    return document_text(content)
