"""Concept sets in memory, of any annotations, for tests of what is done with concept sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from nd_plugin import Annotation, Concept, Identity

SIZE = (8, 8)  # rows, columns


@dataclass(frozen=True)
class MadeSet:
    """Concept set of given annotations; images are of noise that depends on their names."""

    source: str
    concepts: tuple[Concept, ...]
    annotations: Mapping[str, Annotation]  # by the image's name
    splits: Mapping[str, str] = field(default_factory=dict)
    native_masks: bool = False
    notes: tuple[str, ...] = ()
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        return Identity("made", self.source, "1", f"fingerprint of {self.source}")

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(concept.category for concept in self.concepts))

    def __len__(self) -> int:
        return len(self.annotations)

    def name(self, index: int) -> str:
        return list(self.annotations)[index]

    def split(self, index: int) -> str:
        return self.splits.get(self.name(index), "")

    def image(self, index: int) -> Image.Image:
        name = self.name(index)
        rows, columns = self.sizes.get(name, SIZE)
        seed = np.frombuffer(name.encode(), np.uint8)
        rng = np.random.default_rng(seed.tolist())
        return Image.fromarray(rng.integers(0, 256, (rows, columns, 3), np.uint8))

    def annotation(self, index: int) -> Annotation:
        return self.annotations[self.name(index)]


def concepts_of(**names: str) -> tuple[Concept, ...]:
    """Return concepts: names separated by spaces, by category."""
    return tuple(
        Concept(name, category)
        for category, listed in names.items()
        for name in listed.split()
    )


def shown(concepts: MadeSet, *names: str) -> Annotation:
    """Return an annotation with a plane for each name, whose first pixel shows it."""
    planes = []
    for name in names:
        plane = np.zeros(SIZE, np.uint8)
        plane[0, 0] = value_of(concepts.concepts, name)
        planes.append(plane)
    return Annotation(planes)


def value_of(concepts: Sequence[Concept], name: str) -> int:
    """Return the value of a concept in planes."""
    return [concept.name for concept in concepts].index(name) + 1


def names_in(concepts: Sequence[Concept], annotation: Annotation) -> set[str]:
    """Return the names of all concepts that an annotation shows."""
    values = set(annotation.labels)
    for plane in annotation.planes:
        values.update(np.unique(plane).tolist())
    return {concepts[value - 1].name for value in values if value}
