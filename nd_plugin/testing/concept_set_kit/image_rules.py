"""Rules of images: pictures of Pillow, always the same, each a picture of the caller's own."""

from __future__ import annotations

import numpy as np
from PIL import Image

from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.testing.concept_set_kit.case import ConceptSetCase
from nd_plugin.testing.conformance import Rule, require

MOST_CHANGED = (
    2  # images that are changed, to see whether the next call gives the change
)
REMARKS = "nd_plugin.remarks"


def images(case: ConceptSetCase) -> None:
    """Require pictures that the host can convert."""
    for index, image in enumerate(case.images):
        require(min(image.size) > 0, f"image({index}) has no pixels: {image.size}")
        remarks = image.info.get(REMARKS, ())
        require(
            isinstance(remarks, tuple)
            and all(isinstance(text, str) for text in remarks),
            f"info[{REMARKS!r}] of image({index}) is a tuple of texts, not {remarks!r}",
        )
        convert_picture(image)


def image_repeats(case: ConceptSetCase) -> None:
    """Require the same image in another order of calls."""

    def repeats() -> None:
        for index, first in reversed(list(enumerate(case.images))):
            require(
                same_image(case.opened.image(index), first),
                f"image({index}) differs when it is called again: draw random numbers, if any, "
                "from a generator seeded by the index",
            )

    case.once("image-repeats", repeats)


def own_images(case: ConceptSetCase) -> None:
    """Require that a changed image does not change what the next call gives."""
    image_repeats(case)
    for index, first in list(enumerate(case.images))[:MOST_CHANGED]:
        image = case.opened.image(index)
        image.paste(0, (0, 0, *image.size))
        require(
            same_image(case.opened.image(index), first),
            f"a change of what image({index}) gave is in what it gives next: return a copy",
        )


def same_image(image: Image.Image, expected: Image.Image) -> bool:
    """Return whether two images have the same mode, size and pixels."""
    if (image.mode, image.size) != (expected.mode, expected.size):
        return False
    return np.array_equal(np.asarray(image), np.asarray(expected))


RULES: tuple[Rule[ConceptSetCase], ...] = (
    Rule("images", "image() gives a picture of Pillow that has pixels", images),
    Rule(
        "image-repeats",
        "an image is the same when it is asked for again, in another order",
        image_repeats,
    ),
    Rule(
        "own-images",
        "an image belongs to the caller: changes of it are not in what image() gives next",
        own_images,
    ),
)
