"""Small data set of drawn boxes, for ``nd plugins --check`` and for tests."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

IMAGES = 12
SIZE = (96, 64)  # width, height
SIDES = (12, 28)  # pixels, of a box
CLASSES = {"red box": (220, 30, 30), "blue box": (30, 60, 220)}
BACKGROUND = (120, 130, 120)
SEED = 0


def write_example(folder: Path) -> str:
    """Write a data set of drawn boxes into a folder; return the text that opens it."""
    # imported here: it takes a second
    import datasets

    random = np.random.default_rng(SEED)
    fields = {
        "bbox": datasets.List(datasets.Value("float32"), length=4),
        "category": datasets.ClassLabel(names=list(CLASSES)),
    }
    features = datasets.Features(
        {"image": datasets.Image(), "objects": datasets.List(fields)}
    )
    rows = [draw_row(random) for _ in range(IMAGES)]
    table = datasets.Dataset.from_list(rows, features=features)
    shows_progress = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        table.save_to_disk(str(folder))
    finally:
        if shows_progress:
            datasets.enable_progress_bars()
    return f"boxes:{folder}"


def draw_row(random: np.random.Generator) -> dict[str, Any]:
    """Draw an image with a box of each class; the second may hide a part of the first."""
    image = Image.new("RGB", SIZE, BACKGROUND)
    draw = ImageDraw.Draw(image)
    objects = []
    for category, colour in enumerate(CLASSES.values()):
        width, height = random.integers(*SIDES, 2).tolist()
        left = int(random.integers(SIZE[0] - width))
        top = int(random.integers(SIZE[1] - height))
        draw.rectangle((left, top, left + width - 1, top + height - 1), fill=colour)
        box = [left, top, width, height]
        objects.append({"bbox": box, "category": category})
    content = BytesIO()
    image.save(content, "PNG")
    picture = {"bytes": content.getvalue(), "path": None}
    return {"image": picture, "objects": objects}
