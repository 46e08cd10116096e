"""Small set of street scenes on which the reader is checked (``nd plugins --check cityscapes``)."""

from pathlib import Path

import numpy as np
from PIL import Image

FRAMES = ("train/aachen/aachen_000000_000019", "val/ulm/ulm_000000_000019")
CAR = 26
ROAD = 7


def example(folder: Path) -> str:
    """Write two frames of a car beside a road, and return the text that opens them."""
    root = folder / "cityscapes"
    labels = np.full((16, 32), ROAD, np.uint8)
    labels[:, :16] = CAR
    for seed, frame in enumerate(FRAMES):
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 32, 3), np.uint8)
        pictures = {
            root / "leftImg8bit" / f"{frame}_leftImg8bit.png": pixels,
            root / "gtFine" / f"{frame}_gtFine_labelIds.png": labels,
        }
        for path, values in pictures.items():
            path.parent.mkdir(parents=True)
            Image.fromarray(values).save(path)
    return f"cityscapes:{root}"
