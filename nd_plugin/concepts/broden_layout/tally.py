"""Frequency and coverage of labels, as Broden's tables give them.

Frequency is the number of images that carry a label; coverage the sum over images of the share of
pixels that it covers, 1 for a label of the whole image. Both are kept as integers (pixels by size
of mask), so that sums of parts equal the sum of the whole, in whatever order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from nd_plugin.concepts.broden_layout.samples import LabelledImage, Planes
from nd_plugin.pictures.stored_integers import strips_of

LabelInCategory = tuple[int, str]  # label number, category


@dataclass
class LabelCounts:
    """Images and pixels of each label in each category."""

    images: Counter[LabelInCategory] = field(default_factory=Counter)
    # by label, category and number of pixels of the mask
    pixels: Counter[tuple[int, str, int]] = field(default_factory=Counter)

    def add(self, sample: LabelledImage) -> None:
        """Add an image; a pixel that carries a label in two planes of a category counts once."""
        for category in {**sample.planes, **sample.labels}:
            labels = set(sample.labels.get(category, ()))
            planes = sample.planes.get(category, ())
            self._add_category(category, planes, labels)

    def merge(self, counts: LabelCounts) -> None:
        """Add the counts of other images."""
        self.images.update(counts.images)
        self.pixels.update(counts.pixels)

    def frequency(self, number: int, category: str) -> int:
        """Return the number of images that carry a label in a category."""
        return self.images[number, category]

    def coverages(self) -> dict[LabelInCategory, float]:
        """Return the coverage of each label in each category, in images' worth."""
        shares: dict[LabelInCategory, list[float]] = {}
        for (number, category, size), pixels in self.pixels.items():
            shares.setdefault((number, category), []).append(pixels / size)
        return {label: math.fsum(parts) for label, parts in shares.items()}

    def _add_category(
        self, category: str, planes: Planes, labels: Iterable[int]
    ) -> None:
        whole_image = {number for number in labels if number > 0}
        pixel_counts = count_pixels(planes)
        size = planes[0].size if len(planes) else 1
        for number in whole_image:
            self.images[number, category] += 1
            self.pixels[number, category, 1] += 1
        for number, pixels in pixel_counts.items():
            if number not in whole_image:
                self.images[number, category] += 1
                self.pixels[number, category, size] += pixels


def count_pixels(planes: Planes) -> Mapping[int, int]:
    """Count the pixels of each label number in planes of one size, each pixel once for a label."""
    pixel_counts: Counter[int] = Counter()
    for position, plane in enumerate(planes):
        for strip in strips_of(plane.shape):
            is_new = plane[strip] > 0
            for earlier in planes[:position]:
                is_new &= plane[strip] != earlier[strip]
            counts = np.bincount(plane[strip][is_new].astype(np.int64, copy=False))
            for number in np.flatnonzero(counts).tolist():
                pixel_counts[number] += int(counts[number])
    return pixel_counts
