"""Rules of annotations: planes and labels of their types and ranges, always the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nd_plugin.contracts.concept_sets import Annotation
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.testing.concept_set_kit.case import LABELLED_IMAGES, ConceptSetCase
from nd_plugin.testing.concept_set_kit.image_rules import MOST_CHANGED
from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.own_values import require_texts, require_tuple


def annotation_types(case: ConceptSetCase) -> None:
    """Require Annotations whose members are of their types."""
    for index, annotation in _given(case):
        require(
            isinstance(annotation.planes, Sequence),
            f"planes of annotation({index}) are a sequence, not a "
            f"{type(annotation.planes).__name__}",
        )
        require_tuple(annotation.remarks, f"remarks of annotation({index})")
        require_texts(annotation.remarks, f"remarks of annotation({index})")
        require(
            annotation.size is None or _is_size(annotation.size),
            f"size of annotation({index}) is (height, width) or None, not {annotation.size!r}",
        )


def planes(case: ConceptSetCase) -> None:
    """Require planes of integers with rows and columns."""

    def are_planes() -> None:
        for index, annotation in enumerate(case.annotations):
            for plane in annotation.planes:
                _require_plane(plane, f"a plane of annotation({index})")

    case.once("planes", are_planes)


def _require_plane(plane: Any, subject: str) -> None:
    require(
        isinstance(plane, np.ndarray),
        f"{subject} is a NumPy array, not a {type(plane).__name__}",
    )
    require(plane.ndim == 2, f"{subject} is (row, column), not {plane.shape}")
    require(
        np.issubdtype(plane.dtype, np.integer),
        f"{subject} holds integers, not {plane.dtype}",
    )


def plane_aspect(case: ConceptSetCase) -> None:
    """Require planes of their image's aspect: rows before columns."""
    for index, image, plane in _planes(case):
        width, height = convert_picture(image).rgb.size
        rows, columns = plane.shape
        slack = abs(columns * height - rows * width)
        require(
            slack <= max(width, height),
            f"a plane of annotation({index}) is {rows}x{columns} (row, column), its image "
            f"{height}x{width}: planes cover the whole upright image",
        )


def plane_values(case: ConceptSetCase) -> None:
    """Require values that are 0 or 1 + the index of a concept."""
    most = len(case.opened.concepts)
    for index, _, plane in _planes(case):
        if not plane.size:
            continue
        smallest, largest = int(plane.min()), int(plane.max())
        require(
            smallest >= 0 and largest <= most,
            f"values of a plane of annotation({index}) are {smallest} to {largest}; expected are "
            f"0 (no label) to {most}, 1 + the index of a concept",
        )


def labels(case: ConceptSetCase) -> None:
    """Require a tuple of different labels of the whole image, none of them 0."""
    most = len(case.opened.concepts)
    for index, annotation in _given(case):
        values = annotation.labels
        require_tuple(values, f"labels of annotation({index})")
        for value in values:
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            require(
                is_whole and 0 < value <= most,
                f"labels of annotation({index}) have {value!r}; a label is 1 + the index of a "
                f"concept, 1 to {most}",
            )
        require(
            len(set(values)) == len(values),
            f"labels of annotation({index}) have one twice: {values}",
        )


def something_labelled(case: ConceptSetCase) -> None:
    """Require that something is labelled in the first images."""
    count = min(len(case.opened), LABELLED_IMAGES)
    for index in range(count):
        annotation = case.opened.annotation(index)
        if annotation.labels or any(np.any(plane) for plane in annotation.planes):
            return
    raise AssertionError(
        f"none of the first {count} images has a label: values of planes are 1 + the index of a "
        "concept, and 0 means no label"
    )


def annotation_repeats(case: ConceptSetCase) -> None:
    """Require the same annotation in another order of calls."""

    def repeats() -> None:
        for index, first in reversed(list(enumerate(case.annotations))):
            require(
                first.equals(case.opened.annotation(index)),
                f"annotation({index}) differs when it is called again",
            )

    case.once("annotation-repeats", repeats)


def own_planes(case: ConceptSetCase) -> None:
    """Require that changed planes do not change what the next call gives."""
    annotation_repeats(case)
    for index, first in enumerate(case.annotations):
        require(
            first.equals(first.given),
            f"later calls have changed the planes that annotation({index}) gave: copy them out of "
            "the buffer that is used again",
        )
    for index, first in list(enumerate(case.annotations))[:MOST_CHANGED]:
        annotation = case.opened.annotation(index)
        for plane in annotation.planes:
            # of one that is read only, the next call may give the same
            if isinstance(plane, np.ndarray) and plane.flags.writeable:
                plane.fill(1 if not plane.any() else 0)
        if isinstance(annotation.planes, list):
            annotation.planes.clear()
        require(
            first.equals(case.opened.annotation(index)),
            f"a change of the planes that annotation({index}) gave is in what it gives next: "
            "return copies",
        )


def _planes(case: ConceptSetCase) -> list[tuple[int, Any, Any]]:
    """Return all planes with index and image. Raises AssertionError where they are no planes."""
    planes(case)
    entries = []
    pairs = zip(case.images, case.annotations, strict=True)
    for index, (image, annotation) in enumerate(pairs):
        entries += [(index, image, plane) for plane in annotation.planes]
    return entries


def _is_size(size: Any) -> bool:
    if not isinstance(size, tuple) or len(size) != 2:
        return False
    return all(isinstance(side, int) and side > 0 for side in size)


def _given(case: ConceptSetCase) -> list[tuple[int, Annotation]]:
    return [(index, copy.given) for index, copy in enumerate(case.annotations)]


RULES: tuple[Rule[ConceptSetCase], ...] = (
    Rule(
        "annotations",
        "annotation() gives an Annotation with a sequence of planes and a tuple of remarks",
        annotation_types,
    ),
    Rule("planes", "planes are NumPy arrays (row, column) of integers", planes),
    Rule(
        "plane-aspect",
        "planes have the aspect of their upright image, rows before columns",
        plane_aspect,
    ),
    Rule(
        "plane-values",
        "values of planes are 0 (no label) or 1 + the index of a concept",
        plane_values,
    ),
    Rule(
        "labels",
        "labels is a tuple of different whole numbers, 1 + the index of a concept each",
        labels,
    ),
    Rule(
        "something-labelled",
        f"one of the first {LABELLED_IMAGES} images has a label",
        something_labelled,
    ),
    Rule(
        "annotation-repeats",
        "an annotation is the same when it is asked for again, in another order",
        annotation_repeats,
    ),
    Rule(
        "own-planes",
        "planes belong to the caller: changes of them are not in what annotation() gives next",
        own_planes,
    ),
)
