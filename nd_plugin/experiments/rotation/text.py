"""Rotation study as text for a terminal; readable at 40 columns, nothing is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nd_plugin.experiments.rotation.best_directions import ConceptComparison
from nd_plugin.experiments.rotation.study import RotationPoint, RotationStudy
from nd_plugin.report.colours import WARNING
from nd_plugin.report.elements import facts_table
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


def _table(*headers: str) -> Table:
    table = Table(
        box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False
    )
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _points(points: Sequence[RotationPoint]) -> Table:
    """Return unique detectors over α: mean, spread and the mean of each category detected."""
    categories = [
        category
        for category in points[0].by_category
        if any(point.by_category[category].mean for point in points)
    ]
    table = _table("α", "unique", "95 %", "detectors", *categories)
    for point in points:
        means = [point.by_category[category].mean for category in categories]
        table.add_row(
            f"{point.alpha:g}",
            point.unique_detectors.text(),
            point.unique_detectors.interval_text,
            point.detectors.text(),
            *(f"{mean:.1f}".removesuffix(".0") for mean in means),
        )
    return table


def _bases(study: RotationStudy) -> Table:
    table = _table("basis", "unique", "detectors", "directions")
    for name, dissection in study.bases.items():
        summary = dissection.summary()
        table.add_row(
            Text(name),
            str(summary.unique_detectors),
            str(summary.detectors),
            str(summary.units),
        )
    return table


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
    table = _table(
        "concept", "category", "unit", "IoU", "rotated", "best direction"
    )
    for comparison in comparisons[:CONCEPTS_SHOWN]:
        best = comparison.best
        table.add_row(
            Text(comparison.concept),
            Text(comparison.category),
            str(comparison.unit),
            f"{comparison.iou:.3f}",
            comparison.rotated.text(3),
            f"{best.iou:.3f} ({best.direction} of seed {best.seed})",
        )
    return Group(title, table)


def _is_better(comparison: ConceptComparison) -> bool:
    return comparison.iou > comparison.rotated.mean


def _notes(notes: Sequence[str]) -> Text:
    lines = [f"! {note}" for note in notes[:NOTES_SHOWN]]
    if len(notes) > NOTES_SHOWN:
        lines.append(f"! and {len(notes) - NOTES_SHOWN} more notes")
    return Text("\n".join(lines), style=WARNING, overflow="fold")
