"""Study at one scale: its scenes, its trainings and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reproduce.networks import STRIDE
from reproduce.processes import results_of
from reproduce.scales import Scale
from reproduce.scenes import DrawnScenes, draw_scenes, write_pictures
from reproduce.tasks import Tasks
from reproduce.training import TrainingRecord, read_record, train
from reproduce.trainings import Training, trainings

PROBE_SEED = 0
TRAINING_SEED = 1
TEST_SEED = 2


@dataclass(frozen=True)
class Study:
    """Experiment at one scale; everything that is computed is kept in ``folder``."""

    scale: Scale
    folder: Path

    @property
    def networks(self) -> Path:
        """Folder of the trainings."""
        return self.folder / "networks"

    def folder_of(self, training: Training) -> Path:
        """Return the folder of a training."""
        return self.networks / training.name

    def probe_scenes(self, processes: int = 1) -> DrawnScenes:
        """Return the scenes that networks are dissected on."""
        return self._scenes(self.scale.probe_images, PROBE_SEED, processes)

    def training_scenes(self, processes: int = 1) -> DrawnScenes:
        """Return the scenes that networks are trained on."""
        return self._scenes(self.scale.training_images, TRAINING_SEED, processes)

    def test_scenes(self, processes: int = 1) -> DrawnScenes:
        """Return the scenes that scores are measured on."""
        return self._scenes(self.scale.test_images, TEST_SEED, processes)

    def tasks(self) -> Tasks:
        """Return the tasks that follow from the training scenes."""
        return Tasks(self.training_scenes(), self.scale.size // STRIDE)

    def labelled_pictures(self) -> Path:
        """Write pictures into folders by their scene, as ``nd probe`` takes them; return the root.

        Close-ups have no scene and are left out.
        """
        root = self.folder / "pictures"
        if not root.exists():
            draft = self.folder / "pictures.draft"
            write_pictures(self.training_scenes(), draft / "train")
            write_pictures(self.test_scenes(), draft / "test")
            draft.rename(root)
        return root

    def _scenes(self, images: int, seed: int, processes: int) -> DrawnScenes:
        folder = self.folder / "scenes"
        return draw_scenes(images, self.scale.size, seed, folder, processes)

    def draw(self, processes: int) -> None:
        """Draw all scenes."""
        self.training_scenes(processes)
        self.test_scenes(processes)
        self.probe_scenes(processes)

    def train(self, processes: int) -> None:
        """Train all networks that are not trained yet, sources before those tuned from them."""
        planned = trainings(self.scale)
        rounds = (
            [training for training in planned if not training.source],
            [training for training in planned if training.source],
        )
        for in_parallel in rounds:
            calls = [
                (self, training)
                for training in in_parallel
                if read_record(self.folder_of(training)) is None
            ]
            for record in results_of(train_in_process, calls, processes):
                print(_line(record), flush=True)

    def records(self) -> list[tuple[Training, TrainingRecord]]:
        """Return the trainings that are finished, with their records."""
        pairs = [
            (training, read_record(self.folder_of(training)))
            for training in trainings(self.scale)
        ]
        return [
            (training, record) for training, record in pairs if record is not None
        ]


@cache
def _lesson_scenes(study: Study) -> tuple[DrawnScenes, DrawnScenes]:
    """Return the scenes for training and for testing, read once in a process."""
    return study.training_scenes(), study.test_scenes()


def train_in_process(study: Study, training: Training) -> TrainingRecord:
    """Train one network."""
    scenes, test_scenes = _lesson_scenes(study)
    return train(training, study.scale, scenes, test_scenes, study.networks)


def _line(record: TrainingRecord) -> str:
    score = record.scores[record.last]
    return (
        f"{record.variant}, seed {record.seed}: {record.score_name} {score:.3f} "
        f"after {record.last} iterations, {record.seconds:.0f} s"
    )
