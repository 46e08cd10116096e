"""Tables of sweeps over quantiles: for terminals, as CSV, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.borders.csv_text import csv_table
from nd_plugin.report.colours import FAINT
from nd_plugin.report.elements import AdaptiveTable, Heading
from nd_plugin.report.error_bars.texts import count_text, mean_count_text
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
ERROR_BARS = ("intervals", "chance_detectors", "chance_unique_detectors")
ERROR_BAR_COLUMNS = (
    "unique_low",
    "unique_high",
    "chance_detectors",
    "chance_unique",
)
LINE_BELOW = (0, 0, 1, 0)  # padding


def render(sweep: QuantileSweep) -> RenderableType:
    """Return a row for each quantile: unique detectors, in all and by category, and IoU."""
    heading = Heading(Text(f"{sweep.title} over τ", style="bold"))
    categories = sweep.categories
    has_chance = any(_has_chance(point) for point in sweep.points)
    chance = ("by chance",) if has_chance else ()
    headers = (
        "τ",
        "unique",
        *chance,
        *categories,
        "detectors",
        "median IoU",
        "same",
        "best",
    )
    rows = [
        _row(point, categories, has_chance=has_chance) for point in sweep.points
    ]
    numbers = tuple(range(1, len(headers)))
    legend = (
        f"same: units of {sweep.units} with the label that they have at τ {sweep.reference:g}; "
        "best: units whose IoU is the highest at this τ"
    )
    if has_chance:
        legend = f"by chance: unique detectors to expect; {legend}"
    return Group(
        heading,
        AdaptiveTable(headers, tuple(rows), lead=0, right=numbers),
        Padding(Text(legend, style=FAINT), LINE_BELOW),
    )


def _has_chance(point: SweepPoint) -> bool:
    return point.chance_unique_detectors is not None


def _row(
    point: SweepPoint, categories: Sequence[str], *, has_chance: bool
) -> tuple[Text, ...]:
    unique = point.unique_detectors_by_category
    intervals = point.intervals
    interval = None if intervals is None else intervals.unique_detectors
    chance = point.chance_unique_detectors
    chance_text = "" if chance is None else mean_count_text(chance)
    values = [
        f"{point.quantile:g}",
        count_text(point.unique_detectors, interval),
        *((chance_text,) if has_chance else ()),
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
        "points": [_point_content(point) for point in sweep.points],
        "best_quantiles": list(sweep.best_quantiles),
    }


def _point_content(point: SweepPoint) -> dict[str, Any]:
    """Return plain values; intervals and chance where there are any."""
    content = {field.name: getattr(point, field.name) for field in fields(point)}
    intervals = point.intervals
    content["intervals"] = None if intervals is None else intervals.to_dict()
    return {
        name: value
        for name, value in content.items()
        if value is not None or name not in ERROR_BARS
    }


def to_csv(reports: Sequence[LayerReport]) -> str:
    """Return a line for each layer and quantile, of layers at several quantiles.

    Columns: ``run`` where there are several, ``layer``, `COLUMNS`, and for each category
    ``unique_CATEGORY``, ``detectors_CATEGORY`` and ``labels_CATEGORY`` (units with a label of it);
    where runs have folds or permutations, `ERROR_BAR_COLUMNS`.
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
    if any(_has_error_bars(point) for sweep in sweeps for point in sweep.points):
        columns += ERROR_BAR_COLUMNS
    return csv_table(columns, [row for sweep in sweeps for row in _csv_rows(sweep)])


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
        row |= _error_bar_values(point)
        rows.append(row)
    return rows


def _has_error_bars(point: SweepPoint) -> bool:
    return point.intervals is not None or _has_chance(point)


def _error_bar_values(point: SweepPoint) -> dict[str, Any]:
    """Return the values of `ERROR_BAR_COLUMNS` that there are."""
    values: dict[str, Any] = {
        "chance_detectors": point.chance_detectors,
        "chance_unique": point.chance_unique_detectors,
    }
    if point.intervals is not None:
        unique = point.intervals.unique_detectors
        values |= {"unique_low": unique.low, "unique_high": unique.high}
    return values
