"""The concept set ``shapes``: any number of drawn scenes, the truth of every pixel known."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
from PIL import Image

from nd_plugin import Annotation, Concept, ConceptSetInvalid, Identity
from nd_shapes.canvas import Canvas, Surface
from nd_shapes.noise import Dice
from nd_shapes.palette import COLORS
from nd_shapes.places import SCENES, close_up
from nd_shapes.raster import LARGEST_SIDE
from nd_shapes.stage import empty_stage
from nd_shapes.vocabulary import CONCEPTS, LABELS, NAMES

VERSION = "1"  # of the generator: a new one whenever any pixel changes
_SMALLEST = 16  # pixels a side
_DECK = (
    *sorted(SCENES),
    *("closeup",) * 3,
)  # dealt out again and again, so that no kind becomes rare


class Shapes:
    """Drawn scenes: objects with parts, made of materials, with textures and the eleven colour names.

    Image ``i`` depends on the seed, its number and the size alone, so a longer set begins with a shorter one, and is
    the same on every machine: everything is computed in integers.

    Parameters
    ----------
    argument
        Nothing; a text here is an error.
    images
        How many, from 1 on.
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
            raise ConceptSetInvalid(f"shapes takes options only, not {argument!r}; {_HOW}")
        self._images = _whole("images", images, least=1)
        self._size = _size(size)  # height, width
        self._seed = _whole("seed", seed)

    @property
    def categories(self) -> tuple[str, ...]:
        """All six of Broden's, in its order."""
        return tuple(NAMES)

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The vocabulary."""
        return CONCEPTS

    @cached_property
    def identity(self) -> Identity:
        """The full spec, the generator's version and a fingerprint of both."""
        height, width = self._size
        size = f"{height}" if height == width else f"{height}x{width}"
        source = f"shapes?images={self._images}&size={size}&seed={self._seed}"
        fingerprint = hashlib.sha256(f"{VERSION} {source}".encode()).hexdigest()
        return Identity(name="shapes", source=source, version=VERSION, fingerprint=fingerprint)

    def __len__(self) -> int:
        """How many images."""
        return self._images

    def name(self, index: int) -> str:
        """The kind of scene and the number: ``street-00007``."""
        return f"{self._kind(index)}-{index:05d}"

    def image(self, index: int) -> Image.Image:
        """The picture, RGB."""
        return Image.fromarray(self._draw(index)[1].pixels())

    def annotation(self, index: int) -> Annotation:
        """The truth of each pixel, six planes of it, and the scene as a label of the whole image.

        Planes: object, part, part of the part, material, texture, colour.
        """
        kind, canvas = self._draw(index)
        labels_of_surface = np.array(
            [_labels(surface) for surface in canvas.surfaces], dtype=np.int32
        )
        planes = (labels.take(canvas.surface) for labels in labels_of_surface.T)
        color = canvas.colors() + LABELS[f"{COLORS[0]}-c"]
        scene = LABELS.get(f"{kind}-s")
        return Annotation((*planes, color.astype(np.int32)), () if scene is None else (scene,))

    def _kind(self, index: int) -> str:
        """Which scene is drawn; a close-up has none."""
        if not 0 <= index < self._images:
            raise IndexError(f"shapes has images 0 to {self._images - 1}, not {index}")
        deal, card = divmod(index, len(_DECK))
        dice = Dice(f"shapes {VERSION} {self._seed} deal {deal}")
        return sorted(_DECK, key=lambda _: dice.whole(0, 1 << 30))[card]

    def _draw(self, index: int) -> tuple[str, Canvas]:
        kind = self._kind(index)
        dice = Dice(f"shapes {VERSION} {self._seed} {index}")
        stage = empty_stage(self._size, dice, close_up_percent=35 if kind in SCENES else 8)
        SCENES.get(kind, close_up)(stage)
        stage.pen.canvas.finish(dice)
        return kind, stage.pen.canvas


_HOW = "for example shapes?images=500&size=224&seed=0"


def _labels(surface: Surface) -> tuple[int, ...]:
    names = (surface.object, surface.part, surface.subpart, surface.material, surface.texture)
    return tuple(LABELS[name] if name else 0 for name in names)


def _whole(option: str, value: int | str, least: int | None = None) -> int:
    try:
        number = int(value)
    except ValueError:
        number = None
    if number is None or (least is not None and number < least):
        kind = "a whole number" if least is None else f"a whole number from {least} on"
        raise ConceptSetInvalid(f"shapes: {option}={value} is not {kind}; {_HOW}")
    return number


def _size(value: int | str) -> tuple[int, int]:
    sides = str(value).lower().split("x")
    numbers = [int(side) for side in sides if side.isascii() and side.isdigit()]
    fits = all(_SMALLEST <= number <= LARGEST_SIDE for number in numbers)
    if len(numbers) != len(sides) or len(sides) > 2 or not fits:
        expected = f"N or HEIGHTxWIDTH in pixels, each {_SMALLEST} to {LARGEST_SIDE}"
        raise ConceptSetInvalid(f"shapes: size={value} is not {expected}; {_HOW}")
    return numbers[0], numbers[-1]
