"""Results of dissecting the trained networks: where they are kept, and how they are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nd_plugin import Dissection
from nd_plugin.experiments.evolution.evolution import Evolution
from nd_plugin.experiments.evolution.evolution_files import load_evolution
from nd_plugin.experiments.probing.discrimination import Discrimination
from nd_plugin.experiments.probing.discrimination_files import load_discrimination
from nd_plugin.experiments.rotation.folder import load_study
from nd_plugin.experiments.rotation.study import RotationStudy
from reproduce.study import Study
from reproduce.trainings import Training

LAST_LAYER = "features.relu4"
QUANTILES = (0.005, 0.01, 0.02, 0.04)  # the paper's 0.005 first
COLOR_QUANTILE = (
    0.02  # that is large enough for colours, which cover a tenth of all
)
# trainings that are dissected at every checkpoint; others at the first and the last
FOLLOWED = ("scenes", "scenes-bn")
ALL_LAYERS = "scenes"  # variant of which all layers are dissected
ROTATED = ("scenes", "scenes-bn")  # variants whose last layer is rotated

# variants whose annotations are permuted; those of the baseline before its training, too
CHANCE = ("scenes", "scenes-bn", "objects", "captions", "rotation", "colour")
FIRST = "first"
LAST = "last"
TURNED = "turned"  # the last moment, in a random basis


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

    def chance_folder(self, training: Training, moment: str) -> Path:
        """Return the folder of the last layer with permuted annotations, at a moment."""
        return self.study.folder / "chance" / f"{training.name}-{moment}"

    def evolution(self, training: Training) -> Evolution:
        """Load the stages of a training. Raises RunInvalid where there are none."""
        return load_evolution(self.evolution_folder(training))

    def layer(
        self,
        training: Training,
        layer: str = LAST_LAYER,
        quantile: float = QUANTILES[0],
    ) -> Dissection:
        """Load the dissection of a trained network's layer. Raises RunInvalid."""
        return Dissection.load(self.layer_folder(training, layer, quantile))

    def rotations(self, training: Training) -> RotationStudy:
        """Load the rotations of a trained network's last layer. Raises RunInvalid."""
        return load_study(self.rotation_folder(training))

    def chance(self, training: Training, moment: str) -> Dissection:
        """Load the dissection that has the level of chance. Raises RunInvalid."""
        return Dissection.load(self.chance_folder(training, moment))

    def probe(self, training: Training) -> Discrimination:
        """Load the accuracy of a linear classifier on a trained network's last layer."""
        return load_discrimination(self.probe_folder(training))
