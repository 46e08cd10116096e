"""Evolution as text for a terminal: emergence, units that kept their concept, changes, notes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nd_plugin.experiments.evolution.evolution import Evolution
from nd_plugin.experiments.evolution.histories import (
    ConceptChange,
    LayerEvolution,
    Transition,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.colours import FAINT, WARNING
from nd_plugin.report.elements import AdaptiveTable, Heading, facts_table
from nd_plugin.report.error_bars.records import ChanceLevel
from nd_plugin.report.error_bars.texts import (
    count_text,
    intervals_line,
    mean_count_text,
    unique_interval,
)
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.report.terminal import plural

CHANGES_NAMED = 12  # of a layer, from the first stage to the last
LINE_ABOVE = (1, 0, 0, 0)  # padding


def render(evolution: Evolution) -> RenderableType:
    """Return emergence, transitions and changes of each layer, and notes."""
    return Group(*_blocks(evolution))


def _blocks(evolution: Evolution) -> Iterator[RenderableType]:
    facts = [("model", evolution.model), ("concepts", evolution.concepts)]
    yield facts_table([fact for fact in facts if fact[1]])
    for layer in evolution.layers:
        yield Padding(Heading(Text(layer.layer, style="bold")), LINE_ABOVE)
        yield emergence_table(evolution, layer)
        intervals = layer.reports[0].intervals
        if intervals is not None:
            yield Text(intervals_line(intervals), style=FAINT)
        if _has_chance_level(layer):
            yield Text("by chance: unique detectors to expect", style=FAINT)
        if layer.transitions:
            yield Padding(_headline(evolution, layer), LINE_ABOVE)
            yield Padding(transition_table(evolution, layer), LINE_ABOVE)
        if layer.overall.changed:
            yield Padding(_changes(layer.overall), LINE_ABOVE)
    if evolution.notes:
        lines = [f"! {note}" for note in evolution.notes]
        yield Padding(Text("\n".join(lines), style=WARNING), LINE_ABOVE)


def emergence_table(evolution: Evolution, layer: LayerEvolution) -> AdaptiveTable:
    """Return a row for each stage: detectors, unique ones in all and by category, accuracy."""
    categories = detected_categories(layer.reports)
    headers = [evolution.unit, "checkpoint", "detectors", "unique", *categories]
    if _has_chance_level(layer):
        headers.append("by chance")
    if evolution.has_accuracies:
        headers.append("accuracy")
    rows = [
        _emergence_row(evolution, layer, index, categories)
        for index in range(len(evolution.stages))
    ]
    right = (0, *range(2, len(headers)))
    return AdaptiveTable(tuple(headers), tuple(rows), lead=1, right=right)


def detected_categories(reports: Sequence[LayerReport]) -> list[str]:
    """Return the categories of which any of some layers detects a concept."""
    detected: set[str] = set()
    for report in reports:
        counts = report.summary.detectors_by_category
        detected.update(category for category, count in counts.items() if count)
    return [name for name in all_categories(reports) if name in detected]


def _emergence_row(
    evolution: Evolution,
    layer: LayerEvolution,
    index: int,
    categories: Sequence[str],
) -> tuple[Text, ...]:
    stage = evolution.stages[index]
    report = layer.reports[index]
    summary = report.summary
    by_category = summary.unique_detectors_by_category
    cells = [
        f"{stage.step:g}",
        stage.name,
        str(summary.detectors),
        count_text(summary.unique_detectors, unique_interval(report)),
        *(str(by_category.get(category, 0)) for category in categories),
    ]
    if _has_chance_level(layer):
        chance = report.chance_level
        cells.append("–" if chance is None else _chance_text(chance))
    if evolution.has_accuracies:
        accuracy = evolution.accuracies[index]
        cells.append(f"{accuracy:.4g}" if math.isfinite(accuracy) else "–")
    return tuple(Text(cell) for cell in cells)


def _has_chance_level(layer: LayerEvolution) -> bool:
    return any(report.chance_level is not None for report in layer.reports)


def _chance_text(chance: ChanceLevel) -> str:
    return mean_count_text(chance.unique_detectors.mean)


def _headline(evolution: Evolution, layer: LayerEvolution) -> Text:
    overall = layer.overall
    steps = [f"{evolution.steps[index]:g}" for index in overall.stages]
    text = Text()
    share = overall.share_kept
    if share is None:
        text.append("no unit is a detector at the first and the last stage")
    else:
        text.append(
            f"{len(overall.kept)} of {overall.of_both} kept their concept", "bold"
        )
        text.append(f" ({share:.1%})", "bold")
        text.append(
            f" from {evolution.unit} {steps[0]} to {steps[1]}, of the units that are "
            "detectors at both"
        )
    constant = len(layer.always_kept)
    text.append(
        f"; {constant} {plural(constant, 'unit')} at every stage", style=FAINT
    )
    return text


def transition_table(evolution: Evolution, layer: LayerEvolution) -> AdaptiveTable:
    """Return a row for each pair of neighbouring stages, and one from the first to the last."""
    stages = f"{evolution.unit}s"
    headers = (stages, "of both", "kept", "changed", "lost", "gained", "kinds")
    transitions = list(layer.transitions)
    if len(transitions) > 1:
        transitions.append(layer.overall)
    rows = [_transition_row(evolution, transition) for transition in transitions]
    return AdaptiveTable(headers, tuple(rows), lead=0, right=(1, 2, 3, 4, 5))


def _transition_row(
    evolution: Evolution, transition: Transition
) -> tuple[Text, ...]:
    first, last = transition.stages
    share = transition.share_kept
    kept = str(len(transition.kept))
    if share is not None:
        kept += f" ({share:.0%})"
    kinds = [f"{kind} {count}" for kind, count in transition.kinds.items()]
    cells = (
        f"{evolution.steps[first]:g} to {evolution.steps[last]:g}",
        str(transition.of_both),
        kept,
        str(len(transition.changed)),
        str(len(transition.lost)),
        str(len(transition.gained)),
        ", ".join(kinds),
    )
    return tuple(Text(cell) for cell in cells)


def _changes(overall: Transition) -> Group:
    """Name units whose concept changed from the first stage to the last, by their last IoU."""
    changes = sorted(overall.changed, key=lambda change: -change.after.iou)
    rows = [_change_row(change) for change in changes[:CHANGES_NAMED]]
    headers = ("unit", "concept before", "after", "in common", "similarity")
    table = AdaptiveTable(headers, tuple(rows), lead=1, right=(0, 4))
    beyond = len(changes) - CHANGES_NAMED
    if beyond <= 0:
        return Group(table)
    return Group(table, Text(f"and {beyond} more (changes.csv)", style=FAINT))


def _change_row(change: ConceptChange) -> tuple[Text, ...]:
    before, after = change.before, change.after
    cells = (
        str(change.unit),
        f"{before.concept} ({before.category}, {before.iou:.3f})",
        f"{after.concept} ({after.category}, {after.iou:.3f})",
        change.kind,
        f"{change.similarity:.2f}",
    )
    return tuple(Text(cell) for cell in cells)
