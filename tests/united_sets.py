"""Small sets on disk for unions: masks format, and Broden's layout with synonyms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from nd_plugin.concepts.broden_layout.samples import (
    LabelledImage,
    write_labelled_image,
)
from nd_plugin.concepts.broden_layout.tables import Label, write_tables
from nd_plugin.concepts.broden_layout.tally import LabelCounts

SIDE = 16


def shaded(index: int) -> Image.Image:
    """Return an image of one colour, another for each index."""
    shade = 37 * index % 256
    return Image.new("RGB", (SIDE, SIDE), (shade, 255 - shade, shade // 2))


def striped(labels: Sequence[int]) -> np.ndarray:
    """Return a plane with a row of each label."""
    plane = np.zeros((SIDE, SIDE), np.uint8)
    for row, label in enumerate(labels):
        plane[row] = label
    return plane


def write_masks_set(
    root: Path,
    names: Mapping[str, Sequence[str]],
    count: int,
    fewer: Mapping[str, int] | None = None,
) -> str:
    """Write a set of the masks format, every image with all concepts (name by category).

    ``fewer``: concepts that only so many images carry. Returns the text that opens it.
    """
    (root / "images").mkdir(parents=True, exist_ok=True)
    lines = ["category,value,name"]
    for category, of_category in names.items():
        (root / "masks" / category).mkdir(parents=True)
        lines += [
            f"{category},{value},{name}"
            for value, name in enumerate(of_category, start=1)
        ]
    (root / "concepts.csv").write_text("\n".join(lines) + "\n")
    for index in range(count):
        shaded(index).save(root / "images" / f"{index:03}.png")
        for category, of_category in names.items():
            labels = [
                value if index < (fewer or {}).get(name, count) else 0
                for value, name in enumerate(of_category, start=1)
            ]
            mask = Image.fromarray(striped(labels))
            mask.save(root / "masks" / category / f"{index:03}.png")
    return f"masks:{root}"


def write_broden_set(
    root: Path, labels: Sequence[Label], category: str, count: int
) -> str:
    """Write a set in Broden's layout, every image with all labels; return its text."""
    counts = LabelCounts()
    rows = []
    for index in range(count):
        planes = {category: [striped([label.number for label in labels])]}
        sample = LabelledImage(shaded(index), f"own/{index:03}", "train", planes)
        rows.append(write_labelled_image(root, sample, [category]))
        counts.add(sample)
    write_tables(root, labels, [category], rows, counts)
    return f"broden:{root}"
