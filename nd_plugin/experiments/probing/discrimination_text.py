"""Accuracies as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.experiments.probing.discrimination import (
    Discrimination,
    LayerAccuracy,
    RotatedAccuracy,
)
from nd_plugin.experiments.probing.object_detectors import (
    ALL,
    NetworkPoint,
    NetworkPoints,
)
from nd_plugin.experiments.spread import Spread
from nd_plugin.report.colours import FAINT, WARNING
from nd_plugin.report.elements import AdaptiveTable, Heading, facts_table
from nd_plugin.report.error_bars.records import CountInterval
from nd_plugin.report.error_bars.texts import count_text

LINE_ABOVE = (1, 0, 0, 0)  # padding
SCALING_NAMES = {
    "layer": "centred, divided by one number for the layer",
    "unit": "each unit standardised",
    "none": "as the layer gives them",
}


def render(result: Discrimination) -> RenderableType:
    """Return what was run, accuracies of layers and rotations, and notes."""
    return Group(*_blocks(result))


def _blocks(result: Discrimination) -> Iterator[RenderableType]:
    yield facts_table(
        (
            ("model", result.model.source),
            (
                "images",
                f"{result.images.source}: {len(result.classes)} classes, "
                f"{result.train_images} for training, {result.test_images} for tests",
            ),
            ("features", f"{result.pooling}; {SCALING_NAMES[result.svm.scaling]}"),
            ("classifier", f"linear SVM, C = {result.svm.c:g}"),
        )
    )
    yield Padding(_layer_table(result), LINE_ABOVE)
    meaning = (
        "averaged over classes, with intervals of 95 % over test images; chance is"
    )
    yield Text(f"{meaning} {result.chance:.4f}", style=FAINT)
    for layer in result.layers:
        if layer.rotated:
            yield Padding(_rotation_table(layer), LINE_ABOVE)
            yield Text(rotation_verdict(layer))
    if result.notes:
        yield Padding(_notes(result.notes), LINE_ABOVE)


def _layer_table(result: Discrimination) -> AdaptiveTable:
    rows = [
        (
            Text(layer.layer),
            Text(str(layer.units)),
            Text(f"{layer.accuracy.mean:.4f}", style="bold"),
            Text(interval_text(layer.accuracy.interval)),
            Text(f"{layer.accuracy.overall:.4f}"),
        )
        for layer in result.layers
    ]
    headers = ("layer", "units", "accuracy", "interval", "of all images")
    return AdaptiveTable(headers, tuple(rows), lead=0, right=(1, 2, 3, 4))


def interval_text(interval: tuple[float, float]) -> str:
    """Return the interval of an accuracy."""
    low, high = interval
    return f"{low:.4f} to {high:.4f}"


def _rotation_table(layer: LayerAccuracy) -> AdaptiveTable:
    """Return a row for each α: mean and standard deviation over seeds."""
    by_alpha: dict[float, list[RotatedAccuracy]] = {}
    for item in layer.rotated:
        by_alpha.setdefault(item.alpha, []).append(item)
    rows = []
    for alpha, items in by_alpha.items():
        spread = Spread.of([item.accuracy.mean for item in items])
        deviation = spread.deviation
        cells = (
            f"{layer.layer} rotated, α {alpha:g}",
            str(len(items)),
            f"{spread.mean:.4f}",
            "–" if deviation is None else f"{deviation:.4f}",
            f"{min(spread.values):.4f} to {max(spread.values):.4f}",
        )
        rows.append(tuple(Text(cell) for cell in cells))
    headers = ("basis", "rotations", "accuracy", "deviation", "range")
    return AdaptiveTable(headers, tuple(rows), lead=0, right=(1, 2, 3, 4))


def rotation_verdict(layer: LayerAccuracy) -> str:
    """Return whether the rotations are as discriminative as the layer."""
    difference = f"they differ by at most {layer.largest_difference:.4f}"
    if layer.is_as_discriminative:
        return (
            f"all rotations of {layer.layer} are within its interval: {difference}"
        )
    return f"rotations of {layer.layer} leave its interval: {difference}"


def render_points(points: NetworkPoints) -> RenderableType:
    """Return accuracy and detectors of each network, and their correlation."""
    title = Text("accuracy against unique detectors", style="bold")
    rows = []
    for point in points.points:
        cells = (
            point.network,
            point.layer,
            detectors_text(point),
            f"{point.accuracy:.4f}",
            interval_text(point.interval),
        )
        rows.append(tuple(Text(cell) for cell in cells))
    counted = "unique" if points.category == ALL else f"unique {points.category}"
    headers = ("network", "layer", f"{counted} detectors", "accuracy", "interval")
    table = AdaptiveTable(headers, tuple(rows), lead=0, right=(2, 3, 4))
    blocks: list[RenderableType] = [
        Padding(Heading(title), LINE_ABOVE),
        table,
        Text(correlation_text(points), style=FAINT),
    ]
    if points.notes:
        blocks.append(Padding(_notes(points.notes), LINE_ABOVE))
    return Group(*blocks)


def detectors_text(point: NetworkPoint) -> str:
    """Return the detectors of a network, with their interval where the run has folds."""
    ends = point.detectors_interval
    interval = None if ends is None else CountInterval(*ends)
    return count_text(point.detectors, interval)


def correlation_text(points: NetworkPoints) -> str:
    """Return the correlation of accuracy and detectors."""
    count = len(points.points)
    if points.pearson is None or points.spearman is None:
        return f"no correlation of {count} layers: three or more that differ are needed"
    return (
        f"correlation {points.pearson:.2f} (of ranks {points.spearman:.2f}) of "
        f"{count} layers"
    )


def _notes(notes: Sequence[str]) -> Text:
    return Text("\n".join(f"! {note}" for note in notes), style=WARNING)
