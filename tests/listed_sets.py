"""Concept set of images and annotations that a test lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nd_plugin import Annotation, Concept, Identity

SIDE = 8
IDENTITY = Identity("listed", "listed", "1", "0" * 16)


def noise(seed: int, height: int = SIDE, width: int = SIDE) -> Image.Image:
    """Return a picture of noise."""
    random = np.random.default_rng(seed)
    return Image.fromarray(
        random.integers(0, 256, (height, width, 3)).astype(np.uint8)
    )


@dataclass
class ListedSet:
    """Concept set in memory; an annotation may be an exception, which is raised."""

    concepts: tuple[Concept, ...]
    annotations: Sequence[Annotation | Exception]
    names: Sequence[str] = ()
    images: Sequence[Any] = ()  # pictures or exceptions; (): noise
    categories: tuple[str, ...] = ()
    native_masks: bool = False
    splits: Sequence[str] = ()
    paths: Mapping[int, Sequence[Path]] = field(default_factory=dict)
    identity: Identity = IDENTITY

    def __post_init__(self) -> None:
        if not self.categories:
            used = dict.fromkeys(concept.category for concept in self.concepts)
            self.categories = tuple(used)

    def __len__(self) -> int:
        return len(self.annotations)

    def name(self, index: int) -> str:
        return self.names[index] if self.names else f"{index}.png"

    def split(self, index: int) -> str:
        return self.splits[index] if self.splits else ""

    def files(self, index: int) -> Sequence[Path]:
        return self.paths.get(index, ())

    def image(self, index: int) -> Image.Image:
        image = self.images[index] if self.images else noise(index)
        if isinstance(image, Exception):
            raise image
        return image

    def annotation(self, index: int) -> Annotation:
        annotation = self.annotations[index]
        if isinstance(annotation, Exception):
            raise annotation
        return annotation
