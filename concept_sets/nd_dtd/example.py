"""Small data set of textures on which the reader is checked (``nd plugins --check dtd``)."""

from pathlib import Path

import numpy as np
from PIL import Image

TEXTURES = ("banded", "dotted", "zigzagged")
SPLITS = ("train", "val", "test")


def example(folder: Path) -> str:
    """Write a photo of each of three textures, and return the text that opens them."""
    root = folder / "dtd"
    labels = root / "labels"
    labels.mkdir(parents=True)
    lines = []
    for seed, texture in enumerate(TEXTURES):
        name = f"{texture}/{texture}_0002.jpg"
        path = root / "images" / name
        path.parent.mkdir(parents=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        lines.append(f"{name} {texture}\n")
        for partition in (1, 2):
            (labels / f"{SPLITS[seed]}{partition}.txt").write_text(f"{name}\n")
    (labels / "labels_joint_anno.txt").write_text("".join(lines))
    return f"dtd:{root}"
