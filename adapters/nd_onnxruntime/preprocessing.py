"""Preprocessing of an ONNX model, as far as its file tells."""

from __future__ import annotations

import ast

import torch
from onnx import ModelProto

from nd_onnxruntime.image_input import ImageInput, Size
from nd_plugin import Preprocess

DEFAULT_SIDE = 224  # pixels, where the file leaves the size open
IMAGENET = "ImageNet's (the file names none)"
BLACK = (0.0, 0.0, 0.0)
UNIT = (1.0, 1.0, 1.0)


def preprocess_of(model: ModelProto, image: ImageInput) -> Preprocess:
    """Derive the preprocessing from type and size of the image input and the file's metadata.

    A uint8 input takes pixels as they are; Ultralytics' exporter writes the size into the metadata
    and scales to 0 … 1; for any other file, ImageNet's mean and standard deviation are assumed.
    """
    size = _fixed_size(image, (DEFAULT_SIDE, DEFAULT_SIDE))
    if image.dtype == torch.uint8:
        return Preprocess(
            size, BLACK, UNIT, 1.0, source="a uint8 input: pixels as they are"
        )
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if metadata.get("author") == "Ultralytics":
        declared = _parse_pair(metadata.get("imgsz", ""))
        size = _fixed_size(image, declared or size)
        return Preprocess(
            size, BLACK, UNIT, source="the file's Ultralytics metadata"
        )
    return Preprocess(size, source=IMAGENET, assumed=True)


def _fixed_size(image: ImageInput, default: Size) -> Size:
    """Return the size of the input, open sides replaced by those of ``default``."""
    height, width = image.size
    return (
        height if isinstance(height, int) else default[0],
        width if isinstance(width, int) else default[1],
    )


def _parse_pair(text: str) -> Size | None:
    """Parse a text such as ``[480, 640]``; None where it is not a pair of numbers."""
    try:
        pair = ast.literal_eval(text)
        return int(pair[0]), int(pair[1])
    except (ValueError, SyntaxError, TypeError, IndexError, KeyError):
        return None
