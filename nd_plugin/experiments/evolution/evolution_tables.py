"""Evolution as plain values for JSON, and as tables in CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from nd_plugin.borders.csv_text import csv_text
from nd_plugin.experiments.evolution.evolution import Evolution
from nd_plugin.experiments.evolution.histories import (
    ConceptChange,
    History,
    LayerEvolution,
    Transition,
)
from nd_plugin.report.categories import all_categories
from nd_plugin.report.error_bars.texts import unique_interval
from nd_plugin.report.layer_report import LayerReport

ERROR_BARS = ("unique_low", "unique_high", "unique_by_chance")
Row = Sequence[Any]


def evolution_content(evolution: Evolution) -> dict[str, Any]:
    """Return an evolution as plain values: stages, and for each layer counts, units, changes."""
    return {
        "model": evolution.model,
        "concept_set": evolution.concepts,
        "unit": evolution.unit,
        "min_iou": evolution.min_iou,
        "stages": [
            _stage_content(evolution, index) for index in _stages(evolution)
        ],
        "failed": [
            {
                "name": failure.stage.name,
                "path": str(failure.stage.path),
                "step": failure.stage.step,
                "error": str(failure.error),
            }
            for failure in evolution.failed
        ],
        "layers": [
            layer_content(layer, evolution.steps) for layer in evolution.layers
        ],
        "notes": list(evolution.notes),
    }


def _stages(evolution: Evolution) -> range:
    return range(len(evolution.stages))


def _stage_content(evolution: Evolution, index: int) -> dict[str, Any]:
    stage = evolution.stages[index]
    accuracy = evolution.accuracies[index]
    return {
        "name": stage.name,
        "path": str(stage.path),
        "step": stage.step,
        "accuracy": accuracy if math.isfinite(accuracy) else None,
        "runs": dict(evolution.keys[index]),
    }


def layer_content(
    evolution: LayerEvolution, steps: Sequence[float]
) -> dict[str, Any]:
    """Return one layer as plain values."""
    return {
        "layer": evolution.layer,
        "units": evolution.units,
        "emergence": [_report_content(report) for report in evolution.reports],
        "transitions": [
            transition_content(transition, steps)
            for transition in evolution.transitions
        ],
        "overall": transition_content(evolution.overall, steps),
        "always_kept": list(evolution.always_kept),
        "histories": [
            _history_content(unit, history)
            for unit, history in enumerate(evolution.histories)
        ],
    }


def _history_content(unit: int, history: History) -> dict[str, Any]:
    return {"unit": unit, "labels": [asdict(label) for label in history]}


def _report_content(report: LayerReport) -> dict[str, Any]:
    """Return the counts of a stage, with intervals and chance level where its run has them."""
    content = report.summary.to_dict()
    if report.intervals is not None:
        content["intervals"] = report.intervals.to_dict()
    if report.chance_level is not None:
        content["chance"] = report.chance_level.to_dict()
    return content


def transition_content(
    transition: Transition, steps: Sequence[float]
) -> dict[str, Any]:
    """Return what became of detectors between two stages as plain values."""
    first, last = transition.stages
    return {
        "from_step": steps[first],
        "to_step": steps[last],
        "detectors_of_both": transition.of_both,
        "kept": len(transition.kept),
        "share_kept": transition.share_kept,
        "changed": len(transition.changed),
        "lost": len(transition.lost),
        "gained": len(transition.gained),
        "kinds": transition.kinds,
        "kept_units": list(transition.kept),
        "changes": [asdict(change) for change in transition.changed],
    }


def emergence_csv(evolution: Evolution) -> str:
    """Return a line for each layer and stage: counts of detectors, and the accuracy.

    ``unique_low`` and ``unique_high`` are empty for runs without folds, ``unique_by_chance`` for
    those without permutations.
    """
    reports = [report for layer in evolution.layers for report in layer.reports]
    categories = all_categories(reports)
    headers = ("layer", "stage", "step", "accuracy", "units", "detectors")
    return csv_text(
        [*headers, "unique_detectors", *ERROR_BARS, *categories],
        _emergence_rows(evolution, categories),
    )


def _emergence_rows(
    evolution: Evolution, categories: Sequence[str]
) -> Iterable[Row]:
    for layer in evolution.layers:
        for index, report in enumerate(layer.reports):
            stage = evolution.stages[index]
            summary = report.summary
            by_category = summary.unique_detectors_by_category
            yield [
                layer.layer,
                stage.name,
                f"{stage.step:g}",
                _accuracy_text(evolution.accuracies[index]),
                summary.units,
                summary.detectors,
                summary.unique_detectors,
                *_error_bar_cells(report),
                *(by_category.get(category, 0) for category in categories),
            ]


def _error_bar_cells(report: LayerReport) -> Row:
    interval = unique_interval(report)
    ends = ("", "") if interval is None else (interval.low, interval.high)
    chance = report.chance_level
    return [*ends, "" if chance is None else repr(chance.unique_detectors.mean)]


def histories_csv(evolution: Evolution) -> str:
    """Return a line for each layer, unit and stage: the label."""
    headers = ("layer", "unit", "stage", "step", "concept", "category", "iou")
    return csv_text([*headers, "detector"], _history_rows(evolution))


def _history_rows(evolution: Evolution) -> Iterable[Row]:
    for layer in evolution.layers:
        for unit, history in enumerate(layer.histories):
            for stage, label in zip(evolution.stages, history, strict=True):
                yield [
                    layer.layer,
                    unit,
                    stage.name,
                    f"{stage.step:g}",
                    label.concept,
                    label.category,
                    repr(label.iou),
                    int(label.detector),
                ]


def changes_csv(evolution: Evolution) -> str:
    """Return a line for each unit whose concept changed, between neighbours and over all stages."""
    headers = ("layer", "span", "from_step", "to_step", "unit", "from_concept")
    more = ("from_category", "from_iou", "to_concept", "to_category", "to_iou")
    return csv_text(
        [*headers, *more, "kind", "similarity"], _change_rows(evolution)
    )


def _change_rows(evolution: Evolution) -> Iterable[Row]:
    for layer in evolution.layers:
        spans = [("neighbours", transition) for transition in layer.transitions]
        for span, transition in [*spans, ("overall", layer.overall)]:
            first, last = transition.stages
            steps = f"{evolution.steps[first]:g}", f"{evolution.steps[last]:g}"
            for change in transition.changed:
                yield [layer.layer, span, *steps, *_change_cells(change)]


def _change_cells(change: ConceptChange) -> Row:
    before, after = change.before, change.after
    return [
        change.unit,
        before.concept,
        before.category,
        repr(before.iou),
        after.concept,
        after.category,
        repr(after.iou),
        change.kind,
        repr(change.similarity),
    ]


def _accuracy_text(accuracy: float) -> str:
    return repr(accuracy) if math.isfinite(accuracy) else ""
