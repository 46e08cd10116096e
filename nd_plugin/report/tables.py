"""Reports for machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

from nd_plugin.report.layer_report import LayerReport, UnitScore


def to_json(reports: Sequence[LayerReport]) -> str:
    """A list of summaries, one per layer, each with its notes."""
    content = [{**report.summary.to_dict(), "notes": list(report.notes)} for report in reports]
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def to_csv(reports: Sequence[LayerReport]) -> str:
    """One line per unit of every layer."""
    text = io.StringIO()
    columns = list(UnitScore.__dataclass_fields__)
    writer = csv.DictWriter(text, ["layer", *columns], lineterminator="\n")
    writer.writeheader()
    for report in reports:
        writer.writerows({"layer": report.layer, **asdict(score)} for score in report.scores)
    return text.getvalue()
