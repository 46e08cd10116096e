"""Training tasks that follow from drawn scenes: two supervised, two self-supervised, captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional

from reproduce.captions import Captions
from reproduce.scenes import OBJECTS, DrawnScenes

SMALLEST_SHARE = 0.01  # of the picture, for an object to be present
RAREST = 0.02  # share of training scenes, for an object to be asked for
CHROMA_BINS = 6  # along each of two axes of chroma
TURNS = 4  # quarter turns that rotation prediction tells apart
NO_SCENE = -1


class Task:
    """What a network is trained to do: targets, loss and score.

    A task that only needs pictures makes its targets in `present`.
    """

    score_name = "accuracy"
    outputs: int
    per_cell = False  # whether there is an output for each cell of the last layer

    def targets(self, scenes: DrawnScenes) -> Tensor:
        """Return a target for each scene, with -1 for scenes that have none."""
        return torch.zeros(len(scenes), dtype=torch.int64)

    def present(
        self, pictures: Tensor, targets: Tensor, dice: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the pictures as the network sees them, and their targets.

        ``pictures`` are uint8 (image, channel, row, column), already mirrored by chance.
        """
        return pictures, targets

    def decoder(self) -> nn.Module:
        """Return the part of the model that is behind the network's outputs."""
        return nn.Identity()

    def loss(self, decoder: nn.Module, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch."""
        return functional.cross_entropy(outputs, targets)

    def score(self, decoder: nn.Module, outputs: Tensor, targets: Tensor) -> float:
        """Return how well the task is done, at most 1."""
        is_correct = outputs.argmax(1) == targets
        return float(is_correct.float().mean())


class SceneTask(Task):
    """Which of twelve scenes a picture shows: the paper's Places."""

    def __init__(self, scenes: DrawnScenes) -> None:
        self._first_label = min(scenes.names_of("scene"))
        self.outputs = len(scenes.names_of("scene"))

    def targets(self, scenes: DrawnScenes) -> Tensor:
        """Return the scene of each picture, -1 for a close-up."""
        labels = torch.from_numpy(scenes.scene_labels.astype(np.int64))
        return torch.where(labels > 0, labels - self._first_label, NO_SCENE)


class ObjectTask(Task):
    """Which objects are present: the paper's ImageNet, with several objects in a picture."""

    score_name = "mean average precision"

    def __init__(self, scenes: DrawnScenes) -> None:
        presence = _presence(scenes)
        self.labels = np.flatnonzero(presence.mean(0) >= RAREST)
        self.outputs = len(self.labels)

    def targets(self, scenes: DrawnScenes) -> Tensor:
        """Return the presence of each object, (image, object), as 0 and 1."""
        return torch.from_numpy(_presence(scenes)[:, self.labels]).float()

    def loss(self, decoder: nn.Module, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the binary cross-entropy, summed over objects."""
        loss = functional.binary_cross_entropy_with_logits(
            outputs, targets, reduction="sum"
        )
        return loss / len(outputs)

    def score(self, decoder: nn.Module, outputs: Tensor, targets: Tensor) -> float:
        """Return the average precision, averaged over the objects that occur."""
        occurs = targets.any(0)
        return float(
            average_precision_score(targets[:, occurs], outputs[:, occurs])
        )


def _presence(scenes: DrawnScenes) -> npt.NDArray[np.bool_]:
    """Return whether each object takes 1 % of each picture or more, (image, label)."""
    objects = scenes.planes[:, OBJECTS]
    label_count = len(scenes.concepts) + 1
    areas = np.stack(
        [np.bincount(plane.ravel(), minlength=label_count) for plane in objects]
    )
    areas[:, 0] = 0  # no object
    is_present: npt.NDArray[np.bool_] = areas >= SMALLEST_SHARE * objects[0].size
    return is_present


class ColorTask(Task):
    """Colourisation: the chroma of each cell, from a grey picture.

    Chroma (Cb, Cr) is averaged over the pixels of a cell of the last layer and put into 6 x 6
    bins. The network must not see colours (``Network(grey=True)``).
    """

    per_cell = True
    outputs = CHROMA_BINS**2

    def __init__(self, cells: int) -> None:
        self._cells = cells  # along a side

    def present(
        self, pictures: Tensor, targets: Tensor, dice: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the pictures, and the bin of each cell's chroma."""
        red, green, blue = pictures.float().div(255).unbind(1)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        chroma = torch.stack([0.564 * (blue - luma), 0.713 * (red - luma)], 1)
        mean_chroma = functional.adaptive_avg_pool2d(chroma, self._cells)
        bins = ((mean_chroma + 0.5) * CHROMA_BINS).long()
        bins = bins.clamp(0, CHROMA_BINS - 1)
        return pictures, bins[:, 0] * CHROMA_BINS + bins[:, 1]


class RotationTask(Task):
    """By how many quarter turns a picture was turned."""

    outputs = TURNS

    def present(
        self, pictures: Tensor, targets: Tensor, dice: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the pictures, turned at random, and the number of quarter turns."""
        turns = torch.randint(TURNS, (len(pictures),), generator=dice)
        turned = torch.empty_like(pictures)
        for turn in range(TURNS):
            chosen = turns == turn
            turned[chosen] = pictures[chosen].rot90(turn, (2, 3))
        return turned, turns


class CaptionTask(Task):
    """The words of a scene's caption, one after the other, by a recurrent decoder."""

    score_name = "accuracy of the next word"
    outputs = 64  # numbers that the decoder is given

    def __init__(self, scenes: DrawnScenes) -> None:
        self.captions = Captions.of(scenes)

    def targets(self, scenes: DrawnScenes) -> Tensor:
        """Return the words of each caption as numbers, (image, word)."""
        return self.captions.encode(scenes)

    def decoder(self) -> nn.Module:
        """Return a new decoder."""
        return CaptionDecoder(len(self.captions.words), self.outputs)

    def loss(self, decoder: nn.Module, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of the next words, the padding left out."""
        logits = decoder(outputs, targets)
        return functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=0
        )

    def score(self, decoder: nn.Module, outputs: Tensor, targets: Tensor) -> float:
        """Return the share of words that are predicted from the words before them."""
        predicted = decoder(outputs, targets).argmax(-1)
        is_word = targets > 0
        is_correct = (predicted == targets)[is_word]
        return float(is_correct.float().mean())


class CaptionDecoder(nn.Module):
    """Recurrent network that says a caption: its state begins as the image's features."""

    def __init__(self, words: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, features)
        self.recurrence = nn.GRU(features, features, batch_first=True)
        self.output = nn.Linear(features, words)

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        """Return the logits of each word, given those before it: (image, word, vocabulary)."""
        previous = functional.pad(words[:, :-1], (1, 0))
        states, _ = self.recurrence(self.embedding(previous), features[None])
        logits: Tensor = self.output(states)
        return logits


@dataclass(frozen=True)
class Tasks:
    """Tasks of the experiment by name, made from the training scenes when they are needed."""

    scenes: DrawnScenes
    cells: int  # along a side of the last layer

    def __getitem__(self, name: str) -> Task:
        """Return a task. Raises KeyError for an unknown name."""
        makers: Mapping[str, Callable[[], Task]] = {
            "scenes": lambda: SceneTask(self.scenes),
            "objects": lambda: ObjectTask(self.scenes),
            "colour": lambda: ColorTask(self.cells),
            "rotation": RotationTask,
            "captions": lambda: CaptionTask(self.scenes),
        }
        return makers[name]()
