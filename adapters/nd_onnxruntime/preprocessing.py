"""Preprocessing of an ONNX model, as far as its file tells."""

from __future__ import annotations

import ast

import torch
from onnx import ModelProto

from nd_onnxruntime.image_input import PIXEL_RANGES, ImageInput, Size
from nd_plugin import FirstOperations, Preprocess

DEFAULT_SIDE = 224  # pixels, where the file leaves the size open
NAMES_NONE = "the file names none"
GRAPH = "the graph"
INT8_SHIFT = 128.0  # what is subtracted from pixels for an int8 input


def preprocess_of(
    model: ModelProto, image: ImageInput, operations: FirstOperations
) -> Preprocess:
    """Derive the preprocessing from type and size of the image input, and from what the file tells.

    An input of integers takes pixels as they are, but int8, which is assumed to take them less 128.
    Ultralytics' exporter writes the size into the metadata and scales to 0 … 1. For any other file,
    the graph's first operations decide, else ImageNet's mean and standard deviation are assumed.
    """
    size = _fixed_size(image, (DEFAULT_SIDE, DEFAULT_SIDE))
    if image.dtype in PIXEL_RANGES:
        return _of_integers(image, size)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if metadata.get("author") == "Ultralytics":
        declared = _parse_pair(metadata.get("imgsz", ""))
        size = _fixed_size(image, declared or size)
        return Preprocess(
            size,
            (0.0,) * image.channels,
            (1.0,) * image.channels,
            source="the file's Ultralytics metadata",
        )
    imagenet = Preprocess.imagenet(NAMES_NONE, size, image.channels)
    return operations.complete(imagenet, GRAPH)


def _of_integers(image: ImageInput, size: Size) -> Preprocess:
    """Return the preprocessing of an input of integers."""
    is_signed_byte = image.dtype == torch.int8
    mean = INT8_SHIFT if is_signed_byte else 0.0
    kind = str(image.dtype).removeprefix("torch.")
    article = "a" if kind.startswith("u") else "an"
    meaning = "pixels - 128" if is_signed_byte else "pixels as they are"
    return Preprocess(
        size,
        (mean,) * image.channels,
        (1.0,) * image.channels,
        1.0,
        source=f"{article} {kind} input: {meaning}",
        assumed=is_signed_byte,
    )


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
