"""Comparisons in terminals: a table of counts, concepts of some layers only, warnings.

Up to six layers stand side by side, more below each other. Where a table does not fit, each of its
lines becomes a paragraph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.comparison.concept_lines import concept_lines, overlap_lines
from nd_plugin.report.colours import FAINT, WARNING, category_colours
from nd_plugin.report.elements import AdaptiveTable, Heading, facts_table
from nd_plugin.report.error_bars.texts import (
    count_text,
    detectors_interval,
    intervals_line,
    mean_count_text,
    per_cent,
)

if TYPE_CHECKING:
    from nd_plugin.comparison.layer_comparison import LayerComparison

MOST_COLUMNS = 6  # layers side by side
UNKNOWN = "?"
NARROW_GAP = 1  # terminal cells, between the many columns of a row for each layer
ROWS_LEGEND = (
    "unique: distinct concepts, of the units that detect one; ratio: to all units"
)
LONGEST_HEADING = 20  # terminal cells; longer names are numbered, below a legend
LINE_ABOVE = (1, 0, 0, 0)  # padding
LINE_BELOW = (0, 0, 1, 0)


def render(comparison: LayerComparison) -> RenderableType:
    """Return counts side by side, concepts of one layer alone and of all, and warnings."""
    return Group(*_blocks(comparison))


def _blocks(comparison: LayerComparison) -> Iterator[RenderableType]:
    yield Heading(Text("side by side", style="bold"))
    if len(comparison) > MOST_COLUMNS:
        yield _layer_rows(comparison)
        yield Text(ROWS_LEGEND, style=FAINT)
        headings = comparison.names
    else:
        headings = _headings(comparison.names)
        if headings != comparison.names:
            legend = tuple(zip(headings, comparison.names, strict=True))
            yield Padding(facts_table(legend), LINE_BELOW)
        yield _counts(comparison, headings)
    for line in _interval_lines(comparison):
        yield Text(line, style=FAINT)
    if comparison.concepts and comparison.has_several_of_units:
        yield Padding(concept_lines(comparison, headings), LINE_ABOVE)
    if comparison.name_overlaps:
        yield Padding(overlap_lines(comparison.name_overlaps), LINE_ABOVE)
    remarks = [*comparison.warnings, *comparison.file_notes]
    if remarks:
        lines = [Text(f"! {remark}") for remark in remarks]
        yield Padding(Text("\n", style=WARNING).join(lines), LINE_ABOVE)


def _interval_lines(comparison: LayerComparison) -> list[str]:
    """Return what the intervals of counts are, each kind once."""
    intervals = [layer.report.intervals for layer in comparison.layers]
    lines = [intervals_line(item) for item in intervals if item is not None]
    return list(dict.fromkeys(lines))


def _headings(names: Sequence[str]) -> tuple[str, ...]:
    """Return names that head columns: numbers where a name is long."""
    if max(Text(name).cell_len for name in names) <= LONGEST_HEADING:
        return tuple(names)
    return tuple(f"#{number}" for number in range(1, len(names) + 1))


def _counts(comparison: LayerComparison, headings: Sequence[str]) -> AdaptiveTable:
    """Return a table with a column for each layer."""
    layers = comparison.layers
    colours = category_colours(comparison.categories)
    rows = [_row(name, values) for name, values in count_rows(comparison)]
    for category in comparison.categories:
        values = category_texts(comparison, category)
        rows.append(_row(category, values, colours[category]))
    columns = tuple(range(1, len(layers) + 1))
    return AdaptiveTable(("", *headings), tuple(rows), lead=0, right=columns)


def _layer_rows(comparison: LayerComparison) -> AdaptiveTable:
    """Return a table with a row for each layer: unique detectors, also by category."""
    categories = comparison.categories
    colours = category_colours(categories)
    per_category = comparison.is_per_category
    has_labels = not all(layer.has_detectors for layer in comparison.layers)
    rows = []
    for layer in comparison.layers:
        unique = _unique_text(layer, per_category=per_category)
        ratio = layer.ratio_per_category if per_category else layer.ratio
        counts = layer.category_counts(per_category=per_category).unique
        texts = [
            _known(layer.units),
            unique
            if unique == UNKNOWN
            else f"{unique} of {_known(layer.detectors)}",
            UNKNOWN if ratio is None else f"{ratio:.3f}",
        ]
        if has_labels:
            texts.append(_known(layer.distinct_labels))
        cells = [Text(text) for text in texts]
        for category in categories:
            count = str(counts[category]) if category in counts else "-"
            cells.append(Text(count, colours[category]))
        rows.append((Text(layer.name), *cells))
    labels = ("labels",) if has_labels else ()
    headers = ("", "units", "unique", "ratio", *labels, *categories)
    right = tuple(range(1, len(headers)))
    return AdaptiveTable(headers, tuple(rows), lead=0, right=right, gap=NARROW_GAP)


def _unique_text(layer: ComparedLayer, *, per_category: bool) -> str:
    """Return the number of unique detectors, with its interval where that is known."""
    if per_category:
        return _known(layer.unique_per_category)
    count = layer.unique_detectors
    if count is None:
        return UNKNOWN
    return count_text(count, layer.unique_interval)


def _detectors_text(layer: ComparedLayer) -> str:
    if layer.detectors is None:
        return UNKNOWN
    return count_text(layer.detectors, detectors_interval(layer.report))


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


def count_rows(comparison: LayerComparison) -> list[tuple[str, list[str]]]:
    """Return the counts by which the paper compares layers: a name, and a text for each layer.

    Unique detectors of the paper's text are left out where no layer has them.
    """
    layers = comparison.layers
    rows: list[tuple[str, list[str]]] = []
    if any(layer.has_units for layer in layers):
        unique = [_unique_text(layer, per_category=False) for layer in layers]
        rows.append(("unique detectors", unique))
        rows.append(("unique / units", [_share(layer.ratio) for layer in layers]))
    rows += [
        ("detectors", [_detectors_text(layer) for layer in layers]),
        ("units", [_known(layer.units) for layer in layers]),
        (
            "counted per category",
            [_known(layer.unique_per_category) for layer in layers],
        ),
    ]
    if comparison.is_per_category:
        shares = [_share(layer.ratio_per_category) for layer in layers]
        rows.append(("per category / units", shares))
    if not all(layer.has_detectors for layer in layers):
        labels = [_known(layer.distinct_labels) for layer in layers]
        rows.append(("distinct labels", labels))
    if any(layer.report.summary.images is not None for layer in layers):
        images = [_known(layer.report.summary.images) for layer in layers]
        rows.append(("images", images))
    return rows + _chance_rows(layers)


def _known(count: int | None) -> str:
    return UNKNOWN if count is None else str(count)


def _share(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.4f}"


def category_texts(comparison: LayerComparison, category: str) -> list[str]:
    """Return the text of `category_text` for each layer."""
    per_category = comparison.is_per_category
    return [
        category_text(layer, category, per_category=per_category)
        for layer in comparison.layers
    ]


def category_text(
    layer: ComparedLayer, category: str, *, per_category: bool = False
) -> str:
    """Return unique detectors of a category, and the units; "-" where the layer has none such."""
    if category not in layer.report.categories:
        return "-"
    counts = layer.category_counts(per_category=per_category)
    unique = counts.unique.get(category, 0)
    units = counts.units.get(category, 0)
    noun = "unit" if units == 1 else "units"
    return f"{unique} ({units} {noun})" if units else str(unique)


def _row(name: str, values: Sequence[str], style: str = "") -> tuple[Text, ...]:
    return Text(name, style=style), *(Text(value) for value in values)
