"""Original pictures of a result's images."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drawn import Drawn

from nd_plugin import BadInput, Unreadable
from nd_plugin.probe_data.originals import Originals


@pytest.fixture(scope="module")
def shapes() -> Drawn:
    return Drawn.of("shapes?images=5&size=300&seed=1")


def names(concepts: Drawn) -> list[str]:
    return [concepts.name(image) for image in range(len(concepts))]


def test_an_original_is_the_image_in_its_own_size(shapes: Drawn) -> None:
    picture = Originals(shapes, names(shapes)).picture(3)
    assert (picture.mode, picture.size) == ("RGB", (300, 300))
    assert picture.tobytes() == shapes.images[3].convert("RGB").tobytes()


def test_another_concept_set_is_refused(shapes: Drawn) -> None:
    with pytest.raises(
        BadInput, match="has 5 images, and the result is of 6: give"
    ):
        Originals(shapes, [*names(shapes), "more"])
    originals = Originals(shapes, ["other.jpg", *names(shapes)[1:]])
    with pytest.raises(BadInput, match=r"image 0 .* 'scene 00', .* 'other\.jpg'"):
        originals.picture(0)


def test_what_cannot_be_read_is_named(shapes: Drawn) -> None:
    broken = replace(shapes, bad_images=(2,))
    with pytest.raises(
        Unreadable, match=r"image scene 02 cannot be read: .*truncated"
    ):
        Originals(broken, names(shapes)).picture(2)
