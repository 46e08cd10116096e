"""Comparison of two models as text for a terminal, and as plain values for JSON.

What became of the origin's detectors comes first. Readable at 40 columns; nothing is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nd_plugin.borders.printable import one_line
from nd_plugin.experiments.detector_changes import (
    GAINED,
    LOST,
    RENAMED,
    DetectorCounts,
    UnitChange,
    UnitLabel,
)
from nd_plugin.experiments.pair_preprocess import MODEL, ORIGIN, describe_values
from nd_plugin.experiments.parity import Comparison, LayerParity, Side
from nd_plugin.report.terminal import plural

UNITS_NAMED = 5  # of each layer, those with the largest IoU first
LAYERS_NAMED = 8
NOTES_NAMED = 12
WIDE = 76  # columns that the table needs
STYLES = {LOST: "red", RENAMED: "yellow", GAINED: "green"}
CELL_ABOVE = (1, 0, 0, 0)  # padding
CELL_LEFT = (0, 0, 0, 2)
LEGEND = (
    "kept: detects the same concept in both; lost, gained: a detector in ORIGIN, in MODEL only; "
    "renamed: detects another concept (ORIGIN's -> MODEL's); "
    "labels: units whose label differs, detectors or not; "
    "activations: largest difference, relative to the largest activation"
)


def render(comparison: Comparison) -> RenderableType:
    """Return what was compared, detectors by layer, units that changed, and notes."""
    return Group(*_blocks(comparison))


def _blocks(comparison: Comparison) -> Iterator[RenderableType]:
    yield _sides(comparison)
    yield Padding(_headline(comparison.counted), CELL_ABOVE)
    yield Padding(_LayerTable(comparison.layers), CELL_ABOVE)
    changes = list(_change_lines(comparison.layers))
    if changes:
        yield Padding(Group(*changes), CELL_ABOVE)
    yield Padding(_largest(comparison.layers), CELL_ABOVE)
    notes = [*comparison.notes, *_centre_notes(comparison.layers)]
    if notes:
        yield Padding(_notes(notes), CELL_ABOVE)


def _sides(comparison: Comparison) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for role, side in ((MODEL, comparison.model), (ORIGIN, comparison.origin)):
        table.add_row(role.lower(), Text(_run_of(side)))
        values = describe_values(side.preprocess)
        table.add_row("", Text(values))
        style = "yellow" if side.preprocess.assumed else ""
        mark = "! assumed: " if side.preprocess.assumed else ""
        table.add_row("", Text(mark + side.preprocess.source, style=style))
    return table


def _run_of(side: Side) -> str:
    return f"{side.source} ({_precision(side)}; {side.backend}, {side.device})"


def _precision(side: Side) -> str:
    """Return the types of the weights, and what was computed in where that differs."""
    weights, computed = side.precision, side.compute_precision
    if weights and computed and weights != computed:
        return f"{weights}, computed in {computed}"
    return computed or weights or "precision unknown"


def _headline(counts: DetectorCounts) -> Text:
    text = Text()
    if counts.share_kept is None:
        text.append(
            f"no detectors in {ORIGIN}: nothing to keep", style="bold yellow"
        )
    else:
        style = "bold green" if counts.kept == counts.origin else "bold"
        detectors = plural(counts.origin, "detector")
        text.append(
            f"{counts.kept} of {counts.origin} {detectors} kept", style=style
        )
        text.append(f" ({counts.share_kept:.1%})")
    for kind in (LOST, GAINED, RENAMED):
        count = getattr(counts, kind)
        text.append(f" · {count} {kind}", style=STYLES[kind] if count else "")
    return text


@dataclass(frozen=True)
class _LayerTable:
    """Rows of layers: a table, or a block for each layer where the terminal is narrow."""

    layers: Sequence[LayerParity]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if options.max_width >= WIDE:
            yield self._table()
            return
        for layer in self.layers:
            yield Text(_names(layer), style="bold", overflow="fold")
            yield Padding(_cells_in_line(layer), CELL_LEFT)

    def _table(self) -> Table:
        table = Table(
            box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False
        )
        table.add_column("layer", overflow="fold")
        for header in _cells(self.layers[0]):
            table.add_column(header, justify="right", no_wrap=True)
        for layer in self.layers:
            table.add_row(Text(_names(layer)), *_cells(layer).values())
        return table


def _names(layer: LayerParity) -> str:
    return "\n= ".join(map(one_line, dict.fromkeys(layer.layers)))


def _cells(layer: LayerParity) -> dict[str, Text]:
    """Return the cells of a layer's row by their headers, in order."""
    counts = layer.counted
    labels = f"{len(layer.labels)} of {layer.units}" if layer.labels else "same"
    return {
        "kept": Text(str(counts.kept)),
        LOST: _count(counts.lost, LOST),
        GAINED: _count(counts.gained, GAINED),
        RENAMED: _count(counts.renamed, RENAMED),
        "labels": Text(labels),
        "activations": Text(f"{layer.relative:.1e}"),
    }


def _count(count: int, kind: str) -> Text:
    return Text(str(count), style=STYLES[kind] if count else "dim")


def _cells_in_line(layer: LayerParity) -> Text:
    cells = _cells(layer)
    parts = [
        Text.assemble((f"{header} ", "dim"), cells[header]) for header in cells
    ]
    return Text(", ").join(parts)


def _change_lines(layers: Sequence[LayerParity]) -> Iterator[RenderableType]:
    """Yield a line for each unit that changed, ``UNITS_NAMED`` of each layer at most."""
    changed = [layer for layer in layers if layer.changes]
    for layer in changed[:LAYERS_NAMED]:
        yield Text(f"{layer.layers[0]}:", overflow="fold")
        ranked = sorted(layer.changes, key=_largest_iou, reverse=True)
        lines = [_change_line(change) for change in ranked[:UNITS_NAMED]]
        beyond = len(ranked) - UNITS_NAMED
        if beyond > 0:
            lines.append(Text(f"and {beyond} more, in --json", style="dim"))
        yield Padding(Group(*lines), CELL_LEFT)
    beyond = len(changed) - LAYERS_NAMED
    if beyond > 0:
        layers_text = plural(beyond, "layer")
        yield Text(
            f"and units of {beyond} more {layers_text}, in --json", style="dim"
        )


def _largest_iou(change: UnitChange) -> float:
    return max(change.model.iou, change.origin.iou)


def _change_line(change: UnitChange) -> Text:
    line = Text(f"{change.change} ", style=STYLES[change.change])
    labels = f"{_label(change.origin)} -> {_label(change.model)}"
    line.append(f"unit {change.unit}: {labels}", style="default")
    return line


def _label(label: UnitLabel) -> str:
    state = "" if label.detector else ", no detector"
    return f"{label.concept} (IoU {label.iou:.4f}{state})"


def _largest(layers: Sequence[LayerParity]) -> Text:
    """Return the largest differences of all layers, each with its layer."""
    names = [layer.layers[0] for layer in layers]
    measures = {
        "activations": [layer.relative for layer in layers],
        "thresholds": [layer.threshold_difference for layer in layers],
        "IoU": [layer.iou_difference for layer in layers],
    }
    parts = []
    for measure, values in measures.items():
        largest = max(values)
        parts.append(f"{measure} {largest:.1e} ({names[values.index(largest)]})")
    return Text(f"largest differences: {', '.join(parts)}", overflow="fold")


def _centre_notes(layers: Sequence[LayerParity]) -> list[str]:
    names = [layer.layers[0] for layer in layers if not layer.geometry]
    if not names:
        return []
    beyond = len(names) - LAYERS_NAMED
    tail = f" and {beyond} more" if beyond > 0 else ""
    return [
        f"centres of receptive fields differ in {', '.join(names[:LAYERS_NAMED])}{tail}: "
        "masks of the two models lie differently"
    ]


def _notes(notes: Sequence[str]) -> Text:
    lines = [f"! {note}" for note in notes[:NOTES_NAMED]]
    beyond = len(notes) - NOTES_NAMED
    if beyond > 0:
        lines.append(f"! and {beyond} more, in --json")
    return Text("\n".join(lines), style="yellow", overflow="fold")


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return everything but the dissections as plain values."""
    first = comparison.model_dissections[0]
    return {
        "model": _side_json(comparison.model),
        "origin": _side_json(comparison.origin),
        "detectors": _counts_json(comparison.counted),
        "layers": [_layer_json(layer) for layer in comparison.layers],
        "concepts": asdict(first.provenance.concept_set),
        "images": first.images,
        "settings": asdict(first.settings),
        "notes": list(comparison.notes),
    }


def _side_json(side: Side) -> dict[str, Any]:
    return {
        **asdict(side),
        "precision": side.precision or None,
        "compute_precision": side.compute_precision or None,
    }


def _counts_json(counts: DetectorCounts) -> dict[str, Any]:
    return {
        "origin": counts.origin,
        "model": counts.model,
        **asdict(counts),
        "share_kept": counts.share_kept,
    }


def _layer_json(layer: LayerParity) -> dict[str, Any]:
    return {
        **asdict(layer),
        "counted": _counts_json(layer.counted),
        "relative": layer.relative,
        "counts": layer.counts,
        "detectors": layer.detectors,
        "detector_labels": layer.detector_labels,
    }
