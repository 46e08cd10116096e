"""Contract suite of concept sets."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from PIL import Image

from nd_plugin.contracts.concept_sets import Annotation, ConceptSet
from nd_plugin.contracts.provenance import Identity


def check_concept_set(concepts: ConceptSet, images: int = 3) -> None:
    """Check the vocabulary, and the first ``images`` images and annotations."""
    assert isinstance(concepts, ConceptSet), (
        f"{type(concepts).__name__} lacks members of the ConceptSet protocol"
    )
    _check_identity(concepts.identity)
    _check_vocabulary(concepts)
    assert len(concepts) > 0, "a concept set has images"
    names = [concepts.name(index) for index in range(len(concepts))]
    assert len(set(names)) == len(names), "image names are unique"
    copy = pickle.loads(pickle.dumps(concepts))
    for index in range(min(images, len(concepts))):
        image, annotation = concepts.image(index), concepts.annotation(index)
        _check_annotation(annotation, len(concepts.concepts), image)
        _check_same(
            image, annotation, concepts.image(index), concepts.annotation(index), "when asked twice"
        )
        _check_same(
            image, annotation, copy.image(index), copy.annotation(index), "in another process"
        )


def _check_identity(identity: Identity) -> None:
    assert isinstance(identity, Identity), "identity is an Identity"
    for field in ("name", "source", "version"):
        assert isinstance(getattr(identity, field), str) and getattr(identity, field), (
            f"identity.{field} is a text"
        )


def _check_vocabulary(concepts: ConceptSet) -> None:
    pairs = [(concept.name, concept.category) for concept in concepts.concepts]
    assert pairs, "a concept set has concepts"
    assert len(set(pairs)) == len(pairs), "a concept is in the vocabulary once"
    assert len(set(concepts.categories)) == len(concepts.categories), "categories are unique"
    assert {category for _, category in pairs} == set(concepts.categories), (
        "each category has concepts, and no other"
    )


def _check_annotation(annotation: Annotation, concepts: int, image: Image.Image) -> None:
    values: list[Any] = [np.asarray(annotation.labels, dtype=np.int64)]
    for plane in annotation.planes:
        assert plane.ndim == 2 and np.issubdtype(plane.dtype, np.integer), (
            "a plane is (row, column), integers"
        )
        slack = abs(plane.shape[1] * image.height - plane.shape[0] * image.width)
        assert slack <= max(image.size), f"a plane {plane.shape} covers its image {image.size}"
        values.append(plane.ravel())
    used = np.concatenate(values)
    assert used.size == 0 or (used.min() >= 0 and used.max() <= concepts), (
        "values are 0 or 1 + a concept's index"
    )
    assert all(label > 0 for label in annotation.labels), "a whole-image label is a concept"


def _check_same(
    image: Image.Image,
    annotation: Annotation,
    image2: Image.Image,
    annotation2: Annotation,
    when: str,
) -> None:
    assert np.array_equal(np.asarray(image), np.asarray(image2)), f"an image is the same {when}"
    assert annotation.labels == annotation2.labels, f"labels are the same {when}"
    pairs = zip(annotation.planes, annotation2.planes, strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs), f"planes are the same {when}"
