"""Concept set ``shapes``: any number of drawn scenes, with the true labels of every pixel."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from PIL import Image

from nd_plugin import Annotation, Concept, ConceptSetInvalid, Identity, fingerprint
from nd_shapes.canvas import Canvas, Surface
from nd_shapes.noise import Dice
from nd_shapes.options import EXAMPLE, picture_size, whole_number
from nd_shapes.palette import COLORS
from nd_shapes.places import SCENES, close_up
from nd_shapes.stage import empty_stage
from nd_shapes.vocabulary import CONCEPTS, LABELS, NAMES

VERSION = "1"  # of the generator: to be raised whenever any pixel changes
_DECK = (*sorted(SCENES), *("closeup",) * 3)  # kinds of image, dealt out like cards


class Shapes:
    """Drawn scenes: objects with parts, made of materials, with textures and eleven colour names.

    Image ``i`` depends on the seed, its number and the size alone, so a longer set begins with a
    shorter one. It is the same on every machine: everything is computed in integers.

    Parameters
    ----------
    argument
        Nothing; a text here is an error.
    images
        Number of images, from 1.
    size
        Pixels a side, ``224`` or ``HEIGHTxWIDTH``, 16 to 4096.
    seed
        Any whole number.

    Raises ConceptSetInvalid for any other value.
    """

    native_masks = False

    def __init__(
        self,
        argument: str = "",
        *,
        images: int | str = 400,
        size: int | str = 224,
        seed: int | str = 0,
    ) -> None:
        if argument:
            raise ConceptSetInvalid(
                f"shapes takes options only, got {argument!r}; {EXAMPLE}"
            )
        self._images = whole_number("images", images, smallest=1)
        self._size = picture_size(size)  # height, width
        self._seed = whole_number("seed", seed)

    @property
    def categories(self) -> tuple[str, ...]:
        """Broden's six categories, in Broden's order."""
        return tuple(NAMES)

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """Vocabulary of all sets of drawn scenes."""
        return CONCEPTS

    @cached_property
    def identity(self) -> Identity:
        """Complete spec, version of the generator and a fingerprint of both."""
        height, width = self._size
        size = f"{height}" if height == width else f"{height}x{width}"
        source = f"shapes?images={self._images}&size={size}&seed={self._seed}"
        content = fingerprint([f"{VERSION} {source}".encode()])
        return Identity("shapes", source, VERSION, content)

    def __len__(self) -> int:
        """Return the number of images."""
        return self._images

    def name(self, index: int) -> str:
        """Return the kind of scene and the number: ``street-00007``."""
        return f"{self._kind(index)}-{index:05d}"

    def files(self, index: int) -> tuple[()]:
        """Return no files: images are drawn, and the fingerprint says which."""
        return ()

    def image(self, index: int) -> Image.Image:
        """Return the picture, RGB."""
        canvas = self._draw(index)
        return Image.fromarray(canvas.pixels())

    def annotation(self, index: int) -> Annotation:
        """Return the labels of each pixel, in six planes, and the scene as a whole-image label.

        Planes: object, part, part of the part, material, texture, colour.
        """
        canvas = self._draw(index)
        labels_of_surfaces = [_labels(surface) for surface in canvas.surfaces]
        surface_labels = np.array(labels_of_surfaces, np.int32)  # (surface, plane)
        planes = [labels.take(canvas.surface) for labels in surface_labels.T]
        first_color_label = LABELS[f"{COLORS[0]}-c"]
        color_plane = (canvas.colors() + first_color_label).astype(np.int32)
        scene_label = LABELS.get(f"{self._kind(index)}-s")
        image_labels = () if scene_label is None else (scene_label,)
        return Annotation((*planes, color_plane), image_labels)

    def _kind(self, index: int) -> str:
        """Return the kind of image: a scene, or a close-up without one.

        Each run of ``len(_DECK)`` images is a newly shuffled deck, so that no kind becomes rare.
        """
        if not 0 <= index < self._images:
            raise IndexError(
                f"no image {index}: shapes has images 0 to {self._images - 1}"
            )
        deal, card = divmod(index, len(_DECK))
        dice = Dice(f"shapes {VERSION} {self._seed} deal {deal}")
        shuffled = sorted(_DECK, key=lambda _: dice.whole(0, 1 << 30))
        return shuffled[card]

    def _draw(self, index: int) -> Canvas:
        kind = self._kind(index)
        dice = Dice(f"shapes {VERSION} {self._seed} {index}")
        close_up_percent = 35 if kind in SCENES else 8
        stage = empty_stage(self._size, dice, close_up_percent)
        draw_scene = SCENES.get(kind, close_up)
        draw_scene(stage)
        canvas = stage.pen.canvas
        canvas.finish(dice)
        return canvas


def _labels(surface: Surface) -> tuple[int, ...]:
    """Return a surface's labels in all planes but that of colours; 0 is no label."""
    names = (
        surface.object,
        surface.part,
        surface.subpart,
        surface.material,
        surface.texture,
    )
    return tuple(LABELS[name] if name else 0 for name in names)
