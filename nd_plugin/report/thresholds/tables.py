"""Tables of sweeps over quantiles: for terminals, as CSV, as plain values."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.report.colours import FAINT
from nd_plugin.report.elements import AdaptiveTable, Heading
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.report.thresholds.sweep import (
    QuantileSweep,
    SweepPoint,
    quantile_sweeps,
)

COLUMNS = (
    "quantile",
    "units",
    "detectors",
    "unique_detectors",
    "median_iou",
    "kept_labels",
    "best_units",
)
# columns of each category, such as ``unique_object``
CATEGORY_COLUMNS = {
    "unique": "unique_detectors_by_category",
    "detectors": "detectors_by_category",
    "labels": "labels_by_category",
}
LINE_BELOW = (0, 0, 1, 0)  # padding


def render(sweep: QuantileSweep) -> RenderableType:
    """Return a row for each quantile: unique detectors, in all and by category, and IoU."""
    heading = Heading(Text(f"{sweep.title} over τ", style="bold"))
    categories = sweep.categories
    headers = (
        "τ",
        "unique",
        *categories,
        "detectors",
        "median IoU",
        "same",
        "best",
    )
    rows = [_row(point, categories) for point in sweep.points]
    numbers = tuple(range(1, len(headers)))
    legend = (
        f"same: units of {sweep.units} with the label that they have at τ {sweep.reference:g}; "
        "best: units whose IoU is the highest at this τ"
    )
    return Group(
        heading,
        AdaptiveTable(headers, tuple(rows), lead=0, right=numbers),
        Padding(Text(legend, style=FAINT), LINE_BELOW),
    )


def _row(point: SweepPoint, categories: Sequence[str]) -> tuple[Text, ...]:
    unique = point.unique_detectors_by_category
    values = [
        f"{point.quantile:g}",
        str(point.unique_detectors),
        *(str(unique.get(category, 0)) for category in categories),
        str(point.detectors),
        f"{point.median_iou:.4f}",
        str(point.kept_labels),
        str(point.best_units),
    ]
    return tuple(map(Text, values))


def sweep_content(sweep: QuantileSweep) -> dict[str, Any]:
    """Return plain values, ready for JSON: a point for each quantile, the best τ of each unit."""
    report = sweep.reports[0]
    run = {"run": report.run} if report.run else {}
    return {
        **run,
        "layer": report.layer,
        "units": sweep.units,
        "min_iou": report.min_iou,
        "reference": sweep.reference,
        "points": [asdict(point) for point in sweep.points],
        "best_quantiles": list(sweep.best_quantiles),
    }


def to_csv(reports: Sequence[LayerReport]) -> str:
    """Return a line for each layer and quantile, of layers at several quantiles.

    Columns: ``run`` where there are several, ``layer``, `COLUMNS`, and for each category
    ``unique_CATEGORY``, ``detectors_CATEGORY`` and ``labels_CATEGORY`` (units with a label of it).
    """
    return sweeps_csv(quantile_sweeps(reports))


def sweeps_csv(sweeps: Sequence[QuantileSweep]) -> str:
    """Return sweeps as `to_csv` does."""
    categories: dict[str, None] = {}
    for sweep in sweeps:
        categories.update(dict.fromkeys(sweep.categories))
    columns = ["layer", *COLUMNS]
    if any(sweep.reports[0].run for sweep in sweeps):
        columns.insert(0, "run")
    for category in categories:
        columns += [f"{kind}_{category}" for kind in CATEGORY_COLUMNS]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, columns, lineterminator="\n", extrasaction="ignore"
    )
    writer.writeheader()
    for sweep in sweeps:
        writer.writerows(_csv_rows(sweep))
    return text.getvalue()


def _csv_rows(sweep: QuantileSweep) -> list[dict[str, Any]]:
    report = sweep.reports[0]
    rows = []
    for point in sweep.points:
        row = {"run": report.run, "layer": report.layer, "units": sweep.units}
        row |= {name: getattr(point, name) for name in COLUMNS if name != "units"}
        for kind, field in CATEGORY_COLUMNS.items():
            counts = getattr(point, field)
            row |= {
                f"{kind}_{name}": counts.get(name, 0) for name in sweep.categories
            }
        rows.append(row)
    return rows
