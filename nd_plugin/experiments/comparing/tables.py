"""Tables of a comparison as CSV: a line for each layer, and one for each concept of each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nd_plugin.borders.csv_text import csv_table
from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.comparison.layer_comparison import LayerComparison

LAYER_COLUMNS = (
    "name",
    "run",
    "layer",
    "recorded",
    "units",
    "detectors",
    "unique_detectors",
    "unique_ratio",
    "unique_low",
    "unique_high",
    "unique_detectors_per_category",
    "per_category_ratio",
    "distinct_labels",
)
CONCEPT_COLUMNS = (
    "category",
    "concept",
    "name",
    "detectors",
    "mean_iou",
    "best_unit",
    "best_iou",
)


def layers_csv(comparison: LayerComparison) -> str:
    """Return a line for each layer: `LAYER_COLUMNS`, then unique detectors of each category.

    ``unique_CATEGORY`` counts labels of detectors, ``per_category_CATEGORY`` best-in-category
    concepts, as the authors' plots do. What a source does not tell is empty.
    """
    categories = comparison.categories
    columns = [*LAYER_COLUMNS]
    columns += [f"unique_{category}" for category in categories]
    columns += [f"per_category_{category}" for category in categories]
    return csv_table(
        columns, [_layer_row(layer, categories) for layer in comparison.layers]
    )


def _layer_row(layer: ComparedLayer, categories: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": layer.name,
        "run": layer.run,
        "layer": layer.layer,
        "recorded": layer.report.recorded,
        "units": layer.units,
        "detectors": layer.detectors,
        "unique_detectors": layer.unique_detectors,
        "unique_ratio": layer.ratio,
        "unique_detectors_per_category": layer.unique_per_category,
        "per_category_ratio": layer.ratio_per_category,
        "distinct_labels": layer.distinct_labels,
    }
    interval = layer.unique_interval
    if interval is not None:
        row["unique_low"], row["unique_high"] = interval.low, interval.high
    unique = (
        layer.category_counts(per_category=False).unique if layer.has_units else {}
    )
    counted = (
        layer.category_counts(per_category=True).unique
        if layer.has_detectors
        else {}
    )
    for category in categories:
        row[f"unique_{category}"] = unique.get(category)
        row[f"per_category_{category}"] = counted.get(category)
    return row


def concepts_csv(comparison: LayerComparison) -> str:
    """Return a line for each concept of each layer with units: what figure 10 shows.

    ``best_unit`` and ``best_iou`` are of the unit that comes nearest where none is a detector.
    """
    rows = []
    for concept in comparison.concepts:
        for layer, match in zip(comparison.layers, concept.matches, strict=True):
            if not match.is_known:
                continue
            best = match.best
            row = {
                "category": concept.category,
                "concept": concept.concept,
                "name": layer.name,
                "detectors": len(match.detectors),
                "mean_iou": match.mean_iou,
                "best_unit": None if best is None else best.unit,
                "best_iou": None if best is None else best.iou,
            }
            rows.append(row)
    return csv_table(CONCEPT_COLUMNS, rows)
