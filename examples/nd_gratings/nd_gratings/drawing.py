"""Drawn gratings: an example of everything that a concept set provides.

Each image shows two round patches of bars on grey, one on the left and one on the right. An
orientation is that of the bars, counter-clockwise from the horizontal. Phase and exact position
vary, and are no concepts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin import Annotation, Concept, ConceptSetInvalid, Identity, fingerprint

VERSION = "1"  # of the drawings: to be raised whenever any pixel changes
WAVELENGTHS = {"fine": 6, "coarse": 12}  # pixels a cycle
# centre of a patch, as a fraction of the width
SIDES = {"left": 0.25, "right": 0.75}
RADIUS = 1 / 6  # of a patch, as a fraction of the side
JITTER = 1 / 16  # of its centre, as a fraction of the side
CONTRAST = 0.4
NOISE = 0.02
# independent streams of random numbers
KIND_STREAM, PATCH_STREAM, NOISE_STREAM = range(3)


@dataclass(frozen=True)
class Patch:
    """One patch of bars."""

    degrees: float
    wavelength: float
    phase: float
    centre: tuple[float, float]  # row, column
    labels: tuple[int, int, int]  # value in the plane of each category


class Gratings:
    """Concept set ``gratings``. Options are texts, as in ``gratings?images=32``."""

    native_masks = False
    categories = ("orientation", "frequency", "position")

    def __init__(
        self,
        argument: str = "",
        *,
        images: str = "96",
        orientations: str = "8",
        size: str = "224",
        seed: str = "0",
    ) -> None:
        if argument:
            raise ConceptSetInvalid(
                f"gratings are drawn, not read from {argument!r}: use gratings, or gratings?seed=1"
            )
        self._image_count = parse_count("images", images, 1)
        self._seed = parse_count("seed", seed, 0)
        self._size = parse_count("size", size, 64)
        orientation_count = parse_count("orientations", orientations, 1)
        self._degrees = [
            180 * step / orientation_count for step in range(orientation_count)
        ]
        self.concepts = (
            *(
                Concept(f"{degrees:g} degrees", "orientation")
                for degrees in self._degrees
            ),
            *(Concept(name, "frequency") for name in WAVELENGTHS),
            *(Concept(name, "position") for name in SIDES),
        )
        source = (
            f"gratings?images={self._image_count}&orientations={orientation_count}"
            f"&size={size}&seed={seed}"
        )
        content = fingerprint([f"{VERSION} {source}".encode()])
        self.identity = Identity("gratings", source, VERSION, content)

    def __len__(self) -> int:
        return self._image_count

    def name(self, index: int) -> str:
        """Return a name such as ``grating-00007``."""
        self._check(index)
        return f"grating-{index:05d}"

    def files(self, index: int) -> tuple[()]:
        """Return no files to verify: images are drawn, and the fingerprint says which."""
        return ()

    def image(self, index: int) -> Image.Image:
        """Draw an image: bars on grey, with a little noise."""
        self._check(index)
        random = self._random(index, NOISE_STREAM)
        noise = random.random((self._size, self._size)) - 0.5
        light = 0.5 + NOISE * noise
        rows, columns = np.indices(light.shape)
        for patch in self._patches(index):
            angle = math.radians(patch.degrees)
            across_bars = columns * math.sin(angle) + rows * math.cos(angle)
            bars = np.cos(
                2 * math.pi * across_bars / patch.wavelength + patch.phase
            )
            light += 0.5 * CONTRAST * bars * self._inside(patch)
        return Image.fromarray(np.rint(255 * light).astype(np.uint8))

    def annotation(self, index: int) -> Annotation:
        """Return exact planes of orientation, frequency and position."""
        self._check(index)
        planes = np.zeros((len(self.categories), self._size, self._size), np.int32)
        for patch in self._patches(index):
            planes[:, self._inside(patch)] = np.array(patch.labels)[:, None]
        return Annotation(list(planes))

    def _check(self, index: int) -> None:
        """Raise IndexError for an image that there is not; -1 is not the last one."""
        if not 0 <= index < self._image_count:
            raise IndexError(f"no image {index}: there are {self._image_count}")

    def _inside(self, patch: Patch) -> npt.NDArray[np.bool_]:
        """Return the pixels (row, column) of a patch."""
        rows, columns = np.indices((self._size, self._size))
        centre_row, centre_column = patch.centre
        distances = np.hypot(rows - centre_row, columns - centre_column)
        return np.asarray(distances < RADIUS * self._size)

    def _patches(self, index: int) -> Iterator[Patch]:
        """Iterate over the two patches of an image.

        Patches are dealt like cards: each deal holds every orientation in every frequency once.
        """
        random = self._random(index, PATCH_STREAM)
        orientation_count = len(self._degrees)
        kind_count = orientation_count * len(WAVELENGTHS)
        wavelengths = list(WAVELENGTHS.values())
        for side, horizontal in enumerate(SIDES.values()):
            deal, card = divmod(2 * index + side, kind_count)
            kinds = self._random(deal, KIND_STREAM).permutation(kind_count)
            frequency, orientation = divmod(int(kinds[card]), orientation_count)
            jitter = JITTER * self._size * (2 * random.random(2) - 1)
            row, column = np.array([0.5, horizontal]) * self._size + jitter
            first_frequency = 1 + orientation_count
            first_side = first_frequency + len(WAVELENGTHS)
            yield Patch(
                degrees=self._degrees[orientation],
                wavelength=wavelengths[frequency],
                phase=2 * math.pi * random.random(),
                centre=(float(row), float(column)),
                labels=(
                    1 + orientation,
                    first_frequency + frequency,
                    first_side + side,
                ),
            )

    def _random(self, number: int, stream: int) -> np.random.Generator:
        """Return a generator for an image or a deal, the same in every process."""
        return np.random.default_rng((self._seed, number, stream))


def parse_count(option: str, value: str, minimum: int) -> int:
    """Return an option's value as a number of at least ``minimum``. Raises ConceptSetInvalid."""
    if not value.isdecimal() or int(value) < minimum:
        raise ConceptSetInvalid(
            f"gratings: {option}={value} is not a whole number from {minimum} on"
        )
    return int(value)
