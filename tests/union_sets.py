"""Small concept sets in memory, for unions: every image is one colour, labelled by rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from nd_plugin import Annotation, Concept, Identity

SIDE = 8


@dataclass(frozen=True)
class MadeSet:
    """Concept set of images that carry some of its concepts, each in rows of its own."""

    text: str  # such as "masks:street"
    concepts: tuple[Concept, ...]
    images: tuple[tuple[int, ...], ...]  # plane values of each image
    unreadable: frozenset[int] = frozenset()
    names: tuple[str, ...] = ()
    native_masks: bool = False
    notes: tuple[str, ...] = ()
    whole: Mapping[int, tuple[int, ...]] = field(default_factory=dict)  # by image

    @property
    def identity(self) -> Identity:
        content = repr((self.concepts, self.images, sorted(self.unreadable)))
        name = self.text.partition("?")[0].partition(":")[0]
        return Identity(name, self.text, "1", content)

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(concept.category for concept in self.concepts))

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        return self.names[index] if self.names else f"{index}.png"

    def image(self, index: int) -> Image.Image:
        if index in self.unreadable:
            raise OSError("the file is truncated")
        shade = 40 * (index % 6)
        return Image.new("RGB", (SIDE, SIDE), (shade, 255 - shade, 128))

    def annotation(self, index: int) -> Annotation:
        plane = np.zeros((SIDE, SIDE), np.uint8)
        for row, value in enumerate(self.images[index]):
            plane[row] = value
        return Annotation([plane], self.whole.get(index, ()))


def made_set(
    text: str, concepts: Sequence[Concept], count: int, **options: object
) -> MadeSet:
    """Return a set of ``count`` images, each of which carries all concepts."""
    values = tuple(range(1, len(concepts) + 1))
    return MadeSet(text, tuple(concepts), (values,) * count, **options)  # type: ignore[arg-type]


def objects(*names: str) -> list[Concept]:
    """Return concepts of category object; ``sofa;couch`` has a synonym."""
    concepts = []
    for text in names:
        name, *synonyms = text.split(";")
        concepts.append(Concept(name, "object", tuple(synonyms)))
    return concepts
