"""Dissection of the stages of a training, each once: results are kept by their content.

::

    FOLDER/runs/KEY          run of one layer of a stage (`content_keys`)
    FOLDER/partial/KEYS      checkpoint of a stage that was interrupted
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.models import Model, ModelOptions
from nd_plugin.contracts.provenance import Settings, fingerprint
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.engine.run import run
from nd_plugin.errors import BadInput, NDError, NotSaved, RunInvalid
from nd_plugin.experiments.evolution.content_keys import content_key
from nd_plugin.experiments.evolution.stages import Stage
from nd_plugin.experiments.records import at_min_iou
from nd_plugin.plugins.layer_patterns import choose_layers
from nd_plugin.plugins.opening import open_model
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.folder_names import LOCK_FILE, is_run_folder
from nd_plugin.resuming.checkpoint import CheckpointFolder
from nd_plugin.storage.lock_file import alone

RUNS = "runs"
PARTIAL = "partial"
# a run is continued with the same versions only
DECIDING_PACKAGES = ("nd_plugin", "torch", "numpy", "pillow")
Say = Callable[[str], None]


@dataclass(frozen=True)
class DissectedStage:
    """Stage with the keys and the dissections of its layers, in the order asked for."""

    stage: Stage
    keys: Mapping[str, str]  # by layer
    dissections: tuple[Dissection, ...]

    @property
    def by_layer(self) -> dict[str, Dissection]:
        """Dissections by the name of their layer."""
        return {dissection.layer: dissection for dissection in self.dissections}


@dataclass(frozen=True)
class FailedStage:
    """Stage that could not be dissected, and why."""

    stage: Stage
    error: NDError


def say_nothing(message: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class StageDissector:
    """Dissector of stages into a folder; what the folder holds already is not dissected again."""

    model_text: str  # what weights are loaded into; "" where each file is a model of its own
    layers: Sequence[str]  # names and patterns
    concepts: ConceptSet
    folder: Path
    settings: Settings = field(default_factory=Settings)
    options: ModelOptions = field(default_factory=ModelOptions)
    preprocess_values: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    workers: int | None = None
    memory: int | None = None
    device_memory: int | None = None
    command: Sequence[str] = ()  # recorded in the runs

    def dissect_all(
        self,
        stages: Sequence[Stage],
        progress: Progress = silent,
        say: Say = say_nothing,
    ) -> tuple[list[DissectedStage], list[FailedStage]]:
        """Dissect the stages one after the other; one that fails does not stop the others.

        Raises the first error where all fail, NotSaved at once, and BadInput where another process
        works in the folder.
        """
        with alone(self.folder / LOCK_FILE):
            dissected, failed = self._dissect_each(stages, progress, say)
        with suppress(OSError):  # it holds the checkpoint of another request
            (self.folder / PARTIAL).rmdir()
        if not dissected:
            raise failed[0].error
        return dissected, failed

    def _dissect_each(
        self, stages: Sequence[Stage], progress: Progress, say: Say
    ) -> tuple[list[DissectedStage], list[FailedStage]]:
        dissected: list[DissectedStage] = []
        failed: list[FailedStage] = []
        for number, stage in enumerate(stages, start=1):
            say(f"stage {number} of {len(stages)}: {stage.name}")
            try:
                dissected.append(self.dissect(stage, progress, say))
            except NotSaved:
                raise
            except NDError as error:
                say(f"! {stage.name}: {error}")
                failed.append(FailedStage(stage, error))
        return dissected, failed

    def dissect(
        self, stage: Stage, progress: Progress = silent, say: Say = say_nothing
    ) -> DissectedStage:
        """Return the dissections of a stage, from the folder where it has them."""
        model = self._open(stage)
        preprocess = model.preprocess.changed(self.preprocess_values)
        feed = Feed.of(
            self.concepts,
            preprocess,
            self.settings,
            model.device,
            self.batch_size,
            self.workers,
            self.memory,
            device_memory=self.device_memory,
        )
        names = choose_layers(model, self.layers, preprocess.size, say)
        with model.probe(names, preprocess.size) as probe:
            layers = tuple(dict.fromkeys(probe.layers))
        keys = {
            layer: content_key(self.model_text, stage, model, feed, layer)
            for layer in layers
        }
        saved = {layer: self._load_saved(key) for layer, key in keys.items()}
        missing = {layer: key for layer, key in keys.items() if not saved[layer]}
        if missing:
            self._run(model, feed, missing, progress)
        else:
            say(f"{stage.name} is dissected already")
        dissections = [
            saved[layer] or self.load(key) for layer, key in keys.items()
        ]
        return DissectedStage(stage, keys, tuple(dissections))

    def _open(self, stage: Stage) -> Model:
        if stage.is_model:
            return open_model(str(stage.path), self.options)
        if not self.model_text:
            raise BadInput(
                f"{stage.path} holds weights, and no model is given to load them into"
            )
        options = replace(self.options, weights=str(stage.path))
        return open_model(self.model_text, options)

    def _load_saved(self, key: str) -> Dissection | None:
        """Load a run that has as many pictures and top images or more; None where none is saved.

        A damaged one is dissected again.
        """
        try:
            dissection = self.load(key)
        except RunInvalid:
            return None
        saved = dissection.settings
        has_pictures = saved.pictures >= self.settings.pictures
        has_top_images = saved.top_images >= self.settings.top_images
        return dissection if has_pictures and has_top_images else None

    def load(self, key: str) -> Dissection:
        """Load the dissection of a key, with the limit of detectors of the settings."""
        return load_stage_layer(self.folder, key, self.settings.min_iou)

    def _run(
        self,
        model: Model,
        feed: Feed,
        keys: Mapping[str, str],
        progress: Progress,
    ) -> None:
        """Dissect layers, given with their keys, and save each; continue an interrupted run."""
        name = _checkpoint_name(feed, model, sorted(keys.values()))
        checkpoints = CheckpointFolder(self.folder / PARTIAL / name, feed)
        with checkpoints.guarded():
            dissections = run(
                model,
                list(keys),
                feed,
                progress,
                open_state=checkpoints.open_state,
            )
        for dissection in dissections:
            target = self.folder / RUNS / keys[dissection.layer]
            if target.exists() and not is_run_folder(target):
                raise NotSaved(f"{target} holds other things than a run; remove it")
            run_folder.save_run(target, [dissection], self.command)
        checkpoints.remove()


def _checkpoint_name(feed: Feed, model: Model, keys: Sequence[str]) -> str:
    """Return a name for a checkpoint by all that has to be the same to continue it."""
    versions = [metadata.version(package) for package in DECIDING_PACKAGES]
    conditions = [feed.batch_size, model.device.type, python_version(), *versions]
    return fingerprint([repr([*conditions, *keys]).encode()])


def load_stage_layer(folder: Path, key: str, min_iou: float) -> Dissection:
    """Load a saved dissection by its key; ``min_iou`` replaces its limit of detectors.

    Raises RunInvalid.
    """
    return at_min_iou(run_folder.load_run(folder / RUNS / key)[0], min_iou)
