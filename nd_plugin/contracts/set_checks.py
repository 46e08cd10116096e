"""Checks that a concept set gives what its contract says, image by image.

What does not is no image that cannot be read, but a mistake in the concept set: the run stops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation, ConceptSet
from nd_plugin.errors import ConceptSetInvalid

INTEGER_KINDS = "iub"  # signed, unsigned, bool: of NumPy's types


def read_image(
    concepts: ConceptSet, index: int, set_size: int | None = None
) -> Image.Image:
    """Decode an image of a concept set, which had ``set_size`` images when the run began.

    Raises ConceptSetInvalid for what is no PIL image, and for another number of images by now.
    """
    _check_set_size(concepts, set_size)
    image: Any = concepts.image(index)
    if not isinstance(image, Image.Image):
        raise ConceptSetInvalid(
            f"the concept set {concepts.identity.source} returned {_kind(image)} as an image; its "
            "image() has to return a PIL image"
        )
    return image


def read_annotation(
    concepts: ConceptSet, index: int, set_size: int | None = None
) -> Annotation:
    """Return the annotation of an image of a concept set; see `read_image`.

    Raises ConceptSetInvalid for what is no Annotation, and for labels that are no integers.
    """
    _check_set_size(concepts, set_size)
    annotation: Any = concepts.annotation(index)
    source = concepts.identity.source
    if not isinstance(annotation, Annotation):
        raise ConceptSetInvalid(
            f"the concept set {source} returned {_kind(annotation)} as an annotation; its "
            "annotation() has to return an Annotation"
        )
    for plane in annotation.planes:
        _check_integers(plane, f"a plane of the concept set {source}")
    if len(annotation.labels):
        _check_integers(
            annotation.labels, f"the labels of the concept set {source}"
        )
    return annotation


def _check_set_size(concepts: ConceptSet, set_size: int | None) -> None:
    if set_size is not None and len(concepts) != set_size:
        raise ConceptSetInvalid(
            f"the concept set {concepts.identity.source} has {len(concepts)} images by now, and "
            f"had {set_size} when the run began; a concept set stays as it is"
        )


def _check_integers(values: Any, what: str) -> None:
    dtype = np.asarray(values).dtype
    if dtype.kind not in INTEGER_KINDS:
        raise ConceptSetInvalid(
            f"{what} is of type {dtype}; label numbers are integers"
        )


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"an object of {type(value).__name__}"
