"""Dissections of the trained networks, each computed once and kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reproduce.networks import LAYERS, Network, network_text, preprocess_of
from reproduce.study import Study
from reproduce.tasks import Task
from reproduce.training import TrainingRecord, load_network, weights_file
from reproduce.trainings import Training

from nd_plugin import ConceptSet, Dissection, LayerDissection, open_model
from nd_plugin.contracts.provenance import Settings
from nd_plugin.experiments.evolution.evolution import Evolution, evolve
from nd_plugin.experiments.evolution.evolution_files import (
    RECORD,
    load_evolution,
    save_evolution,
)
from nd_plugin.experiments.probing.discrimination import (
    Discrimination,
    Rotations,
    discriminate,
)
from nd_plugin.experiments.probing.discrimination_files import RECORD as PROBE
from nd_plugin.experiments.probing.discrimination_files import (
    load_discrimination,
    save_discrimination,
)
from nd_plugin.experiments.rotation.folder import SUMMARY as ROTATIONS
from nd_plugin.experiments.rotation.folder import load_study, save_study
from nd_plugin.experiments.rotation.rotate import RotationPlan, rotate
from nd_plugin.experiments.rotation.study import RotationStudy
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.atomic_files import write_file

LAST_LAYER = "features.relu4"
QUANTILES = (0.005, 0.01, 0.02, 0.04)  # the paper's 0.005 first
# trainings that are dissected at every checkpoint; others at the first and the last
FOLLOWED = ("scenes", "scenes-bn", "objects", "captions", "colour", "rotation")
ALL_LAYERS = "scenes"  # variant of which all layers are dissected
ROTATED = ("scenes", "scenes-bn")  # variants whose last layer is rotated
ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Dissections:
    """Dissections of a study's networks, in folders of the study."""

    study: Study

    def evolution_folder(self, training: Training) -> Path:
        """Return the folder with the stages of a training."""
        return self.study.folder / "evolutions" / training.name

    def layer_folder(self, training: Training, layer: str, quantile: float) -> Path:
        """Return the folder of a layer of a trained network, at one quantile."""
        name = f"{layer}-{quantile:g}"
        return self.study.folder / "dissections" / training.name / name

    def rotation_folder(self, training: Training) -> Path:
        """Return the folder with the rotations of a trained network."""
        return self.study.folder / "rotations" / training.name

    def probe_folder(self, training: Training) -> Path:
        """Return the folder with the accuracy of a linear classifier on the last layer."""
        return self.study.folder / "probes" / training.name

    def evolution(self, training: Training) -> Evolution:
        """Load the evolution of a training. Raises RunInvalid where there is none."""
        return load_evolution(self.evolution_folder(training))

    def layer(
        self, training: Training, layer: str = LAST_LAYER, quantile: float = QUANTILES[0]
    ) -> Dissection:
        """Load the dissection of a trained network's layer."""
        return Dissection.load(self.layer_folder(training, layer, quantile))

    def rotations(self, training: Training) -> RotationStudy:
        """Load the rotations of a trained network's last layer."""
        return load_study(self.rotation_folder(training))

    def probe(self, training: Training) -> Discrimination:
        """Load the accuracy of a linear classifier on a trained network's last layer."""
        return load_discrimination(self.probe_folder(training))

    def dissect(self) -> None:
        """Dissect what is not dissected yet."""
        concepts = self.study.probe_scenes()
        tasks = self.study.tasks()
        for training, record in self.study.records():
            task = tasks[training.task]
            self._evolve(training, record, task, concepts)
            self._dissect_layers(training, record, task, concepts)
            self._rotate(training, record, task, concepts)
            self._probe(training, record, task)
            print(f"{training.name} is dissected", flush=True)

    def _evolve(
        self,
        training: Training,
        record: TrainingRecord,
        task: Task,
        concepts: ConceptSet,
    ) -> None:
        """Dissect the last layer at several moments of a training."""
        folder = self.evolution_folder(training)
        if (folder / RECORD).exists():
            return
        iterations = sorted(record.scores)
        if training.variant not in FOLLOWED:
            iterations = [iterations[0], iterations[-1]]
        scores = {iteration: record.scores[iteration] for iteration in iterations}
        weights = self.study.folder_of(training)
        accuracy_file = weights / "scores.csv"
        write_file(accuracy_file, _accuracy_csv(scores).encode())
        scale = self.study.scale
        preprocess = preprocess_of(scale.size)
        evolution = evolve(
            network_text(
                training.architecture, scale.size, task.outputs, task.per_cell
            ),
            [weights_file(weights, iteration) for iteration in iterations],
            [LAST_LAYER],
            concepts,
            folder,
            steps=iterations,
            accuracy=accuracy_file,
            settings=Settings(pictures=0),
            preprocess_values={
                "size": preprocess.size,
                "mean": preprocess.mean,
                "std": preprocess.std,
            },
            workers=0,
        )
        save_evolution(folder, evolution)

    def _dissect_layers(
        self,
        training: Training,
        record: TrainingRecord,
        task: Task,
        concepts: ConceptSet,
    ) -> None:
        """Dissect a trained network at several quantiles, in one pass over the scenes."""
        has_all = training.variant == ALL_LAYERS
        layers = [f"features.{name}" for name in (LAYERS if has_all else LAYERS[-1:])]
        folders = {
            (layer, quantile): self.layer_folder(training, layer, quantile)
            for layer in layers
            for quantile in QUANTILES
        }
        if all(folder.exists() for folder in folders.values()):
            return
        network = self.network(training, record, task)
        dissections = LayerDissection(network, layers).dissect(
            concepts,
            quantile=QUANTILES,
            preprocess=preprocess_of(self.study.scale.size),
            workers=0,
            pictures=has_all,
        )
        for of_layer in dissections:
            for dissection in of_layer:
                key = (dissection.layer, dissection.settings.quantile)
                dissection.save(folders[key])

    def _rotate(
        self,
        training: Training,
        record: TrainingRecord,
        task: Task,
        concepts: ConceptSet,
    ) -> None:
        """Dissect the last layer of a trained network in random bases, all in one pass."""
        folder = self.rotation_folder(training)
        if training.variant not in ROTATED or (folder / ROTATIONS).exists():
            return
        model = open_model(self.network(training, record, task))
        feed = Feed.of(
            concepts,
            preprocess_of(self.study.scale.size),
            Settings(pictures=0),
            model.device,
            workers=0,
        )
        plan = RotationPlan(ALPHAS, repeats=self.study.scale.rotations)
        save_study(rotate(model, LAST_LAYER, feed, plan), folder)

    def _probe(self, training: Training, record: TrainingRecord, task: Task) -> None:
        """Train a linear classifier of scenes on the units of the last layer, and on rotations."""
        folder = self.probe_folder(training)
        if (folder / PROBE).exists():
            return
        is_rotated = training.variant in ROTATED
        seeds = tuple(range(self.study.scale.rotations))
        result = discriminate(
            open_model(self.network(training, record, task)),
            [LAST_LAYER],
            self.study.labelled_pictures(),
            rotations=Rotations((1.0,) if is_rotated else (), seeds),
            preprocess=preprocess_of(self.study.scale.size),
            workers=0,
        )
        save_discrimination(folder, result)

    def network(
        self, training: Training, record: TrainingRecord, task: Task
    ) -> Network:
        """Return a trained network."""
        folder = self.study.folder_of(training)
        size = self.study.scale.size
        return load_network(training, folder, record.last, task, size)


def _accuracy_csv(scores: Mapping[int, float]) -> str:
    """Return a table of scores as ``nd evolve --accuracy`` reads it."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["step", "accuracy"])
    table.writerows(scores.items())
    return file.getvalue()
