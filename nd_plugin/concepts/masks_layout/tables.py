"""Tables of the masks format: concepts.csv and image_labels.csv."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nd_plugin.borders.csv_text import csv_text
from nd_plugin.contracts.concept_sets import Concept
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.stored_integers import strips_of

LARGEST_VALUE = 65535  # of a mask with 16 bits a pixel
CONCEPT_COLUMNS = ("category", "value", "name")
LABEL_COLUMNS = ("image", "category", "name")


class ImageLabel(NamedTuple):
    """Line of image_labels.csv: a label of a whole image."""

    image: str  # path below images/
    category: str
    name: str


class MaskValues:
    """Values of masks: concepts of a category count up from 1, in their order."""

    def __init__(self, concepts: Sequence[Concept]) -> None:
        """Number the concepts. Raises ConceptSetInvalid for more than a mask holds."""
        self._concepts = tuple(concepts)
        counts: dict[str, int] = {}
        values = [0]
        for concept in concepts:
            counts[concept.category] = counts.get(concept.category, 0) + 1
            values.append(counts[concept.category])
        for category, count in counts.items():
            if count > LARGEST_VALUE:
                raise ConceptSetInvalid(
                    f"the category {category!r} has {count} concepts, and a mask holds "
                    f"{LARGEST_VALUE} values"
                )
        self._values = np.array(values, np.uint16)
        self._counts = counts

    def of_plane(
        self, plane: npt.NDArray[np.integer[Any]], category: str
    ) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return a mask (row, column) of a plane whose labels are of one category.

        It is of 8 bits a pixel, or of 16 where the category has more than 255 concepts.
        """
        mask: npt.NDArray[np.unsignedinteger[Any]]
        mask = np.empty(plane.shape, np.min_scalar_type(self._counts[category]))
        # strip by strip: indices into a table take 8 bytes a pixel
        for strip in strips_of(plane.shape):
            mask[strip] = self._values[plane[strip]]
        return mask

    def concept_table(self) -> str:
        """Return concepts.csv, in the order of the concepts."""
        lines = [
            (concept.category, int(value), concept.name)
            for concept, value in zip(self._concepts, self._values[1:], strict=True)
        ]
        return csv_text(CONCEPT_COLUMNS, lines)


def label_table(labels: Iterable[ImageLabel]) -> str:
    """Return image_labels.csv."""
    return csv_text(LABEL_COLUMNS, labels)
