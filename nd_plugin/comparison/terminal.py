"""Comparisons in terminals: a table of counts, concepts of some layers only, warnings.

Layers stand side by side where they fit; else each line of the table becomes a paragraph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.comparison.compared_layers import FEWEST_LAYERS, ComparedLayer
from nd_plugin.comparison.concept_matches import ComparedConcept
from nd_plugin.report.colours import FAINT, WARNING, category_colours
from nd_plugin.report.elements import AdaptiveTable, Heading, facts_table
from nd_plugin.report.error_bars.texts import (
    count_text,
    detectors_interval,
    mean_count_text,
    per_cent,
    unique_interval,
)

if TYPE_CHECKING:
    from nd_plugin.comparison.layer_comparison import LayerComparison

CONCEPTS_NAMED = 12  # of one layer alone
NOT_SOUGHT = "*"  # behind concepts that some layer could not detect
LONGEST_HEADING = 20  # terminal cells; longer names are numbered, below a legend
LINE_ABOVE = (1, 0, 0, 0)  # padding
LINE_BELOW = (0, 0, 1, 0)


def render(comparison: LayerComparison) -> RenderableType:
    """Return counts side by side, concepts of one layer alone and of all, and warnings."""
    return Group(*_blocks(comparison))


def _blocks(comparison: LayerComparison) -> Iterator[RenderableType]:
    yield Heading(Text("side by side", style="bold"))
    headings = _headings(comparison.names)
    if headings != comparison.names:
        legend = tuple(zip(headings, comparison.names, strict=True))
        yield Padding(facts_table(legend), LINE_BELOW)
    yield _counts(comparison, headings)
    if comparison.concepts:
        yield Padding(_concepts(comparison, headings), LINE_ABOVE)
    if comparison.warnings:
        lines = [f"! {warning}" for warning in comparison.warnings]
        yield Padding(Text("\n".join(lines), style=WARNING), LINE_ABOVE)


def _headings(names: Sequence[str]) -> tuple[str, ...]:
    """Return names that head columns: numbers where a name is long."""
    if max(Text(name).cell_len for name in names) <= LONGEST_HEADING:
        return tuple(names)
    return tuple(f"#{number}" for number in range(1, len(names) + 1))


def _counts(comparison: LayerComparison, headings: Sequence[str]) -> AdaptiveTable:
    """Return a table with a column for each layer."""
    layers = comparison.layers
    colours = category_colours(comparison.categories)
    rows = [_row(name, values) for name, values in count_rows(layers)]
    for category in comparison.categories:
        values = [category_text(layer, category) for layer in layers]
        rows.append(_row(category, values, colours[category]))
    columns = tuple(range(1, len(layers) + 1))
    return AdaptiveTable(("", *headings), tuple(rows), lead=0, right=columns)


def count_rows(layers: Sequence[ComparedLayer]) -> list[tuple[str, list[str]]]:
    """Return the counts by which the paper compares layers: a name, and a text for each layer."""
    summaries = [layer.report.summary for layer in layers]
    rows = [
        ("unique detectors", [_unique_text(layer) for layer in layers]),
        ("unique / units", [f"{layer.ratio:.4f}" for layer in layers]),
        ("detectors", [_detectors_text(layer) for layer in layers]),
        ("units", [str(item.units) for item in summaries]),
        (
            "counted per category",
            [str(item.unique_detectors_per_category) for item in summaries],
        ),
    ]
    if any(item.images is not None for item in summaries):
        rows.append(("images", [_known(item.images) for item in summaries]))
    return rows + _chance_rows(layers)


def _unique_text(layer: ComparedLayer) -> str:
    """Return the unique detectors, with their interval where the run has folds."""
    count = layer.report.summary.unique_detectors
    return count_text(count, unique_interval(layer.report))


def _detectors_text(layer: ComparedLayer) -> str:
    count = layer.report.summary.detectors
    return count_text(count, detectors_interval(layer.report))


def _chance_rows(layers: Sequence[ComparedLayer]) -> list[tuple[str, list[str]]]:
    """Return the level of chance, where any run has permutations."""
    levels = [layer.report.chance_level for layer in layers]
    if not any(levels):
        return []
    means = [
        mean_count_text(level.detectors.mean) if level else "-" for level in levels
    ]
    rates = [
        per_cent(level.false_discovery_rate) if level else "-" for level in levels
    ]
    return [("detectors by chance", means), ("false-discovery rate", rates)]


def _known(count: int | None) -> str:
    return "?" if count is None else str(count)


def category_text(layer: ComparedLayer, category: str) -> str:
    """Return unique detectors of a category, and the units; "-" where the layer has none such."""
    if category not in layer.report.categories:
        return "-"
    unique = layer.report.summary.unique_detectors_by_category.get(category, 0)
    units = layer.report.summary.detectors_by_category.get(category, 0)
    noun = "unit" if units == 1 else "units"
    return f"{unique} ({units} {noun})" if units else str(unique)


def _row(name: str, values: Sequence[str], style: str = "") -> tuple[Text, ...]:
    return Text(name, style=style), *(Text(value) for value in values)


def _concepts(comparison: LayerComparison, headings: Sequence[str]) -> Text:
    """Return a line for each layer with the concepts that it alone has, and one of those of all."""
    groups = {
        f"only {heading}": comparison.only_in(index)
        for index, heading in enumerate(headings)
    }
    groups["all"] = comparison.shared()
    colours = category_colours(comparison.categories)
    lines = [_line(title, group, colours) for title, group in groups.items()]
    if len(comparison) > FEWEST_LAYERS:
        several = f"{_between(comparison)} in several, not in all"
        lines.append(Text(several, style=FAINT))
    if not all(concept.was_sought_everywhere for concept in comparison.concepts):
        legend = f"{NOT_SOUGHT} not in the concept set or images of every layer"
        lines.append(Text(legend, style=FAINT))
    return Text("\n").join(lines)


def _between(comparison: LayerComparison) -> int:
    """Count the concepts of more than one layer, and not of all."""
    return sum(
        1 < len(concept.detecting_layers) < len(comparison)
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
