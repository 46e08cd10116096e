"""Content of a comparison as plain values, for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.comparison.concept_matches import ComparedConcept
from nd_plugin.comparison.differences import Difference, unrecorded_warnings
from nd_plugin.report.error_bars.columns import error_bar_content

# keys of a summary that sources of counts or labels say nothing of
UNTOLD_WITHOUT_UNITS = (
    "unique_detectors",
    "unique_detectors_by_category",
    "detectors_by_category",
    "dead",
    "sparse",
)


def comparison_content(
    layers: Sequence[ComparedLayer],
    concepts: Sequence[ComparedConcept],
    differences: Sequence[Difference],
) -> dict[str, Any]:
    """Return layers with their counts, concepts with the units that match them, differences."""
    warnings = [difference.warning for difference in differences]
    return {
        "layers": [_layer_content(layer) for layer in layers],
        "concepts": [_concept_content(concept, layers) for concept in concepts],
        "differences": [difference.to_dict() for difference in differences],
        "warnings": warnings + unrecorded_warnings(layers),
    }


def _layer_content(layer: ComparedLayer) -> dict[str, Any]:
    """Return the counts of a layer; ``unique_ratio`` is unique detectors divided by units.

    What the source does not tell is None. ``per_category`` has the counts of the authors' plots.
    """
    summary = layer.report.summary.to_dict()
    if not layer.has_units:
        summary |= dict.fromkeys(UNTOLD_WITHOUT_UNITS)
        summary |= {"units": layer.units, "detectors": layer.detectors}
    counts = layer.category_counts(per_category=True)
    return {
        "name": layer.name,
        "run": layer.run,
        "recorded": layer.report.recorded,
        **summary,
        "unique_detectors_per_category": layer.unique_per_category,
        "per_category": None if not layer.has_detectors else asdict(counts),
        "unique_ratio": layer.ratio,
        "per_category_ratio": layer.ratio_per_category,
        "distinct_labels": layer.distinct_labels,
        "min_iou": layer.report.min_iou if layer.has_detectors else None,
        **error_bar_content(layer.report),
    }


def _concept_content(
    concept: ComparedConcept, layers: Sequence[ComparedLayer]
) -> dict[str, Any]:
    """Return a concept's match in each layer, by the layer's name."""
    matches = {
        layer.name: match.to_dict()
        for layer, match in zip(layers, concept.matches, strict=True)
    }
    return {
        "category": concept.category,
        "concept": concept.concept,
        "layers": matches,
    }
