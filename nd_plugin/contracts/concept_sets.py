"""Concepts, annotations and concept sets: the densely labelled probe data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nd_plugin.contracts.provenance import Identity
from nd_plugin.receptive_fields.geometry import Size

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Concept:
    """A label with its one primary category (DESIGN section 1)."""

    name: str
    category: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Annotation:
    """What one image shows, as dense planes and as labels of the whole image.

    A value v > 0, in a plane or among ``labels``, means ``concepts[v - 1]`` of the concept set; 0 means "no label".
    A pixel may carry several concepts, one per plane; the same concept may stand in several planes. Planes cover the
    whole image, each at a resolution of its own.
    """

    planes: Sequence[npt.NDArray[np.integer[Any]]]  # (row, column) each
    labels: tuple[int, ...] = ()  # concepts that cover every pixel
    size: Size | None = None  # the annotation's own resolution; None: the first plane's


@runtime_checkable
class ConceptSet(Protocol):
    """A densely labelled probe data set.

    ``image`` and ``annotation`` are asked for separately and from worker processes, so a concept set can be pickled.
    Either may raise: the item is then named and skipped (or the run stops, under ``strict``).
    It may have ``notes``, a sequence of texts: what a reader of the result has to know of it.
    """

    @property
    def identity(self) -> Identity:
        """Name, version and content fingerprint."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, in the order in which reports show them."""
        ...

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The vocabulary; a concept's index here is its index in every result."""
        ...

    @property
    def native_masks(self) -> bool:
        """Whether masks are compared at their own size (Broden) or at half the model's input size (everything else)."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def name(self, index: int) -> str:
        """A short unique name of the image, such as its path inside the set."""
        ...

    def image(self, index: int) -> Image.Image:
        """The image, decoded; any mode that Pillow converts to RGB."""
        ...

    def annotation(self, index: int) -> Annotation:
        """The annotation of the image, at its own resolution."""
        ...
