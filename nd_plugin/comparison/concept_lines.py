"""Concepts of a comparison in terminals: of one layer alone, of all, and labels in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from nd_plugin.comparison.compared_layers import FEWEST_LAYERS
from nd_plugin.comparison.concept_matches import ComparedConcept
from nd_plugin.comparison.label_names import NameOverlap
from nd_plugin.report.colours import FAINT, category_colours

if TYPE_CHECKING:
    from nd_plugin.comparison.layer_comparison import LayerComparison

CONCEPTS_NAMED = 12  # of one layer alone
PAIRS_SHOWN = 10  # of layers with labels in common
NOT_SOUGHT = "*"  # behind concepts that some layer could not detect


def concept_lines(comparison: LayerComparison, headings: Sequence[str]) -> Text:
    """Return a line for each layer with the concepts that it alone has, and one of those of all."""
    groups = {
        f"only {heading}": comparison.only_in(index)
        for index, heading in enumerate(headings)
        if comparison.layers[index].has_units
    }
    groups["all"] = comparison.shared()
    colours = category_colours(comparison.categories)
    lines = [_line(title, group, colours) for title, group in groups.items()]
    if len(groups) > FEWEST_LAYERS + 1:
        several = f"{_between(comparison)} in several, not in all"
        lines.append(Text(several, style=FAINT))
    if not all(concept.was_sought_everywhere for concept in comparison.concepts):
        legend = f"{NOT_SOUGHT} not in the concept set or images of every layer"
        lines.append(Text(legend, style=FAINT))
    return Text("\n").join(lines)


def _between(comparison: LayerComparison) -> int:
    """Count the concepts of more than one layer, and not of all."""
    return sum(
        len(concept.detecting_layers) > 1 and not concept.is_shared
        for concept in comparison.concepts
    )


def _line(
    title: str, concepts: Sequence[ComparedConcept], colours: Mapping[str, str]
) -> Text:
    """Return a title, the number of concepts, and the first by IoU in their categories' colours."""
    best = sorted(concepts, key=lambda concept: -concept.best_iou)
    names = [
        Text(_marked(concept), style=colours[concept.category])
        for concept in best[:CONCEPTS_NAMED]
    ]
    line = Text.assemble((title, "bold"), f" ({len(concepts)})")
    if names:
        line.append(": ")
        line.append(Text(", ").join(names))
    beyond = len(concepts) - len(names)
    if beyond > 0:
        line.append(f" and {beyond} more", style=FAINT)
    return line


def _marked(concept: ComparedConcept) -> str:
    return concept.concept + ("" if concept.was_sought_everywhere else NOT_SOUGHT)


def overlap_lines(overlaps: Sequence[NameOverlap]) -> Text:
    """Return a line for each pair of layers with labels in common, those with most first."""
    pairs = [overlap for overlap in overlaps if overlap.names]
    pairs.sort(key=lambda overlap: -len(overlap.names))
    lines = [_overlap_line(overlap) for overlap in pairs[:PAIRS_SHOWN]]
    beyond = len(pairs) - len(lines)
    if beyond:
        lines.append(Text(f"and {beyond} more pairs (--json has all)", style=FAINT))
    without_names = len(overlaps) - len(pairs)
    if without_names:
        noun = "pair has" if without_names == 1 else "pairs have"
        remark = f"{without_names} {noun} no label in common by name"
        lines.append(Text(remark, style=FAINT))
    return Text("\n").join(lines)


def _overlap_line(overlap: NameOverlap) -> Text:
    """Return the labels that two layers have in common, the first of them."""
    title = f"by name in {overlap.first} and {overlap.second}"
    names = ", ".join(overlap.names[:CONCEPTS_NAMED])
    line = Text.assemble((title, "bold"), f" ({len(overlap.names)}): {names}")
    beyond = len(overlap.names) - CONCEPTS_NAMED
    if beyond > 0:
        line.append(f" and {beyond} more", style=FAINT)
    return line
