"""Generated maps at Broden's scale, in the place of a network: all passes of the engine alone.

An image is one pixel, which holds its number; its maps follow from that number, on the device.
Annotations have Broden's vocabulary of 1,197 concepts, in four planes and as labels of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from bare import synchronise
from PIL import Image
from stopwatch import Stopwatch
from torch import Tensor
from torch.nn import functional as F

from nd_plugin import Annotation, Concept, Identity, Preprocess, Settings
from nd_plugin.probe_data.batches import Feed
from nd_plugin.receptive_fields.geometry import Geometry, spread_evenly

LAYER = "maps"
PIXEL = Preprocess(
    (1, 1), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 1.0, source="the image's number"
)
MASK_SIZE = (112, 112)
CONCEPTS_OF = {  # by category
    "color": 11,
    "object": 520,
    "part": 220,
    "material": 30,
    "scene": 370,
    "texture": 46,
}
# planes of an image: their category, the side of their blocks, and the share without a label
PLANES = (
    ("color", 8, 0.0),
    ("object", 16, 0.2),
    ("part", 8, 0.7),
    ("part", 8, 0.9),
)
ANNOTATIONS = 64  # different ones
NOISE_BYTES = 2**27  # of maps that others are made from


@dataclass
class GeneratedConcepts:
    """Concept set of one-pixel images with annotations of Broden's size and vocabulary."""

    images: int
    identity: Identity = field(
        default_factory=lambda: Identity("generated", "generated", "1", "0")
    )
    native_masks: bool = True
    categories: tuple[str, ...] = tuple(CONCEPTS_OF)

    def __post_init__(self) -> None:
        random = np.random.default_rng(0)
        self._annotations = [self._annotate(random) for _ in range(ANNOTATIONS)]

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        """Vocabulary."""
        return tuple(
            Concept(f"{category} {number}", category)
            for category, count in CONCEPTS_OF.items()
            for number in range(count)
        )

    def __len__(self) -> int:
        return self.images

    def name(self, index: int) -> str:
        """Return the image's number."""
        return str(index)

    def image(self, index: int) -> Image.Image:
        """Return a pixel: the image's number in bytes, the lowest first."""
        colour = (index % 256, index // 256 % 256, index // 65536)
        return Image.new("RGB", (1, 1), colour)

    def annotation(self, index: int) -> Annotation:
        """Return one of the annotations."""
        return self._annotations[index % ANNOTATIONS]

    def _annotate(self, random: np.random.Generator) -> Annotation:
        planes = []
        for category, side, unlabelled in PLANES:
            rows, columns = (length // side for length in MASK_SIZE)
            # a few concepts an image, as in a photograph
            present = self._draw(random, category, 6)
            blocks = present[random.integers(len(present), size=(rows, columns))]
            blocks[random.random(blocks.shape) < unlabelled] = 0
            planes.append(blocks.repeat(side, 0).repeat(side, 1).astype(np.int32))
        scene, texture = (
            self._draw(random, category, 1) for category in ("scene", "texture")
        )
        return Annotation(planes, (int(scene[0]), int(texture[0])), MASK_SIZE)

    def _draw(
        self, random: np.random.Generator, category: str, count: int
    ) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Draw values of some concepts of a category: 1 + concept."""
        names = list(CONCEPTS_OF)
        earlier = names[: names.index(category)]
        first = 1 + sum(CONCEPTS_OF[name] for name in earlier)
        return first + random.integers(CONCEPTS_OF[category], size=count)


@dataclass
class GeneratedMaps:
    """Model, and its own probe, that generates smooth maps after ReLU from the images' numbers."""

    units: int
    cells: int
    device: torch.device
    backend: str = "generated"
    identity: Identity = field(
        default_factory=lambda: Identity("generated", "generated", "1", "0")
    )
    preprocess: Preprocess = PIXEL
    notes: tuple[str, ...] = ()
    precision: str = "float32"
    compute_precision: str = "float32"

    def layers(self, size: tuple[int, int]) -> Sequence[Any]:
        """List no layers."""
        return ()

    @contextmanager
    def probe(
        self, layers: Sequence[Any], size: tuple[int, int]
    ) -> Iterator[GeneratedProbe]:
        """Open the probe."""
        yield GeneratedProbe(self)

    @cached_property
    def noise(self) -> Tensor:
        """Smooth maps (map of an image, unit, row, column), interpolated from every third cell."""
        generator = torch.Generator(self.device).manual_seed(0)
        map_bytes = self.units * self.cells**2 * 4
        coarse_side = self.cells // 3 + 1
        shape = (
            max(NOISE_BYTES // map_bytes, 4),
            self.units,
            coarse_side,
            coarse_side,
        )
        coarse = torch.randn(shape, generator=generator, device=self.device)
        size = (self.cells, self.cells)
        return F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)

    @cached_property
    def shift(self) -> Tensor:
        """Shift of each unit's maps (unit, 1, 1): units are sparse to a different degree."""
        return torch.linspace(-2, 0.5, self.units, device=self.device)[
            :, None, None
        ]

    @cached_property
    def unit_numbers(self) -> Tensor:
        """Numbers of all units, (unit,)."""
        return torch.arange(self.units, device=self.device)

    def maps(self, numbers: Tensor) -> Tensor:
        """Return the maps (image, unit, row, column) of images by their numbers (image,) int64."""
        noise = self.noise.index_select(0, numbers % len(self.noise))
        # a hash of image and unit, uniform in 24 bits
        mixed = numbers[:, None] * 2654435761 + self.unit_numbers * 40503
        mixed = (mixed ^ (mixed >> 15)) * 2246822519 % 2**32
        uniform = ((mixed >> 8) + 1).float() / 2**24
        gain = uniform.log_().neg_().add_(0.5)[:, :, None, None]
        return noise.mul_(gain).add_(self.shift).relu_()


@dataclass
class GeneratedProbe:
    """Probe of generated maps."""

    model: GeneratedMaps
    layers: tuple[str, ...] = (LAYER,)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Cells spread evenly over the one pixel of an image."""
        cells = (self.model.cells, self.model.cells)
        return {LAYER: spread_evenly(cells, PIXEL.size)}

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the maps of images (image, 3, 1, 1), which hold their numbers."""
        digits = images.flatten(1).long()
        numbers = digits[:, 0] + 256 * digits[:, 1] + 65536 * digits[:, 2]
        return {LAYER: self.model.maps(numbers)}


@dataclass(frozen=True)
class Stream:
    """Case of generated maps."""

    units: int
    cells: int  # rows, and columns, of a map
    images: int = 63305

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"stream-{self.units}x{self.cells}"

    @property
    def nbytes(self) -> int:
        """Bytes of all activations."""
        return self.images * self.units * self.cells**2 * 4

    def of_images(self, images: int) -> Stream:
        """Return the same case with so many images."""
        return replace(self, images=images)

    def model(self, device: torch.device) -> GeneratedMaps:
        """Return the model."""
        return GeneratedMaps(self.units, self.cells, device)

    def feed(self, device: torch.device, workers: int | None) -> Feed:
        """Return the feed of all images."""
        concepts = GeneratedConcepts(self.images)
        return Feed.of(concepts, PIXEL, Settings(), device, workers=workers)

    def bounds(self, device: torch.device, feed: Feed) -> dict[str, float]:
        """Return the seconds of generating all maps, of reading them once, and of the feed."""
        model = self.model(device)
        generation = Stopwatch()
        reading = Stopwatch()
        with torch.inference_mode():
            model.maps(torch.zeros(1, dtype=torch.int64, device=device))
            for stopwatch in (generation, reading):
                synchronise(device)
                with stopwatch:
                    for start in range(0, self.images, feed.batch_size):
                        end = min(start + feed.batch_size, self.images)
                        maps = model.maps(torch.arange(start, end, device=device))
                        if stopwatch is reading:
                            maps.flatten(2).amax(2)
                    synchronise(device)
        with Stopwatch() as feeding:
            for _ in feed.batches(annotated=True, as_tensors=True):
                pass
        return {
            "generate": round(generation.seconds, 3),
            "amax": round(reading.seconds - generation.seconds, 3),
            "feed": round(feeding.seconds, 3),
        }


STREAMS = [Stream(2048, 7), Stream(256, 56)]
