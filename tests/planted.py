"""Model with planted activations, and a concept set whose images are their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from nd_plugin import (
    Annotation,
    Axis,
    Concept,
    ConceptSet,
    Geometry,
    Identity,
    NoiseRun,
    Preprocess,
)
from nd_plugin.contracts.models import LayerDescription

IMAGES, SIZE, MASK = 48, 32, 16
HOW = Preprocess((SIZE, SIZE), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), scale=1.0)
GEOMETRY = Geometry(Axis(9, 4.5, 2), Axis(9, 6.5, -1))


@dataclass(frozen=True)
class Numbered:
    """The annotations of the shapes; an image is filled with its number."""

    shapes: ConceptSet
    identity = Identity("numbered", "numbered", "1", "0")
    native_masks = False

    @property
    def categories(self) -> tuple[str, ...]:
        return self.shapes.categories

    @property
    def concepts(self) -> tuple[Concept, ...]:
        return self.shapes.concepts

    def __len__(self) -> int:
        return IMAGES

    def name(self, index: int) -> str:
        return f"{index}.png"

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (SIZE, SIZE), (index, 0, 0))

    def annotation(self, index: int) -> Annotation:
        return self.shapes.annotation(index)


@dataclass
class Planted:
    """Model and probe with planted activations (image, unit, row, column) of each layer."""

    activations: Mapping[str, Tensor]
    seen: list[int] = field(default_factory=list)  # images, pass after pass
    backend = "planted"
    identity = Identity("planted", "planted", "1", "0")
    preprocess = HOW
    device = torch.device("cpu")
    notes: tuple[str, ...] = ("planted",)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        return dict.fromkeys(self.activations, GEOMETRY)

    def layers(self, size: tuple[int, int]) -> Sequence[LayerDescription]:
        return [
            LayerDescription(name, "Planted", tuple(maps[:1].shape))
            for name, maps in self.activations.items()
        ]

    @contextmanager
    def probe(
        self, layers: Sequence[Any], size: tuple[int, int]
    ) -> Iterator[Probe]:
        yield Probe(self, tuple(layers))


@dataclass(frozen=True)
class Probe:
    model: Planted
    layers: tuple[str, ...]
    # its images are numbers of planted maps, which noise is not
    noise_run = NoiseRun.none()

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        return self.model.geometries

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        numbers = images[:, 0, 0, 0].long()
        self.model.seen += numbers.tolist()
        return {
            layer: self.model.activations[layer][numbers] for layer in self.layers
        }


def drawn(
    seed: int,
    units: int = 6,
    cells: tuple[int, int] = (5, 4),
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    return torch.randn(
        IMAGES,
        units,
        *cells,
        generator=torch.Generator().manual_seed(seed),
        dtype=dtype,
    )
