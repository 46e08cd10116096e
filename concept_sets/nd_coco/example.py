"""Small panoptic set on which the reader is checked (``nd plugins --check coco``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("000000000139", "000000000285")
HEIGHT, WIDTH = 24, 32
PERSON = {"supercategory": "person", "isthing": 1, "id": 1, "name": "person"}
WALL = {
    "supercategory": "wall",
    "isthing": 0,
    "id": 199,
    "name": "wall-other-merged",
}


def example(folder: Path) -> str:
    """Write two images of a person beside a wall, and return the text that opens them."""
    root = folder / "coco"
    masks = root / "annotations" / "panoptic_val2017"
    photos = root / "val2017"
    masks.mkdir(parents=True)
    photos.mkdir()
    segments = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    segments[:, :16, 0] = 1  # red is the lowest byte of a segment's number
    segments[:, 16:, 0] = 2
    for name in NAMES:
        random = np.random.default_rng(int(name))
        pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{name}.jpg")
        Image.fromarray(segments).save(masks / f"{name}.png")
    table = {
        "images": [_image(name) for name in NAMES],
        "annotations": [_annotation(name) for name in NAMES],
        "categories": [PERSON, WALL],
    }
    (root / "annotations" / "panoptic_val2017.json").write_text(json.dumps(table))
    return f"coco:{root}"


def _image(name: str) -> dict[str, Any]:
    return {
        "id": int(name),
        "file_name": f"{name}.jpg",
        "height": HEIGHT,
        "width": WIDTH,
    }


def _annotation(name: str) -> dict[str, Any]:
    categories = {1: 1, 2: 199}
    segments = [
        {"id": number, "category_id": category, "iscrowd": 0}
        for number, category in categories.items()
    ]
    return {
        "image_id": int(name),
        "file_name": f"{name}.png",
        "segments_info": segments,
    }
