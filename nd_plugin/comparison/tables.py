"""Content of a comparison as plain values, for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.comparison.concept_matches import ComparedConcept
from nd_plugin.comparison.differences import Difference, unrecorded_warnings
from nd_plugin.report.error_bars.columns import error_bar_content


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
    """Return the counts of a layer; ``unique_ratio`` is unique detectors divided by units."""
    return {
        "name": layer.name,
        "run": layer.run,
        **layer.report.summary.to_dict(),
        **error_bar_content(layer.report),
        "unique_ratio": layer.ratio,
        "min_iou": layer.report.min_iou,
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
