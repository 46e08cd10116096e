"""Folders of labelled images, and a network whose units are the colours that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

SIZE = 16
COLOURS = {"red": (160, 90, 90), "green": (90, 160, 90), "blue": (90, 90, 160)}
MODEL = "labelled_pictures:build"
VALUES = {
    "size": (SIZE, SIZE),
    "mean": (0.0,) * 3,
    "std": (1.0,) * 3,
    "scale": 1 / 255,
}


def build() -> nn.Module:
    """Network with the layers ``0`` (units are mixed colours) and ``1``."""
    generator = torch.Generator().manual_seed(5)
    network = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 5, 3))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network


def save_class(
    folder: Path, colour: tuple[int, int, int], count: int, noise: float, seed: int
) -> None:
    """Save images of one colour each, that differs from image to image by ``noise``."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for index in range(count):
        values = np.array(colour) + random.normal(0, noise, 3)
        pixels = np.broadcast_to(values.clip(0, 255), (SIZE, SIZE, 3)).astype(
            np.uint8
        )
        Image.fromarray(pixels).save(folder / f"{index}.png")


def save_pictures(
    root: Path,
    counts: Mapping[str, int],
    *,
    noise: float = 5.0,
    same_colour: bool = False,
    classes: tuple[str, ...] = tuple(COLOURS),
) -> Path:
    """Save so many images of each class in folders of the splits that ``counts`` names.

    A split of the name "" has its classes in the root.
    """
    seed = 0
    for split, count in counts.items():
        for name in classes:
            seed += 1
            colour = COLOURS["red" if same_colour else name]
            save_class(root / split / name, colour, count, noise, seed)
    return root
