"""Small inputs that several readers share: a probe data set, pictures, a run."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from drawn import Drawn
from PIL import Image

from nd_plugin import Annotation, Concept, Identity, Preprocess, Settings
from nd_plugin.probe_data.batches import Feed

SIZE = 16
HOW = Preprocess((SIZE, SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CPU = torch.device("cpu")


def png(pixels: Any, mode: str | None = None, **options: Any) -> bytes:
    """Return a PNG file of an array."""
    return picture(pixels, "PNG", mode, **options)


def picture(
    pixels: Any, form: str, mode: str | None = None, **options: Any
) -> bytes:
    """Return a picture file of an array, in a format of Pillow."""
    image = Image.fromarray(np.asarray(pixels))
    if mode is not None:
        image = image.convert(mode)
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def colours(seed: int, rows: int = 24, columns: int = 32) -> Any:
    """Return random pixels, (row, column, channel)."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (rows, columns, 3), dtype=np.uint8)


@lru_cache(1)
def drawn(images: int = 6) -> Drawn:
    """Return a small concept set in memory."""
    random = np.random.default_rng(7)
    concepts = (
        Concept("cat", "object"),
        Concept("dog", "object"),
        Concept("tail", "part"),
    )
    pictures = [
        Image.fromarray(colours(seed, SIZE, SIZE)) for seed in range(images)
    ]
    annotations = [
        Annotation([random.integers(0, 4, (SIZE // 2, SIZE // 2))])
        for _ in range(images)
    ]
    identity = Identity("drawn", "drawn", "1", "abc")
    return Drawn(identity, ("object", "part"), concepts, pictures, annotations)


def feed_of(concepts: Any, settings: Settings, batch_size: int = 2) -> Feed:
    """Return a feed that decodes in this process."""
    return Feed.of(concepts, HOW, settings, CPU, batch_size, workers=0)
