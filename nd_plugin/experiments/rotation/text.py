"""Rotation study as text for a terminal; readable at 40 columns, nothing is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.experiments.rotation.best_directions import ConceptComparison
from nd_plugin.experiments.rotation.study import RotationPoint, RotationStudy
from nd_plugin.report.colours import WARNING
from nd_plugin.report.elements import AdaptiveTable, facts_table
from nd_plugin.report.terminal import plural

CELL_ABOVE = (1, 0, 0, 0)  # padding
CONCEPTS_SHOWN = 10
NOTES_SHOWN = 12
LEGEND = (
    "α: 0 is the layer's own basis, 1 a random one; ± is the standard deviation over the "
    "rotations, in brackets the interval of 95 % of the mean"
)


def render(study: RotationStudy) -> RenderableType:
    """Return what was run, counts over α, other bases, best unit and direction by concept."""
    return Group(*_blocks(study))


def _blocks(study: RotationStudy) -> Iterator[RenderableType]:
    yield Text(study.layer, style="bold", overflow="fold")
    yield facts_table(tuple(study.own.report().facts.items()))
    yield Padding(_headline(study), CELL_ABOVE)
    yield Padding(_points(study.points), CELL_ABOVE)
    if study.bases:
        yield Padding(_bases(study), CELL_ABOVE)
    if study.best:
        yield Padding(_best(study), CELL_ABOVE)
    if study.notes:
        yield Padding(_notes(study.notes), CELL_ABOVE)


def _headline(study: RotationStudy) -> Text:
    own, last = study.points[0], study.points[-1]
    count = int(own.unique_detectors.mean)
    text = Text(f"{count} unique {plural(count, 'detector')}", style="bold")
    text.append(f" among {study.own.units} units")
    if last is own:
        return text
    text.append(f" · {last.unique_detectors.text()} at α = {last.alpha:g}")
    rotations = len(study.seeds)
    text.append(f" · {rotations} {plural(rotations, 'rotation')}")
    if count:
        share = last.unique_detectors.mean / count
        text.append(f" · {share:.0%} of its own")
    return text


def _points(points: Sequence[RotationPoint]) -> AdaptiveTable:
    """Return unique detectors over α: mean, spread and the mean of each category detected."""
    categories = [
        category
        for category in points[0].by_category
        if any(point.by_category[category].mean for point in points)
    ]
    headers = ("α", "unique", "95 %", "detectors", *categories)
    rows = [_point_row(point, categories) for point in points]
    right = tuple(range(len(headers)))
    return AdaptiveTable(headers, tuple(rows), lead=0, right=right)


def _point_row(point: RotationPoint, categories: Sequence[str]) -> tuple[Text, ...]:
    means = [point.by_category[category].mean for category in categories]
    cells = (
        f"{point.alpha:g}",
        point.unique_detectors.text(),
        point.unique_detectors.interval_text,
        point.detectors.text(),
        *(f"{mean:.1f}".removesuffix(".0") for mean in means),
    )
    return tuple(map(Text, cells))


def _bases(study: RotationStudy) -> AdaptiveTable:
    rows: list[tuple[Text, ...]] = []
    for name, dissection in study.bases.items():
        summary = dissection.summary()
        counts = (summary.unique_detectors, summary.detectors, summary.units)
        rows.append((Text(name), *(Text(str(count)) for count in counts)))
    headers = ("basis", "unique", "detectors", "directions")
    return AdaptiveTable(headers, tuple(rows), lead=0, right=(1, 2, 3))


def _best(study: RotationStudy) -> Group:
    """Return the best unit against the best direction, of the concepts with the best units."""
    comparisons = study.best
    better = sum(_is_better(comparison) for comparison in comparisons)
    count = len(comparisons)
    title = Text(
        f"best unit against best direction at α = {study.alphas[-1]:g}: the unit is better for "
        f"{better} of {count} {plural(count, 'concept')}",
        overflow="fold",
    )
    headers = ("concept", "category", "unit", "IoU", "rotated", "best direction")
    rows = [_best_row(comparison) for comparison in comparisons[:CONCEPTS_SHOWN]]
    table = AdaptiveTable(headers, tuple(rows), lead=0, right=(2, 3))
    return Group(title, table)


def _best_row(comparison: ConceptComparison) -> tuple[Text, ...]:
    best = comparison.best
    cells = (
        comparison.concept,
        comparison.category,
        str(comparison.unit),
        f"{comparison.iou:.3f}",
        comparison.rotated.text(3),
        f"{best.iou:.3f} ({best.direction} of seed {best.seed})",
    )
    return tuple(map(Text, cells))


def _is_better(comparison: ConceptComparison) -> bool:
    return comparison.iou > comparison.rotated.mean


def _notes(notes: Sequence[str]) -> Text:
    lines = [f"! {note}" for note in notes[:NOTES_SHOWN]]
    if len(notes) > NOTES_SHOWN:
        lines.append(f"! and {len(notes) - NOTES_SHOWN} more notes")
    return Text("\n".join(lines), style=WARNING, overflow="fold")
