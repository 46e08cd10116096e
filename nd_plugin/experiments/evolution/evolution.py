"""Evolution of a network over its training: sections 3.6 and 3.7 of the paper, figures 17 to 23."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.models import ModelOptions
from nd_plugin.contracts.provenance import Settings
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.errors import BadInput
from nd_plugin.experiments.evolution.accuracies import read_accuracies
from nd_plugin.experiments.evolution.change_kinds import notes_of_kinds
from nd_plugin.experiments.evolution.dissecting import (
    DissectedStage,
    FailedStage,
    Say,
    StageDissector,
    say_nothing,
)
from nd_plugin.experiments.evolution.histories import LayerEvolution
from nd_plugin.experiments.evolution.stages import (
    Stage,
    StageList,
    find_stages,
    is_model_file,
)
from nd_plugin.plugins.opening import open_concepts


@dataclass(frozen=True)
class Evolution:
    """Layers of a network at several stages of its training."""

    model: str  # what the weights were loaded into; "" for files that are models
    concepts: str  # origin of the concept set
    stages: tuple[Stage, ...]
    unit: str  # what steps count
    keys: tuple[Mapping[str, str], ...]  # (stage,) of each layer's run
    layers: tuple[LayerEvolution, ...]
    accuracies: tuple[float, ...]  # (stage,) NaN where unknown
    failed: tuple[FailedStage, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[float, ...]:
        """Step of each stage."""
        return tuple(stage.step for stage in self.stages)

    @property
    def min_iou(self) -> float:
        """Limit above which a unit is a detector."""
        return self.layers[0].dissections[0].settings.min_iou

    @property
    def has_accuracies(self) -> bool:
        """Whether the accuracy of any stage is known."""
        return any(math.isfinite(accuracy) for accuracy in self.accuracies)

    def with_accuracies(self, path: Path) -> Evolution:
        """Return the evolution with accuracies from a CSV file; see `read_accuracies`."""
        accuracies = read_accuracies(path, self.stages)
        notes = (*self.notes, *accuracies.notes)
        return replace(self, accuracies=accuracies.values, notes=notes)


def evolve(
    model: str | None,
    checkpoints: Sequence[str | Path],
    layers: Sequence[str],
    concepts: str | Path | ConceptSet,
    folder: str | Path,
    *,
    steps: Sequence[float] | None = None,
    accuracy: str | Path | None = None,
    settings: Settings | None = None,
    options: ModelOptions | None = None,
    preprocess_values: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    memory: int | None = None,
    device_memory: int | None = None,
    progress: Progress = silent,
    say: Say = say_nothing,
    command: Sequence[str] = (),
) -> Evolution:
    """Dissect the stages of a training that are not dissected yet; return their evolution.

    Args:
        model: Text of a model that the weights are loaded into; None where each checkpoint is a
            model of its own (an ONNX file).
        checkpoints: Files, and folders of files.
        layers: Names and patterns of layers.
        concepts: Concept set, as `open_concepts` takes it.
        folder: Where the dissections are kept, by content.
        steps: Step of each checkpoint; None: from their names.
        accuracy: CSV file, see `read_accuracies`.
        settings: Of the dissections, with one quantile.
        options: Of opening the model.
        preprocess_values: Preprocessing values that replace the model's own.
        batch_size: Images per forward pass; None: by device.
        workers: Processes that decode images; None: by the number of cores.
        memory: Bytes for activation maps.
        device_memory: Bytes of an accelerator for maps and annotations.
        progress: Called with stage of the run, images done, images in all.
        say: Called with lines about what is done.
        command: Recorded in the runs.

    Returns:
        The evolution of the stages that could be dissected; ``failed`` has the others.

    Raises:
        BadInput: No checkpoint, or wrong steps, or several quantiles.
        NDError: The first stage's, where no stage could be dissected.
    """
    settings = settings or Settings()
    if settings.quantiles:
        raise BadInput(
            f"quantiles {settings.quantiles}: an evolution is that of one quantile; give one"
        )
    stage_list = find_stages([Path(path) for path in checkpoints], steps)
    check_stages(model, stage_list.stages)
    if accuracy is not None:
        # a file that does not fit is refused before the run
        read_accuracies(Path(accuracy), stage_list.stages)
    dissector = StageDissector(
        model_text=model or "",
        layers=layers,
        concepts=open_concepts(concepts),
        folder=Path(folder),
        settings=settings,
        options=options or ModelOptions(),
        preprocess_values=preprocess_values or {},
        batch_size=batch_size,
        workers=workers,
        memory=memory,
        device_memory=device_memory,
        command=command,
    )
    dissected, failed = dissector.dissect_all(stage_list.stages, progress, say)
    evolution = evolution_of(model or "", stage_list, dissected, failed)
    return (
        evolution if accuracy is None else evolution.with_accuracies(Path(accuracy))
    )


def check_stages(model: str | None, stages: Sequence[Stage]) -> None:
    """Raise BadInput for weights without a model, and for models beside weights."""
    weights = [stage for stage in stages if not stage.is_model]
    models = [stage for stage in stages if stage.is_model]
    if weights and models:
        raise BadInput(
            f"{models[0].name} is a model and {weights[0].name} holds weights; an evolution is "
            "that of files of one kind"
        )
    if weights and model is None:
        raise BadInput(
            f"{weights[0].name} holds weights; name the model that they are loaded into "
            "(nd evolve MODEL CHECKPOINT…)"
        )
    if models and model is not None:
        raise BadInput(
            f"{models[0].name} is a model of its own, beside the model {model!r}; leave the "
            "model out"
        )


def is_stage(text: str) -> bool:
    """Return whether a text in the place of MODEL is the first stage, not a model of weights."""
    path = Path(text)
    return path.is_dir() or is_model_file(path)


def evolution_of(
    model: str,
    stage_list: StageList,
    dissected: Sequence[DissectedStage],
    failed: Sequence[FailedStage] = (),
) -> Evolution:
    """Return the evolution of dissected stages, with notes about what is missing.

    Layers that some stage lacks are left out. Raises BadInput where none is left.
    """
    names: dict[str, None] = {}
    for stage in dissected:
        names.update(dict.fromkeys(stage.by_layer))
    common = [name for name in names if _is_in_all(name, dissected)]
    if not common:
        first_layers = ", ".join(dissected[0].by_layer)
        raise BadInput(f"no layer is in all stages; the first has {first_layers}")
    layers = tuple(_layer_evolution(name, dissected) for name in common)
    notes = [*stage_list.notes, *_notes_of_failures(failed)]
    absent = [name for name in names if name not in common]
    if absent:
        notes.append(
            f"layers that some stage lacks are left out: {', '.join(absent)}"
        )
    notes += _notes_of_layers(layers)
    return Evolution(
        model=model,
        concepts=layers[0].dissections[0].provenance.concept_set.source,
        stages=tuple(stage.stage for stage in dissected),
        unit=stage_list.unit,
        keys=tuple(stage.keys for stage in dissected),
        layers=layers,
        accuracies=(math.nan,) * len(dissected),
        failed=tuple(failed),
        notes=tuple(dict.fromkeys(notes)),
    )


def _is_in_all(layer: str, dissected: Sequence[DissectedStage]) -> bool:
    return all(layer in stage.by_layer for stage in dissected)


def _layer_evolution(
    layer: str, dissected: Sequence[DissectedStage]
) -> LayerEvolution:
    return LayerEvolution(tuple(stage.by_layer[layer] for stage in dissected))


def _notes_of_failures(failed: Sequence[FailedStage]) -> list[str]:
    return [f"{stage.stage.name} is left out: {stage.error}" for stage in failed]


def _notes_of_layers(layers: Sequence[LayerEvolution]) -> list[str]:
    """Return the notes of all dissections, each once, and how changes are told apart."""
    notes: list[str] = []
    for layer in layers:
        for dissection in layer.dissections:
            notes += dissection.notes
    notes += notes_of_kinds(layers[0].dissections[0])
    return notes
