"""Training of one network: weights of several moments, and its score at each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from nd_plugin.results.atomic_files import write_file
from reproduce.networks import STRIDE, Network, preprocess_of
from reproduce.scales import Scale
from reproduce.scenes import DrawnScenes
from reproduce.tasks import Task, Tasks
from reproduce.trainings import Training

RATE = 1e-3  # learning rate at its highest
TUNING_RATE = 5e-4
DECAY = 1e-4
RECORD = "training.json"
TEST_SEED = 99  # of the turns that test pictures are turned by


@dataclass(frozen=True)
class TrainingRecord:
    """What is known of a training when it is finished."""

    variant: str
    seed: int
    task: str
    score_name: str
    scores: dict[int, float]  # by iteration, on test scenes
    images: int  # training scenes with a target
    seconds: float  # of one thread

    @property
    def last(self) -> int:
        """Number of the last iteration."""
        return max(self.scores)


@dataclass(frozen=True, eq=False)
class Lesson:
    """Pictures of scenes with a target, uint8 (image, channel, row, column), and the targets."""

    pictures: Tensor
    targets: Tensor

    @classmethod
    def of(cls, task: Task, scenes: DrawnScenes) -> Lesson:
        """Return the scenes that have a target in this task."""
        targets = task.targets(scenes)
        has_target = (
            targets.flatten(1).ge(0).any(1) if targets.ndim > 1 else targets >= 0
        )
        pictures = torch.from_numpy(scenes.pixels).permute(0, 3, 1, 2)
        return cls(pictures[has_target].contiguous(), targets[has_target])


def weights_file(folder: Path, iteration: int) -> Path:
    """Return the file of the weights after an iteration."""
    return folder / f"{iteration:06d}.safetensors"


def read_record(folder: Path) -> TrainingRecord | None:
    """Return the record of a finished training, None for one that is not finished."""
    file = folder / RECORD
    if not file.exists():
        return None
    values = json.loads(file.read_text())
    scores = {int(key): score for key, score in values.pop("scores").items()}
    return TrainingRecord(**values, scores=scores)


def load_network(
    training: Training, folder: Path, iteration: int, task: Task, size: int
) -> Network:
    """Return a network with the weights that it had after an iteration, in evaluation mode."""
    network = Network(training.architecture, size, task.outputs, task.per_cell)
    network.load_state_dict(load_file(weights_file(folder, iteration)))
    return network.eval()


class Trainer:
    """Training of one network for one task."""

    def __init__(self, training: Training, scale: Scale, task: Task) -> None:
        torch.manual_seed(training.seed)
        self._training = training
        self._scale = scale
        self._task = task
        self._preprocess = preprocess_of(scale.size)
        self._network = Network(
            training.architecture, scale.size, task.outputs, task.per_cell
        )
        self._decoder = task.decoder()
        self._dice = torch.Generator().manual_seed(training.seed)

    def start_from(self, source: Path) -> None:
        """Take the convolutional layers over from trained weights; the head stays random."""
        weights = load_file(source)
        features = {
            name: value
            for name, value in weights.items()
            if name.startswith("features.")
        }
        self._network.load_state_dict(features, strict=False)

    def train(self, lesson: Lesson, test: Lesson, folder: Path) -> dict[int, float]:
        """Train, write the weights of several iterations, and return their scores."""
        scale = self._scale
        is_tuned = bool(self._training.source)
        epochs = scale.tuning_epochs if is_tuned else scale.epochs
        rate = TUNING_RATE if is_tuned else RATE
        iterations = epochs * (len(lesson.pictures) // scale.batch)
        parameters = [*self._network.parameters(), *self._decoder.parameters()]
        trained = [value for value in parameters if value.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=rate, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, rate, total_steps=iterations
        )
        scores = {0: self._record(test, folder, 0)}
        for iteration, batch in enumerate(
            self._batches(lesson, iterations), start=1
        ):
            optimiser.zero_grad()
            torch.autograd.backward(self._loss(*batch))
            optimiser.step()
            schedule.step()
            if iteration in (*scale.checkpoints, iterations):
                scores[iteration] = self._record(test, folder, iteration)
        return scores

    def _batches(
        self, lesson: Lesson, iterations: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of pictures, mirrored by chance, in a new order in every epoch."""
        size = self._scale.batch
        order = torch.empty(0, dtype=torch.int64)
        for _ in range(iterations):
            if len(order) < size:
                order = torch.randperm(len(lesson.pictures), generator=self._dice)
            indices, order = order[:size], order[size:]
            pictures = lesson.pictures[indices]
            is_mirrored = torch.rand(size, generator=self._dice) < 0.5
            pictures[is_mirrored] = pictures[is_mirrored].flip(3)
            yield pictures, lesson.targets[indices]

    def _loss(self, pictures: Tensor, targets: Tensor) -> Tensor:
        shown, targets = self._task.present(pictures, targets, self._dice)
        outputs = self._network(self._preprocess.normalise(shown))
        return self._task.loss(self._decoder, outputs, targets)

    def _record(self, test: Lesson, folder: Path, iteration: int) -> float:
        """Write the weights and return the score on the test scenes."""
        write_file(
            weights_file(folder, iteration), save(self._network.state_dict())
        )
        modules = nn.ModuleList([self._network, self._decoder]).eval()
        dice = torch.Generator().manual_seed(TEST_SEED)
        shown, targets = self._task.present(test.pictures, test.targets, dice)
        with torch.inference_mode():
            images = self._preprocess.normalise(shown)
            portions = torch.split(images, self._scale.batch)
            outputs = torch.cat([self._network(portion) for portion in portions])
            score = self._task.score(self._decoder, outputs, targets)
        modules.train()
        return score


def train(
    training: Training,
    scale: Scale,
    scenes: DrawnScenes,
    test_scenes: DrawnScenes,
    folder: Path,
) -> TrainingRecord:
    """Train a network, or return the record of the training that is there.

    ``folder`` holds a folder for each training.
    """
    torch.set_num_threads(1)
    own_folder = folder / training.name
    record = read_record(own_folder)
    if record is not None:
        return record
    task = Tasks(scenes, scale.size // STRIDE)[training.task]
    start = time.process_time()
    trainer = Trainer(training, scale, task)
    if training.source:
        source_folder = folder / training.source_name
        source_record = read_record(source_folder)
        if source_record is None:
            raise FileNotFoundError(
                f"{source_folder} is not trained: train it first"
            )
        trainer.start_from(weights_file(source_folder, source_record.last))
    lesson = Lesson.of(task, scenes)
    test = Lesson.of(task, test_scenes)
    scores = trainer.train(lesson, test, own_folder)
    record = TrainingRecord(
        training.variant,
        training.seed,
        training.task,
        task.score_name,
        scores,
        len(lesson.pictures),
        round(time.process_time() - start, 1),
    )
    write_file(own_folder / RECORD, json.dumps(asdict(record), indent=1).encode())
    return record
