"""Samples for a sheet: which images, and which pixels of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from nd_plugin import Annotation, Concept, Identity
from nd_plugin.concepts.info.samples import SampleReader, check_sheet
from nd_plugin.concepts.info.set_statistics import measure_set
from nd_plugin.errors import BadInput


@dataclass
class Halves:
    """Concept set whose images are half left and half right, at their own sizes."""

    count: int = 3
    unreadable: tuple[int, ...] = ()
    categories: tuple[str, ...] = ("object", "scene")
    identity = Identity("halves", "halves:memory", "1", "f")
    concepts = (
        Concept("left", "object"),
        Concept("right", "object"),
        Concept("day", "scene"),
    )
    native_masks = True

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"{index}.png"

    def image(self, index: int) -> Image.Image:
        if index in self.unreadable:
            raise ValueError("the image is damaged")
        return Image.new("RGB", (448, 224), (index, 0, 0))

    def annotation(self, index: int) -> Annotation:
        values = np.array([[1, 2], [1, 2]], np.uint8)
        return Annotation([values], (3,))


def samples_of(concepts: Halves, per_category: int = 6) -> dict[str, list[int]]:
    """Return the images of each category's samples: their red."""
    statistics = measure_set(concepts, lambda *_: None, workers=0)
    sheet = SampleReader(concepts).read(statistics, per_category)
    return {
        category.name: [int(sample.picture[0, 0, 0]) for sample in samples]
        for category, samples in sheet
    }


def test_an_image_is_shown_once_as_long_as_there_are_others() -> None:
    assert samples_of(Halves(3)) == {"object": [0, 1], "scene": [2]}
    assert samples_of(Halves(1)) == {"object": [0, 0], "scene": [0]}


def test_an_image_that_cannot_be_read_makes_room_for_the_next() -> None:
    assert samples_of(Halves(3, (0, 1))) == {"object": [2, 2], "scene": [2]}
    assert samples_of(Halves(2, (0, 1))) == {}


def test_pictures_are_small_and_masks_have_their_size() -> None:
    concepts = Halves()
    statistics = measure_set(concepts, lambda *_: None, workers=0)
    (_, objects), (_, scenes) = SampleReader(concepts).read(statistics, 6)
    left, right = objects
    assert (left.name, left.samples) == ("left", 3)
    assert left.picture.shape == (112, 224, 3)
    assert left.mask.shape == (112, 224)
    assert left.mask[:, :112].all() and not left.mask[:, 112:].any()
    assert np.array_equal(right.mask, ~left.mask)
    assert scenes[0].mask.all()


def test_a_set_of_many_categories_is_refused() -> None:
    check_sheet(Halves(categories=tuple("abcdefghijkl")))
    with pytest.raises(
        BadInput, match="up to 12 categories, and halves:memory has 13"
    ):
        check_sheet(Halves(categories=tuple("abcdefghijklm")))
