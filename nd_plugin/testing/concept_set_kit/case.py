"""Concept set under test: opened twice, and a copy as another process gets it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation, ConceptSet
from nd_plugin.testing.concept_set_kit.reading_state import ReadingState
from nd_plugin.testing.conformance import require
from nd_plugin.testing.outcomes import Once

LABELLED_IMAGES = 50  # of which at least one has to have a label
MEMBERS = tuple(
    name
    for name in vars(ConceptSet)
    if not name.startswith("_") or name == "__len__"
)
Value = TypeVar("Value")
Factory = Callable[..., ConceptSet]


@dataclass(frozen=True)
class AnnotationCopy:
    """Annotation as it was given, and copies of its planes, which nothing changes."""

    given: Annotation
    planes: tuple[Any, ...]

    @classmethod
    def of(cls, annotation: Annotation) -> AnnotationCopy:
        """Copy the planes of an annotation, of whatever type they are."""
        planes = annotation.planes
        copies = tuple(copy(plane) for plane in planes)
        return cls(annotation, copies)

    def equals(self, annotation: Annotation) -> bool:
        """Return whether another annotation has the same labels and planes."""
        if tuple(annotation.labels) != tuple(self.given.labels):
            return False
        if len(annotation.planes) != len(self.planes):
            return False
        pairs = zip(annotation.planes, self.planes, strict=True)
        return all(np.array_equal(plane, other) for plane, other in pairs)


class ConceptSetCase:
    """A concept set, and what its checks share: it is opened by the first check that asks."""

    def __init__(
        self,
        factory: Factory,
        argument: Any,
        options: Mapping[str, Any],
        images: int,
    ) -> None:
        self.factory = factory
        self.argument = argument
        self.options: dict[str, Any] = dict(options)
        self._most_images = images
        # settings of this process that opening or reading has changed, in words
        self.changes: list[str] = []
        self._steps: dict[str, Once[Any]] = {}

    @property
    def opened(self) -> ConceptSet:
        """The concept set. Raises AssertionError where it does not open."""
        return self.once("opening the concept set", self._open_first)

    @property
    def copy(self) -> ConceptSet:
        """Copy as another process gets it. Raises AssertionError where it cannot be pickled."""
        self.opened  # noqa: B018
        return self.once("pickling the concept set", self._pickle)

    @property
    def images(self) -> list[Image.Image]:
        """Copies of the first images. Raises AssertionError where one cannot be read."""
        self.opened  # noqa: B018
        return self.once("image()", self._read_images)

    @property
    def annotations(self) -> list[AnnotationCopy]:
        """Annotations of the first images. Raises AssertionError where one cannot be read."""
        self.opened  # noqa: B018
        return self.once("annotation()", self._read_annotations)

    @cached_property
    def indices(self) -> range:
        """Indices of the images that are looked at: the first ones."""
        return range(min(self._most_images, len(self.opened)))

    def open(self) -> ConceptSet:
        """Open the set, each time anew."""
        return self.factory(self.argument, **self.options)

    def once(self, step: str, make: Callable[[], Value]) -> Value:
        """Return what several checks look at, or require what they build upon, made once.

        Raises AssertionError for the first check that asks where it fails, Unchecked for others.
        """
        once: Once[Value] = self._steps.setdefault(step, Once(step, make))
        return once.get()

    def _open_first(self) -> ConceptSet:
        with self._watched("opening"):
            opened = self.open()
        missing = [name for name in MEMBERS if not hasattr(opened, name)]
        require(not missing, f"the concept set lacks {', '.join(missing)}")
        require(len(opened) > 0, "the concept set has no images")
        return opened

    @contextmanager
    def _watched(self, place: str) -> Iterator[None]:
        before = ReadingState.now()
        yield
        difference = before.difference(ReadingState.now())
        if difference:
            self.changes.append(f"{place} has changed {difference}")

    def _pickle(self) -> ConceptSet:
        copy: ConceptSet = pickle.loads(pickle.dumps(self.opened))
        return copy

    def _read_images(self) -> list[Image.Image]:
        images = []
        with self._watched("reading images"):
            for index in self.indices:
                image = self.opened.image(index)
                require(
                    isinstance(image, Image.Image),
                    f"image({index}) is a picture of Pillow, not a {type(image).__name__}",
                )
                images.append(image.copy())
        return images

    def _read_annotations(self) -> list[AnnotationCopy]:
        copies = []
        with self._watched("reading annotations"):
            for index in self.indices:
                annotation = self.opened.annotation(index)
                require(
                    isinstance(annotation, Annotation),
                    f"annotation({index}) is an Annotation, not a {type(annotation).__name__}",
                )
                copies.append(AnnotationCopy.of(annotation))
        return copies
