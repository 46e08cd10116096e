"""Small network and concept set for tests of stored, continued and merged runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from nd_plugin import Annotation, Concept, Identity, open_concepts


class Net(nn.Module):
    """Two layers with live, sparse and dead units; counts the images that pass through."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.near = nn.Conv2d(3, 5, 5, 4, 2)
        self.far = nn.Conv2d(5, 6, 3, 2, 1)
        random = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=random) / 4
        self.far.weight.data[4:] = 0
        self.far.bias.data[4:] = torch.tensor([0.0, 1.5])
        self.images = 0

    def forward(self, x: Tensor) -> Tensor:
        self.images += len(x)
        return self.far(self.near(x).relu()).relu()


@dataclass(frozen=True)
class Drawn:
    """Concept set in memory, of which some images and annotations cannot be read."""

    identity: Identity
    categories: tuple[str, ...]
    concepts: tuple[Concept, ...]
    images: Sequence[Image.Image]
    annotations: Sequence[Annotation]
    bad_images: Sequence[int] = ()
    bad_annotations: Sequence[int] = ()
    native_masks: bool = False

    @classmethod
    def of(cls, text: str) -> Drawn:
        """Return the concept set that a spec names, with all images and annotations read."""
        source = open_concepts(text)
        images = [source.image(index) for index in range(len(source))]
        annotations = [source.annotation(index) for index in range(len(source))]
        return cls(
            source.identity, source.categories, source.concepts, images, annotations
        )

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        return f"scene {index:02}"

    def image(self, index: int) -> Image.Image:
        if index in self.bad_images:
            raise OSError("image file is truncated")
        return self.images[index]

    def annotation(self, index: int) -> Annotation:
        if index in self.bad_annotations:
            raise ValueError("of another aspect")
        return self.annotations[index]
