"""Small sets on disk, masks: and broden:, whose files keep their sizes when pixels change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COUNT, SIDE = 6, 32


def write_masks(root: Path) -> str:
    """Write a set of the masks format; return its text."""
    (root / "masks" / "object").mkdir(parents=True)
    (root / "images").mkdir()
    (root / "concepts.csv").write_text("category,value,name\nobject,1,left\n")
    for number in range(COUNT):
        save_image(root / "images" / f"{number}.bmp", number)
        save_mask(root / "masks" / "object" / f"{number}.png", SIDE // 2)
    return f"masks:{root}"


def write_broden(root: Path) -> str:
    """Write a set in Broden's layout; return its text."""
    (root / "images").mkdir(parents=True)
    (root / "category.csv").write_text("name\nobject\n")
    (root / "label.csv").write_text("number,name,category\n1,left,object\n")
    (root / "c_object.csv").write_text(
        "code,number,name,frequency,coverage\n0,1,left,6,3\n"
    )
    lines = ["image,object"]
    for number in range(COUNT):
        save_image(root / "images" / f"{number}.bmp", number)
        save_mask(root / "images" / f"{number}_object.png", SIDE // 2, "RGB")
        lines.append(f"{number}.bmp,{number}_object.png")
    (root / "index.csv").write_text("\n".join(lines) + "\n")
    return f"broden:{root}"


def save_image(path: Path, seed: int, side: int = SIDE) -> None:
    """Save an image of noise; its size in bytes is that of its pixels."""
    pixels = np.random.RandomState(seed).randint(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def save_mask(path: Path, columns: int, mode: str = "L") -> None:
    """Save a mask with label 1 in the first columns, uncompressed."""
    values = np.zeros((SIDE, SIDE), np.uint8)
    values[:, :columns] = 1
    if mode == "RGB":
        colours = np.stack(
            [values, np.zeros_like(values), np.zeros_like(values)], 2
        )
        Image.fromarray(colours).save(path, compress_level=0)
        return
    Image.fromarray(values).save(path, compress_level=0)
