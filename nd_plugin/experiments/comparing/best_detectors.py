"""Units of each network that match a concept best: figure 11 of the paper, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.comparison.concept_matches import (
    LABELS_ALONE,
    ComparedConcept,
    ConceptKey,
    ConceptMatch,
    known_concepts,
    match_concepts,
)
from nd_plugin.comparison.concept_views import summary_of
from nd_plugin.comparison.label_names import (
    label_names,
    plain_concept_name,
    plain_name,
)
from nd_plugin.comparison.layer_comparison import LayerComparison
from nd_plugin.errors import BadInput, nearest
from nd_plugin.report.elements import AdaptiveTable, Heading

UNITS_SHOWN = 2  # of a concept in each layer, as in the paper's figure
LABELS_SHOWN = 5  # units with the label, where labels have no IoU


@dataclass(frozen=True)
class BestDetectors:
    """Units of each layer that match one concept best."""

    concept: ComparedConcept
    layers: tuple[ComparedLayer, ...]
    # of each layer with labels without IoU: the units that have the concept as label
    labelled: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        rows = zip(self.layers, self.concept.matches, self.labelled, strict=True)
        return {
            "category": self.concept.category or None,
            "concept": self.concept.concept,
            "layers": {
                layer.name: {**match.to_dict(), "labelled": list(units)}
                for layer, match, units in rows
            },
        }

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        concept = self.concept
        category = f" ({concept.category})" if concept.category else ""
        yield Heading(Text(f"{concept.concept}{category}", style="bold"))
        rows = zip(self.layers, concept.matches, self.labelled, strict=True)
        table = [_row(layer, match, units) for layer, match, units in rows]
        headers = ("", "best units", "detectors", "mean IoU")
        yield AdaptiveTable(headers, tuple(table), lead=0, right=(2, 3))


def find_best_detectors(
    comparison: LayerComparison, name: str
) -> list[BestDetectors]:
    """Return a concept in all layers, once for each category that has one of this name.

    Case does not count. Raises BadInput for a name that no layer can tell of.
    """
    layers = comparison.layers
    keys = known_concepts(layers)
    chosen = [key for key in keys if key[1].casefold() == name.casefold()]
    labels = [label_names(layer) for layer in layers if not layer.has_detectors]
    is_label = any(plain_concept_name(("", name)) in counts for counts in labels)
    if not chosen and is_label:
        chosen = [("", name)]
    if not chosen:
        raise BadInput(_unknown(name, keys))
    return [
        BestDetectors(
            concept,
            layers,
            tuple(_labelled(layer, concept.key) for layer in layers),
        )
        for concept in match_concepts(layers, chosen)
    ]


def _unknown(name: str, keys: Sequence[ConceptKey]) -> str:
    names = list(dict.fromkeys(own_name for _, own_name in keys))
    if not names:
        return f"no concept {name!r}: the results have counts without units"
    similar = nearest(name, names)
    suggestions = f"; the nearest are {', '.join(similar)}" if similar else ""
    return f"no concept {name!r} among the {len(names)} of the results{suggestions}"


def _labelled(layer: ComparedLayer, key: ConceptKey) -> tuple[int, ...]:
    """Return the units whose label without IoU is a concept, by name alone."""
    if layer.has_detectors:
        return ()
    name = plain_concept_name(key)
    scores = layer.report.scores
    return tuple(score.unit for score in scores if plain_name(score) == name)


def _row(
    layer: ComparedLayer, match: ConceptMatch, labelled: Sequence[int]
) -> tuple[Text, ...]:
    """Return a layer's best units with their IoU, and how many detect the concept."""
    mean = "" if match.mean_iou is None else f"{match.mean_iou:.4f}"
    count = str(len(match.detectors)) if match.is_known else "?"
    return (
        Text(layer.name),
        Text(_units_text(match, labelled)),
        Text(count),
        Text(mean),
    )


def _units_text(match: ConceptMatch, labelled: Sequence[int]) -> str:
    if labelled:
        beyond = len(labelled) - LABELS_SHOWN
        more = f" and {beyond} more" if beyond > 0 else ""
        listed = ", ".join(map(str, labelled[:LABELS_SHOWN]))
        return f"{listed}{more} (labels without IoU)"
    units = match.detectors[:UNITS_SHOWN]
    if not units and match.nearest is not None:
        nearest_unit = match.nearest
        return f"{nearest_unit.unit}: {nearest_unit.iou:.4f} ({summary_of(match)})"
    if not units:
        is_labelled = match.reason == LABELS_ALONE
        return "no label of this name" if is_labelled else match.reason
    return ", ".join(f"{unit.unit}: {unit.iou:.4f}" for unit in units)
