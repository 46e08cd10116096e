"""Small data set of PyTorch on which the reader is checked (``nd plugins --check dataset``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

Item = tuple[Image.Image, Image.Image]


def example(folder: Path) -> str:
    """Write the names of the values, and return the text that opens them with `blocks`."""
    names = folder / "names.csv"
    names.write_text("value,name\n1,left\n2,right\n")
    return f"dataset:nd_dataset.example:blocks?names={names}"


def blocks() -> list[Item]:
    """Return three noisy images whose masks have a left and a right half."""
    mask = np.ones((24, 32), np.uint8)
    mask[:, 16:] = 2
    items: list[Item] = []
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        items.append((Image.fromarray(pixels), Image.fromarray(mask)))
    return items
