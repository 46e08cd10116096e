"""Small folders of images on which the reader is checked (``nd plugins --check folders``)."""

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("kitchen/0001.jpg", "kitchen/0002.png", "street/0001.jpg")


def example(folder: Path) -> str:
    """Write two scenes, and return the text that opens them."""
    root = folder / "scenes"
    for seed, name in enumerate(NAMES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return f"folders:{root}"
