"""Concept set under test: opened twice, and a copy as another process gets it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation, ConceptSet
from nd_plugin.testing.concept_set_kit.reading_state import ReadingState
from nd_plugin.testing.conformance import Unchecked
from nd_plugin.testing.outcomes import Once

LABELLED_IMAGES = 50  # of which at least one has to have a label
Factory = Callable[..., ConceptSet]


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
        self.options = dict(options)
        self._most_images = images
        self._opened = Once("opening the concept set", self._open_first)
        self._copy = Once("pickling the concept set", self._pickle)
        self._images = Once("image()", self._read_images)
        self._annotations = Once("annotation()", self._read_annotations)
        # settings of this process, before anything was opened
        self.state_before: ReadingState | None = None

    @property
    def opened(self) -> ConceptSet:
        """The concept set. Raises AssertionError where it does not open."""
        return self._opened.get()

    @property
    def copy(self) -> ConceptSet:
        """Copy as another process gets it. Raises AssertionError where it cannot be pickled."""
        self.opened  # noqa: B018
        return self._copy.get()

    @property
    def images(self) -> list[Image.Image]:
        """Copies of the first images. Raises AssertionError where one cannot be read."""
        self.opened  # noqa: B018
        return self._images.get()

    @property
    def annotations(self) -> list[Annotation]:
        """Annotations of the first images. Raises AssertionError where one cannot be read."""
        self.opened  # noqa: B018
        return self._annotations.get()

    @cached_property
    def indices(self) -> range:
        """Indices of the images that are looked at: the first ones."""
        return range(min(self._most_images, len(self.opened)))

    def open(self) -> ConceptSet:
        """Open the set, each time anew."""
        return self.factory(self.argument, **self.options)

    def _open_first(self) -> ConceptSet:
        self.state_before = ReadingState.now()
        return self.open()

    def _pickle(self) -> ConceptSet:
        copy: ConceptSet = pickle.loads(pickle.dumps(self.opened))
        return copy

    def _read_images(self) -> list[Image.Image]:
        images = []
        for index in self.indices:
            image = self.opened.image(index)
            if not isinstance(image, Image.Image):
                raise Unchecked(
                    "not checked, as image() gives no picture of Pillow"
                )
            images.append(image.copy())
        return images

    def _read_annotations(self) -> list[Annotation]:
        annotations = []
        for index in self.indices:
            annotation = self.opened.annotation(index)
            if not isinstance(annotation, Annotation):
                raise Unchecked("not checked, as annotation() gives no Annotation")
            annotations.append(annotation)
        return annotations
