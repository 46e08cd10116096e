"""Comparisons in notebooks: bars by category, concepts of each layer with a top image, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nd_plugin.comparison.compared_layers import FEWEST_LAYERS, ComparedLayer
from nd_plugin.comparison.concept_matches import ComparedConcept, ConceptMatch
from nd_plugin.comparison.concept_views import summary_of
from nd_plugin.comparison.terminal import category_texts, count_rows
from nd_plugin.notebook.fragments import THUMBNAILS, rendered
from nd_plugin.notebook.layer_fragment import Picture, unit_pictures
from nd_plugin.report.colours import category_colours
from nd_plugin.site.summary_charts import Bar, stacked_bars

if TYPE_CHECKING:
    from nd_plugin.comparison.layer_comparison import LayerComparison

CONCEPTS = 20  # rows, those with the highest IoU
PICTURES = 2  # of a unit
NAMES = 12  # of concepts that one layer alone has


@dataclass(frozen=True)
class Cell:
    """Concept in one layer."""

    match: ConceptMatch
    summary: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Row:
    """Concept in all layers."""

    concept: ComparedConcept
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Concepts that the same layers detect."""

    title: str
    names: tuple[str, ...]  # the first of them
    count: int


def comparison_fragment(comparison: LayerComparison) -> str:
    """Return a piece of HTML on a comparison; every text is escaped."""
    layers = comparison.layers
    categories = comparison.categories
    per_category = comparison.is_per_category
    reports = [layer.counted_report(per_category=per_category) for layer in layers]
    longest = max(report.summary.unique_detectors for report in reports)
    bars: list[list[Bar]] = [
        stacked_bars(report, categories, longest) for report in reports
    ]
    counts = count_rows(comparison)
    for category in categories:
        counts.append((category, category_texts(comparison, category)))
    return rendered(
        "comparison.html",
        names=comparison.names,
        bars=bars,
        counts=counts,
        colours=category_colours(categories),
        groups=_groups(comparison),
        rows=_rows(comparison),
        beyond=max(0, len(comparison.concepts) - CONCEPTS),
        warnings=(*comparison.warnings, *comparison.file_notes),
        most_warnings=len(comparison.warnings) + len(comparison.file_notes),
    )


def _groups(comparison: LayerComparison) -> list[Group]:
    groups = [_group("in every layer", comparison.shared())]
    for index, name in enumerate(comparison.names):
        groups.append(_group(f"only in {name}", comparison.only_in(index)))
    counted = sum(group.count for group in groups)
    several = len(comparison.concepts) - counted
    if len(comparison) > FEWEST_LAYERS:
        groups.append(Group("in several, not in all", (), several))
    return groups


def _group(title: str, concepts: Sequence[ComparedConcept]) -> Group:
    best = sorted(concepts, key=lambda concept: -concept.best_iou)
    names = tuple(concept.concept for concept in best[:NAMES])
    return Group(title, names, len(concepts))


def _rows(comparison: LayerComparison) -> list[Row]:
    """Return the concepts with the highest IoU, with as many pictures as keep this small."""
    best = sorted(comparison.concepts, key=lambda concept: -concept.best_iou)
    shown = best[:CONCEPTS]
    cells = len(shown) * len(comparison)
    pictures = min(PICTURES, THUMBNAILS // max(cells, 1))
    rows = []
    for concept in shown:
        pairs = zip(comparison.layers, concept.matches, strict=True)
        cells_of_row = tuple(
            _cell(layer, match, pictures) for layer, match in pairs
        )
        rows.append(Row(concept, cells_of_row))
    return rows


def _cell(layer: ComparedLayer, match: ConceptMatch, pictures: int) -> Cell:
    images: tuple[Picture, ...] = ()
    if match.best is not None:
        images = unit_pictures(layer.report, match.best.unit, pictures)
    return Cell(match, summary_of(match), images)
