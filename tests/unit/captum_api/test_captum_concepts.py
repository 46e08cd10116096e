"""Concept sets to and from Captum: names, faults, and what a set is known by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from captum.concept import Concept as CaptumConcept
from listed_sets import ListedSet, noise
from torch import Tensor

from nd_plugin import (
    Annotation,
    Concept,
    ConceptSetInvalid,
    ExportOptions,
    Preprocess,
    Unreadable,
    concepts_from_captum,
    concepts_to_captum,
    export_concepts,
    open_concepts,
)

HOW = Preprocess(size=(8, 8))
WOODS = (
    Concept("wood", "object"),
    Concept("wood", "material"),
    Concept("in/out", "scene"),
)


def wooden_set(*annotations: Annotation | Exception) -> ListedSet:
    return ListedSet(WOODS, annotations)


def batch(seed: int, count: int = 2) -> Tensor:
    images = [HOW.resize(noise(seed + number)) for number in range(count)]
    return HOW.normalise(torch.stack(images))


def test_concepts_of_one_name_stay_apart(tmp_path: Path) -> None:
    original = wooden_set(Annotation([np.resize([1, 2], (8, 8))], (3,)))
    captum_concepts = concepts_to_captum(original, preprocess=HOW)
    assert [concept.name for concept in captum_concepts] == [
        "wood",
        "wood",
        "in_out",
    ]
    back = concepts_from_captum(captum_concepts, preprocess=HOW)
    assert [concept.name for concept in back.concepts] == [
        "wood",
        "wood-2",
        "in_out",
    ]
    assert back.notes == ("concepts of the same name were numbered: wood-2",)
    export_concepts(back, tmp_path / "set", ExportOptions("masks"), workers=0)
    copy = open_concepts(f"masks:{tmp_path / 'set'}")
    # images are in the order of their names: in_out/2, wood-2/1, wood/0
    labels = [copy.annotation(index).labels for index in range(3)]
    assert labels == [(3,), (2,), (1,)]
    assert {copy.image(index).tobytes() for index in range(3)} == {
        noise(0).tobytes()
    }


def test_a_number_is_never_another_concept_s_name() -> None:
    concepts = [
        CaptumConcept(number, name, [batch(number)])
        for number, name in enumerate(["a", "a", "a-2", "a"])
    ]
    names = concepts_from_captum(concepts, preprocess=HOW).concepts
    assert [concept.name for concept in names] == ["a", "a-3", "a-2", "a-4"]


def test_of_two_categories_the_one_that_an_image_shows() -> None:
    original = wooden_set(Annotation([np.full((8, 8), 2)]))
    (wood,) = concepts_to_captum(original, ["wood"], preprocess=HOW)
    assert wood.id == 1
    assert len(list(wood.data_iter)) == 1


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (
            ValueError("torn mask"),
            "the annotation of 1.png cannot be read: torn mask",
        ),
        (Annotation([np.full((2, 2), 4)]), "label 4 is outside the vocabulary"),
        (Annotation([], (-1,)), "label -1 is outside the vocabulary"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_named(
    annotation: Annotation | Exception, message: str
) -> None:
    original = wooden_set(Annotation([], (1,)), annotation)
    with pytest.raises(Unreadable, match=message):
        concepts_to_captum(original, preprocess=HOW)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("woood", "shows 'woood'; the nearest are wood"),
        ("qqq", "shows 'qqq'"),
    ],
)
def test_a_concept_that_no_image_shows(name: str, ending: str) -> None:
    original = wooden_set(Annotation([], (1,)))
    with pytest.raises(ConceptSetInvalid, match=f"{ending}$"):
        concepts_to_captum(original, [name], preprocess=HOW)


def test_an_image_that_cannot_be_read_is_named() -> None:
    original = ListedSet(WOODS, [Annotation([], (1,))], images=[OSError("gone")])
    (wood,) = concepts_to_captum(original, preprocess=HOW)
    with pytest.raises(
        Unreadable, match=r"the image of 0.png cannot be read: gone"
    ):
        list(wood.data_iter)


def test_a_set_is_known_by_what_its_images_show() -> None:
    """The same images under other concepts are another set."""
    first, second = (
        [
            CaptumConcept(0, "a", [batch(0, count)]),
            CaptumConcept(1, "b", [batch(count, 4 - count)]),
        ]
        for count in (1, 3)
    )
    identities = [
        concepts_from_captum(concepts, preprocess=HOW).identity
        for concepts in (first, second)
    ]
    assert identities[0].source == identities[1].source
    assert identities[0].fingerprint != identities[1].fingerprint


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "'a' has a data_iter that yields no images"),
        ([torch.full((1, 3, 8, 8), torch.nan)], "'a' yields images with NaN"),
        ([torch.full((1, 3, 8, 8), torch.inf)], "NaN or infinite values"),
    ],
)
def test_concepts_without_images(images: list[Tensor], message: str) -> None:
    with pytest.raises(ConceptSetInvalid, match=message):
        concepts_from_captum([CaptumConcept(0, "a", images)], preprocess=HOW)


def test_no_concepts() -> None:
    with pytest.raises(ConceptSetInvalid, match="no concepts were given"):
        concepts_from_captum([])
