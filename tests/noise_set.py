"""Probe data set of images of noise, and feeds of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from nd_plugin import Annotation, Concept, Identity, Preprocess, Settings
from nd_plugin.probe_data.batches import Feed


@dataclass
class Noise:
    """Images of noise, each with an annotation of its own; some of them raise."""

    count: int = 7
    bad_images: Mapping[int, Exception] = field(default_factory=dict)
    bad_annotations: Mapping[int, Exception] = field(default_factory=dict)
    annotations: Mapping[int, Annotation] = field(default_factory=dict)
    native_masks: bool = False

    identity = Identity("noise", "noise", "1", "0")
    categories = ("object",)
    concepts = (
        Concept("cat", "object"),
        Concept("dog", "object"),
        Concept("cow", "object"),
    )

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"{index}.jpg"

    def image(self, index: int) -> Image.Image:
        if index in self.bad_images:
            raise self.bad_images[index]
        return Image.fromarray(
            np.random.default_rng(index).integers(
                0, 256, (9, 11, 3), dtype=np.uint8
            )
        )

    def annotation(self, index: int) -> Annotation:
        if index in self.bad_annotations:
            raise self.bad_annotations[index]
        drawn = np.random.default_rng(100 + index).integers(
            0, 4, (1 + index % 3, 18, 22)
        )
        return self.annotations.get(
            index, Annotation(list(drawn), (1 + index % 3,) * (index % 2))
        )


def feed(
    concepts: object,
    *,
    size: tuple[int, int] = (8, 10),
    batch: int = 3,
    workers: int = 0,
    **settings: object,
) -> Feed:
    return Feed(
        concepts, Preprocess(size=size), Settings(**settings), batch, workers
    )  # type: ignore[arg-type]
