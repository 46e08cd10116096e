"""Concepts, annotations and concept sets: densely labelled probe data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from nd_plugin.contracts.provenance import Identity
from nd_plugin.receptive_fields.geometry import Size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Concept:
    """Label with its primary category (docs/method.md)."""

    name: str
    category: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Annotation:
    """Annotation of one image: dense planes, and labels of the whole image.

    A value v > 0, in a plane or among ``labels``, means ``concepts[v - 1]`` of the concept set; 0
    means "no label". A pixel may carry several concepts, one per plane; several planes may contain
    the same concept. Planes cover the whole image, each at its own resolution.
    """

    planes: Sequence[npt.NDArray[np.integer[Any]]]  # (row, column) each
    labels: tuple[int, ...] = ()  # concepts that cover every pixel
    # the annotation's own resolution; None: the first plane's
    size: Size | None = None
    # what a result says of the annotation, with the number of images that share the text
    remarks: tuple[str, ...] = ()


@runtime_checkable
class ConceptSet(Protocol):
    """Densely labelled probe data set.

    ``image`` and ``annotation`` are called separately, and from worker processes, so a concept set
    has to be picklable. If either raises, the item is reported and skipped (under ``strict``, the
    run stops); ConceptSetInvalid, and memory that does not suffice, stop the run. An optional
    attribute ``notes``, a sequence of texts, is shown with results.

    An optional method ``files(index)`` returns the paths of all files that ``image`` and
    ``annotation`` read for an image, which ``--verify-data`` hashes; () of a set that reads none,
    whose fingerprint then has to identify the images. It is called from several threads.

    An optional method ``split(index)`` returns the name of the part of the set that an image
    belongs to, such as ``train`` or ``val``; "" for none.

    An index is a number from 0 to ``len(concepts) - 1``; any other, -1 too, is an IndexError.
    """

    @property
    def identity(self) -> Identity:
        """Name, version and content fingerprint."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories, in the order in which reports show them."""
        ...

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """Vocabulary; a concept's index here is its index in every result."""
        ...

    @property
    def native_masks(self) -> bool:
        """Whether masks are compared at their own size (Broden), or else at half the input's."""
        ...

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def name(self, index: int) -> str:
        """Return a short unique name of an image, such as its path inside the set."""
        ...

    def image(self, index: int) -> Image.Image:
        """Decode an image, of any mode that Pillow converts to RGB or grey.

        It may be as it is stored: the host turns it upright by its EXIF orientation, composites
        transparent pixels on white and scales grey values of wider types; the result says so.
        Planes belong to the upright image. Texts in its ``info["nd_plugin.remarks"]``, a tuple, are
        counted in the result.
        """
        ...

    def annotation(self, index: int) -> Annotation:
        """Return the annotation of an image, at its own resolution."""
        ...


def image_entry(entries: Sequence[Entry], index: int) -> Entry:
    """Return what belongs to an image of a concept set, from a sequence by image.

    Raises IndexError for an index that no image has: -1 is not the last image.
    """
    if not 0 <= index < len(entries):
        raise IndexError(f"no image {index}: there are {len(entries)}")
    return entries[index]
