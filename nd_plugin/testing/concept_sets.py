"""Contract suite of concept sets."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation, Concept, ConceptSet
from nd_plugin.contracts.provenance import Identity
from nd_plugin.pictures.conversion import convert_picture

LABELLED_IMAGES = 50  # of which at least one has to have a label


def check_concept_set(concepts: ConceptSet, images: int = 3) -> None:
    """Check the vocabulary, and the first ``images`` images and annotations.

    Raises AssertionError, saying what does not hold.
    """
    assert isinstance(concepts, ConceptSet), (
        f"{type(concepts).__name__} lacks members of the ConceptSet protocol"
    )
    check_identity(concepts.identity)
    _check_vocabulary(concepts)
    check_texts(getattr(concepts, "notes", ()), "concepts.notes")
    assert len(concepts) > 0, "a concept set has images"
    names = [concepts.name(index) for index in range(len(concepts))]
    assert len(set(names)) == len(names), "image names are unique"
    unpickled = pickle.loads(pickle.dumps(concepts))
    for index in range(min(images, len(concepts))):
        _check_item(concepts, index, unpickled)
    _check_labelled(concepts)


def check_identity(identity: Identity) -> None:
    """Check that an identity names what it is, its source and its version."""
    assert isinstance(identity, Identity), "identity is an Identity"
    for field in ("name", "source", "version"):
        value = getattr(identity, field)
        assert isinstance(value, str) and value, f"identity.{field} is a text"


def check_texts(texts: Sequence[str], subject: str) -> None:
    """Check that notes are a sequence of texts, and not one text."""
    assert not isinstance(texts, str), (
        f"{subject} is a sequence of texts, not a text"
    )
    for text in texts:
        assert isinstance(text, str), f"{subject} holds texts, not {text!r}"


def _check_labelled(concepts: ConceptSet) -> None:
    """Check that something is labelled in the first images."""
    count = min(len(concepts), LABELLED_IMAGES)
    for index in range(count):
        annotation = concepts.annotation(index)
        if annotation.labels or any(plane.any() for plane in annotation.planes):
            return
    raise AssertionError(
        f"none of the first {count} images has a label: values of planes are 1 + the index of a "
        "concept, and 0 means no label"
    )


def _check_vocabulary(concepts: ConceptSet) -> None:
    for name in ("concepts", "categories"):
        members = getattr(concepts, name)
        assert isinstance(members, tuple), (
            f"{name} is a tuple, not {type(members).__name__}"
        )
    for concept in concepts.concepts:
        assert isinstance(concept, Concept), (
            f"concepts holds {Concept.__name__}s, not {type(concept).__name__}s"
        )
    pairs = [(concept.name, concept.category) for concept in concepts.concepts]
    assert pairs, "a concept set has concepts"
    assert len(set(pairs)) == len(pairs), "a concept is in the vocabulary once"
    categories = set(concepts.categories)
    assert len(categories) == len(concepts.categories), "categories are unique"
    used = {category for _, category in pairs}
    assert used == categories, "each category has concepts, and no other"


def _check_item(concepts: ConceptSet, index: int, unpickled: ConceptSet) -> None:
    image = concepts.image(index)
    annotation = concepts.annotation(index)
    upright = convert_picture(image).rgb
    _check_annotation(annotation, len(concepts.concepts), upright)
    _check_files(concepts, index)
    _check_same(image, annotation, concepts, index, "when asked twice")
    _check_same(image, annotation, unpickled, index, "in another process")


def _check_files(concepts: ConceptSet, index: int) -> None:
    """Check the optional method that names the files of an image."""
    files_of = getattr(concepts, "files", None)
    if files_of is None:
        return
    for path in files_of(index):
        assert isinstance(path, str | Path), f"files() gives paths, not {path!r}"
        assert Path(path).is_file(), f"files() names files that exist, not {path}"


def _check_annotation(
    annotation: Annotation, concepts: int, image: Image.Image
) -> None:
    assert isinstance(annotation, Annotation), (
        f"annotation() gives an Annotation, not {type(annotation).__name__}"
    )
    assert isinstance(annotation.labels, tuple), (
        f"labels is a tuple, not {type(annotation.labels).__name__}"
    )
    for label in annotation.labels:
        assert 0 < label <= concepts, (
            "a whole-image label is 1 + the index of a concept"
        )
    for plane in annotation.planes:
        assert isinstance(plane, np.ndarray), (
            f"a plane is a NumPy array, not {type(plane).__name__}"
        )
        assert plane.ndim == 2, "a plane is (row, column)"
        assert np.issubdtype(plane.dtype, np.integer), "a plane holds integers"
        slack = abs(plane.shape[1] * image.height - plane.shape[0] * image.width)
        assert slack <= max(image.size), (
            f"a plane {plane.shape} covers its image {image.size}"
        )
        if plane.size:
            assert plane.min() >= 0, "values are 0 or 1 + the index of a concept"
            assert plane.max() <= concepts, (
                "values are 0 or 1 + the index of a concept"
            )


def _check_same(
    image: Image.Image,
    annotation: Annotation,
    concepts: ConceptSet,
    index: int,
    when: str,
) -> None:
    second_image = concepts.image(index)
    second = concepts.annotation(index)
    pixels = np.asarray(image)
    assert np.array_equal(pixels, np.asarray(second_image)), (
        f"an image is the same {when}"
    )
    assert annotation.labels == second.labels, f"labels are the same {when}"
    for plane, second_plane in zip(annotation.planes, second.planes, strict=True):
        assert np.array_equal(plane, second_plane), f"planes are the same {when}"
