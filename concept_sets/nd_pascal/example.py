"""Small sets of Pascal's images on which readers are checked (``nd plugins --check pascal``).

There is none for Pascal-Part, whose MATLAB files are records in records.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.io import savemat

NAMES = ("2007_000032", "2007_000039")
CONTEXT_LABELS = {2: "aeroplane", 416: "tree", 459: "wood"}


def voc(folder: Path) -> str:
    """Write two images of Pascal VOC with masks, and return the text that opens them."""
    root = folder / "voc"
    _write_images(root, 2012)
    masks = root / "VOCdevkit" / "VOC2012" / "SegmentationClass"
    masks.mkdir()
    for name in NAMES:
        picture = Image.fromarray(_halves(1, 15).astype(np.uint8), "P")
        picture.putpalette(list(range(256)) * 3)
        picture.save(masks / f"{name}.png")
    return f"voc:{root}"


def pascal_context(folder: Path) -> str:
    """Write two images of Pascal-Context, and return the text that opens them."""
    root = folder / "context"
    _write_images(root, 2010)
    lines = [f"{number}: {name}\n" for number, name in CONTEXT_LABELS.items()]
    (root / "labels.txt").write_text("".join(lines))
    (root / "trainval").mkdir()
    for name in NAMES:
        label_map = _halves(2, 416).astype(np.uint16)
        savemat(root / "trainval" / f"{name}.mat", {"LabelMap": label_map})
    return f"pascal_context:{root}"


def _write_images(root: Path, year: int) -> None:
    """Write the photos of a year's kit, and its lists of images."""
    kit = root / "VOCdevkit" / f"VOC{year}"
    (kit / "JPEGImages").mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(kit / "JPEGImages" / f"{name}.jpg")
    for kind in ("Segmentation", "Main"):
        lists = kit / "ImageSets" / kind
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text(f"{NAMES[0]}\n")
        (lists / "val.txt").write_text(f"{NAMES[1]}\n")


def _halves(left: int, right: int) -> npt.NDArray[np.int64]:
    values = np.full((24, 32), left)
    values[:, 16:] = right
    return values
