"""Tables of results for machines: units as CSV, layers as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.report.layer_report import LayerReport, UnitScore

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
)


def unit_row(score: UnitScore) -> dict[str, Any]:
    """Return the columns of units.csv of one unit; ``detector`` is 1 or 0."""
    row = {name: getattr(score, name) for name in UNIT_COLUMNS}
    row["detector"] = int(score.detector)
    return row


def units_csv(scores: Sequence[UnitScore]) -> str:
    """Return units.csv: a line for each unit, columns `UNIT_COLUMNS`."""
    return _csv(UNIT_COLUMNS, [unit_row(score) for score in scores])


def to_csv(reports: Sequence[LayerReport]) -> str:
    """Return a line for each unit of every layer: ``layer``, then the columns of units.csv."""
    rows = []
    for report in reports:
        for score in report.scores:
            rows.append({"layer": report.layer, **unit_row(score)})
    return _csv(("layer", *UNIT_COLUMNS), rows)


def _csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(reports: Sequence[LayerReport]) -> str:
    """Return a list of summaries, one for each layer, each with its notes."""
    content = []
    for report in reports:
        content.append({**report.summary.to_dict(), "notes": list(report.notes)})
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def dissection_json(
    report: LayerReport, settings: Settings, provenance: Provenance
) -> str:
    """Return everything of one layer but its arrays: summary, units, notes, what was run."""
    content = {
        "summary": report.summary.to_dict(),
        "units": [asdict(score) for score in report.scores],
        "notes": list(report.notes),
        "settings": asdict(settings),
        "provenance": asdict(provenance),
    }
    return json.dumps(content, indent=1, allow_nan=False)
