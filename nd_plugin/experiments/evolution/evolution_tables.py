"""Evolution as plain values for JSON, and as tables in CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nd_plugin.experiments.evolution.evolution import Evolution
from nd_plugin.experiments.evolution.histories import (
    ConceptChange,
    LayerEvolution,
    Transition,
)
from nd_plugin.report.categories import all_categories

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
            {"name": stage.stage.name, "error": str(stage.error)}
            for stage in evolution.failed
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
        "emergence": [report.summary.to_dict() for report in evolution.reports],
        "transitions": [
            transition_content(transition, steps)
            for transition in evolution.transitions
        ],
        "overall": transition_content(evolution.overall, steps),
        "always_kept": list(evolution.always_kept),
        "histories": [
            {"unit": unit, "labels": [asdict(label) for label in history]}
            for unit, history in enumerate(evolution.histories)
        ],
    }


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
    """Return a line for each layer and stage: counts of detectors, and the accuracy."""
    reports = [report for layer in evolution.layers for report in layer.reports]
    categories = all_categories(reports)
    headers = ("layer", "stage", "step", "accuracy", "units", "detectors")
    return _csv_text(
        [*headers, "unique_detectors", *categories],
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
                *(by_category.get(category, 0) for category in categories),
            ]


def histories_csv(evolution: Evolution) -> str:
    """Return a line for each layer, unit and stage: the label."""
    headers = ("layer", "unit", "stage", "step", "concept", "category", "iou")
    return _csv_text([*headers, "detector"], _history_rows(evolution))


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
    return _csv_text(
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


def _csv_text(headers: Sequence[str], rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(rows)
    return text.getvalue()


def trainings_content(evolutions: Sequence[Evolution]) -> dict[str, Any]:
    """Return one evolution as plain values, or several under ``trainings``."""
    if len(evolutions) == 1:
        return evolution_content(evolutions[0])
    contents: list[Mapping[str, Any]] = [
        evolution_content(evolution) for evolution in evolutions
    ]
    return {"trainings": contents}
