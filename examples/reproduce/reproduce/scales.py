"""Scales of the experiment: how many scenes, how long, how many seeds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of the data sets and of the trainings."""

    name: str
    size: int = 64  # pixels a side
    training_images: int = 4000
    test_images: int = 1000
    probe_images: int = 1000  # for the dissections
    epochs: int = 8
    tuning_epochs: int = 4
    batch: int = 32
    seeds: int = 3
    units: int = 64  # of the last two convolutional layers
    fewer_units: int = 32
    rotations: int = 5  # random bases for each network
    permutations: int = 10  # of the annotations, for the chance level
    # iterations after which the weights are kept, beside the first and the last
    checkpoints: tuple[int, ...] = (20, 50, 120, 300, 600)


FULL = Scale("full")
QUICK = Scale(
    "quick",
    training_images=1500,
    test_images=400,
    probe_images=400,
    epochs=6,
    tuning_epochs=3,
    seeds=2,
    rotations=3,
    permutations=5,
    checkpoints=(20, 60),
)
