"""Draws gratings: what a concept set has to provide, written out by hand.

Each image shows two round patches of bars on grey, one on the left and one on the right. An orientation is that of the
bars, counter-clockwise from the horizontal; phase and place vary, and are no concepts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin import Annotation, Concept, ConceptSetInvalid, Identity

VERSION = "1"  # of the drawings: a new one whenever any pixel changes
WAVELENGTHS = {"fine": 6, "coarse": 12}  # pixels a cycle
SIDES = {"left": 0.25, "right": 0.75}  # of the width
RADIUS, JITTER, CONTRAST, NOISE = 1 / 6, 1 / 16, 0.4, 0.02  # the lengths as parts of the side


@dataclass(frozen=True)
class Patch:
    """One patch of bars, and its three concepts as values of planes."""

    degrees: float
    wavelength: float
    phase: float
    centre: tuple[float, float]  # row, column
    labels: tuple[int, int, int]


class Gratings:
    """The concept set ``gratings``. Options come as they stand in the text."""

    native_masks = False
    categories = ("orientation", "frequency", "position")

    def __init__(
        self, argument: str = "", *, images: str = "96", orientations: str = "8", size: str = "224", seed: str = "0"
    ) -> None:
        if argument:
            raise ConceptSetInvalid(f"gratings are drawn, not read from {argument!r}: say gratings, or gratings?seed=1")
        self._images, self._seed = whole("images", images, 1), whole("seed", seed, 0)
        self._size, orientation_count = whole("size", size, 64), whole("orientations", orientations, 1)
        self._degrees = [180 * step / orientation_count for step in range(orientation_count)]
        names = [[f"{degrees:g} degrees" for degrees in self._degrees], list(WAVELENGTHS), list(SIDES)]
        self.concepts = tuple(Concept(n, c) for c, group in zip(self.categories, names, strict=True) for n in group)
        source = f"gratings?images={self._images}&orientations={orientation_count}&size={size}&seed={seed}"
        fingerprint = hashlib.sha256(f"{VERSION} {source}".encode()).hexdigest()[:16]
        self.identity = Identity("gratings", source, VERSION, fingerprint)

    def __len__(self) -> int:
        return self._images

    def name(self, index: int) -> str:
        """``grating-00007``."""
        return f"grating-{index:05d}"

    def image(self, index: int) -> Image.Image:
        """The picture: grey, with a little noise."""
        noise = self._dice(index, 2).random((self._size, self._size)) - 0.5
        light = 0.5 + NOISE * noise
        rows, columns = np.indices(light.shape)
        for patch in self._patches(index):
            angle = math.radians(patch.degrees)
            across = columns * math.sin(angle) + rows * math.cos(angle)
            bars = np.cos(2 * math.pi * across / patch.wavelength + patch.phase)
            light += 0.5 * CONTRAST * bars * self._inside(patch)
        return Image.fromarray(np.rint(255 * light).astype(np.uint8))

    def annotation(self, index: int) -> Annotation:
        """The truth: a plane each for orientation, frequency and position."""
        planes = np.zeros((len(self.categories), self._size, self._size), np.int32)
        for patch in self._patches(index):
            planes[:, self._inside(patch)] = np.array(patch.labels)[:, None]
        return Annotation(list(planes))

    def _inside(self, patch: Patch) -> npt.NDArray[np.bool_]:
        rows, columns = np.indices((self._size, self._size))
        return np.asarray(np.hypot(rows - patch.centre[0], columns - patch.centre[1]) < RADIUS * self._size)

    def _patches(self, index: int) -> Iterator[Patch]:
        """The two patches of an image; every deal of patches holds each orientation in each frequency once."""
        dice, count = self._dice(index, 1), len(self._degrees)
        for side, (_, place) in enumerate(SIDES.items()):
            deal, card = divmod(2 * index + side, count * len(WAVELENGTHS))
            kind = int(self._dice(deal, 0).permutation(count * len(WAVELENGTHS))[card])
            orientation, frequency = kind % count, kind // count
            row, column = np.array([0.5, place]) * self._size + JITTER * self._size * (2 * dice.random(2) - 1)
            labels = (1 + orientation, 1 + count + frequency, 1 + count + len(WAVELENGTHS) + side)
            wavelength, phase = list(WAVELENGTHS.values())[frequency], 2 * math.pi * dice.random()
            yield Patch(self._degrees[orientation], wavelength, phase, (float(row), float(column)), labels)

    def _dice(self, number: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, number, purpose))


def whole(option: str, value: str, least: int) -> int:
    """An option's value as a number. Raises ConceptSetInvalid."""
    if not value.isdecimal() or int(value) < least:
        raise ConceptSetInvalid(f"gratings: {option}={value} is not a whole number from {least} on")
    return int(value)
