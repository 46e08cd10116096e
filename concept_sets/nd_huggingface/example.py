"""Small data set of rows on which the reader is checked (``nd plugins --check huggingface``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nd_plugin import Unavailable


def example(folder: Path) -> str:
    """Write three rows as ``save_to_disk`` does, and return the text that opens them.

    Raises Unavailable where the library `datasets` is missing.
    """
    try:
        import datasets
    except ImportError as error:
        raise Unavailable(
            "the library datasets is missing; pip install 'nd_plugin[huggingface]'"
        ) from error
    images = []
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        images.append(Image.fromarray(pixels))
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["kitchen", "street"]),
        }
    )
    columns = {"image": images, "label": [0, 1, 0]}
    root = folder / "rows"
    rows = datasets.Dataset.from_dict(columns, features=features)
    rows.save_to_disk(root)
    return f"huggingface:{root}"
