"""Dissection of the trained networks, each computed once."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch

from nd_plugin import ConceptSet, LayerDissection, Preprocess, open_model
from nd_plugin.contracts.provenance import Settings
from nd_plugin.experiments.evolution.evolution import evolve
from nd_plugin.experiments.evolution.evolution_files import RECORD, save_evolution
from nd_plugin.experiments.probing.discrimination import Rotations, discriminate
from nd_plugin.experiments.probing.discrimination_files import RECORD as PROBE
from nd_plugin.experiments.probing.discrimination_files import save_discrimination
from nd_plugin.experiments.rotation.folder import SUMMARY as ROTATIONS
from nd_plugin.experiments.rotation.folder import save_study
from nd_plugin.experiments.rotation.rotate import RotationPlan, rotate
from nd_plugin.experiments.rotation.study import RotationStudy
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.atomic_files import write_file
from reproduce.dissections import (
    ALL_LAYERS,
    CHANCE,
    FIRST,
    FOLLOWED,
    LAST,
    LAST_LAYER,
    QUANTILES,
    ROTATED,
    TURNED,
    Dissections,
)
from reproduce.networks import LAYERS, Network, network_text, preprocess_of
from reproduce.processes import results_of
from reproduce.scenes import DrawnScenes
from reproduce.study import Study
from reproduce.tasks import Task, Tasks
from reproduce.training import (
    TrainingRecord,
    load_network,
    read_record,
    weights_file,
)
from reproduce.trainings import Training

ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of rotations
PICTURES = 5  # of each unit of the baseline


def dissect(study: Study, processes: int) -> None:
    """Dissect what is not dissected yet, several networks at a time."""
    study.labelled_pictures()
    calls = [(study, training) for training, _ in study.records()]
    for name in results_of(dissect_in_process, calls, processes):
        print(f"{name} is dissected", flush=True)


def dissect_in_process(study: Study, training: Training) -> str:
    """Dissect one network; return its name."""
    torch.set_num_threads(1)  # each process has a core
    record = read_record(study.folder_of(training))
    assert record is not None, "only trained networks are dissected"
    concepts, tasks = _probe_scenes_and_tasks(study)
    task = tasks[training.task]
    dissector = NetworkDissector(study, training, record, task, concepts)
    dissector.evolve()
    dissector.dissect_layers()
    dissector.rotate()
    dissector.count_by_chance()
    dissector.count_untrained_by_chance()
    dissector.probe()
    return training.name


@cache
def _probe_scenes_and_tasks(study: Study) -> tuple[DrawnScenes, Tasks]:
    """Return the scenes to dissect on, and the tasks, read once in a process."""
    return study.probe_scenes(), study.tasks()


@dataclass(frozen=True)
class NetworkDissector:
    """Dissector of one trained network, in all ways that the experiment asks for."""

    study: Study
    training: Training
    record: TrainingRecord
    task: Task
    concepts: ConceptSet

    @cached_property
    def _folders(self) -> Dissections:
        return Dissections(self.study)

    @property
    def _size(self) -> int:
        return self.study.scale.size

    @property
    def _preprocess(self) -> Preprocess:
        return preprocess_of(self._size)

    @property
    def _network(self) -> Network:
        """Trained network."""
        return self._network_at(self.record.last)

    def _network_at(self, iteration: int) -> Network:
        folder = self.study.folder_of(self.training)
        return load_network(self.training, folder, iteration, self.task, self._size)

    def evolve(self) -> None:
        """Dissect the last layer at several moments of the training."""
        folder = self._folders.evolution_folder(self.training)
        if (folder / RECORD).exists():
            return
        weights = self.study.folder_of(self.training)
        scores = self._followed_scores()
        accuracy_file = weights / "scores.csv"
        write_file(accuracy_file, _accuracy_csv(scores).encode())
        evolution = evolve(
            network_text(
                self.training.architecture,
                self._size,
                self.task.outputs,
                self.task.per_cell,
            ),
            [weights_file(weights, iteration) for iteration in scores],
            [LAST_LAYER],
            self.concepts,
            folder,
            steps=list(scores),
            accuracy=accuracy_file,
            settings=Settings(pictures=0),
            preprocess_values=_values(self._preprocess),
            workers=0,
        )
        save_evolution(folder, evolution)

    def _followed_scores(self) -> dict[int, float]:
        """Return the scores of the iterations to dissect."""
        scores = self.record.scores
        if self.training.variant in FOLLOWED:
            return scores
        return {iteration: scores[iteration] for iteration in (0, self.record.last)}

    def dissect_layers(self) -> None:
        """Dissect layers at several quantiles, in one pass over the scenes."""
        is_baseline = self.training.variant == ALL_LAYERS
        names = LAYERS if is_baseline else LAYERS[-1:]
        layers = [f"features.{name}" for name in names]
        folders = {
            (layer, quantile): self._folders.layer_folder(
                self.training, layer, quantile
            )
            for layer in layers
            for quantile in QUANTILES
        }
        if all(folder.exists() for folder in folders.values()):
            return
        dissections: Any = LayerDissection(self._network, layers).dissect(
            self.concepts,
            quantile=QUANTILES,
            preprocess=self._preprocess,
            workers=0,
            pictures=PICTURES if is_baseline else False,
        )
        for of_layer in dissections:
            for dissection in of_layer:
                key = (dissection.layer, dissection.settings.quantile)
                dissection.save(folders[key])

    def rotate(self) -> None:
        """Dissect the last layer in random bases, all in one pass over the scenes."""
        folder = self._folders.rotation_folder(self.training)
        is_asked = self.training.variant in ROTATED
        if not is_asked or (folder / ROTATIONS).exists():
            return
        plan = RotationPlan(ALPHAS, repeats=self.study.scale.rotations)
        save_study(self._rotated(plan, Settings(pictures=0)), folder)

    def _rotated(self, plan: RotationPlan, settings: Settings) -> RotationStudy:
        model = open_model(self._network)
        feed = Feed.of(
            self.concepts, self._preprocess, settings, model.device, workers=0
        )
        return rotate(model, LAST_LAYER, feed, plan)

    def count_by_chance(self) -> None:
        """Dissect the last layer with permuted annotations, and in a random basis, too."""
        folders = {
            moment: self._folders.chance_folder(self.training, moment)
            for moment in (LAST, TURNED)
        }
        are_there = all(folder.exists() for folder in folders.values())
        if self.training.variant not in CHANCE or are_there:
            return
        settings = Settings(pictures=0, permutations=self.study.scale.permutations)
        rotated = self._rotated(RotationPlan((1.0,), repeats=1), settings)
        rotated.own.save(folders[LAST])
        rotated.at(1.0)[0].save(folders[TURNED])

    def count_untrained_by_chance(self) -> None:
        """Do the same with the baseline before its training, in its own basis."""
        folder = self._folders.chance_folder(self.training, FIRST)
        if self.training.variant != ALL_LAYERS or folder.exists():
            return
        dissections: Any = LayerDissection(
            self._network_at(0), [LAST_LAYER]
        ).dissect(
            self.concepts,
            preprocess=self._preprocess,
            workers=0,
            pictures=False,
            permutations=self.study.scale.permutations,
        )
        dissections[0].save(folder)

    def probe(self) -> None:
        """Train a linear classifier of scenes on the units of the last layer, and on rotations."""
        folder = self._folders.probe_folder(self.training)
        if (folder / PROBE).exists():
            return
        alphas = (1.0,) if self.training.variant in ROTATED else ()
        seeds = tuple(range(self.study.scale.rotations))
        result = discriminate(
            open_model(self._network),
            [LAST_LAYER],
            self.study.labelled_pictures(),
            rotations=Rotations(alphas, seeds),
            preprocess=self._preprocess,
            workers=0,
        )
        save_discrimination(folder, result)


def _values(preprocess: Preprocess) -> dict[str, Any]:
    """Return what is not a model's own: size, mean and deviation."""
    names = ("size", "mean", "std")
    return {name: getattr(preprocess, name) for name in names}


def _accuracy_csv(scores: Mapping[int, float]) -> str:
    """Return a table of scores as ``nd evolve --accuracy`` reads it."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["step", "accuracy"])
    table.writerows(scores.items())
    return file.getvalue()
