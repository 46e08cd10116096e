"""Feeds: values for the inputs of a model that take no images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import ValueInfoProto, helper

from nd_onnxruntime.graph import Graph
from nd_onnxruntime.image_input import Dimension, ImageInput, describe, dimensions
from nd_plugin import BadInput

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Feed:
    """Value for one input beside the images."""

    value: ValueInfoProto  # declaration of the input
    # a number that fills the declared shape, or an array of that shape
    array: Array
    batch: Dimension  # of the image input; a dimension of the same name has one entry per image

    def for_batch(self, images: int) -> Array:
        """Return the array to feed with a batch of ``images`` images."""
        declared = dimensions(self.value) or []
        if self.array.ndim == 0:
            shape = [self._length(side, images) for side in declared]
            return np.full(shape, self.array)
        if declared and self._is_batch(declared[0]):
            return np.repeat(self.array, images, axis=0)
        return self.array

    def _length(self, side: Dimension, images: int) -> int:
        """Return the length of a declared side, unknown ones being 1."""
        if self._is_batch(side):
            return images
        return side if isinstance(side, int) else 1

    def _is_batch(self, side: Dimension) -> bool:
        return isinstance(side, str) and side == self.batch


def find_feeds(
    graph: Graph, image: ImageInput, texts: Mapping[str, str]
) -> dict[str, Feed]:
    """Read the feeds that a user gave as ``texts``: numbers or paths of ``.npy`` files, by input.

    Raises BadInput for an unknown input, an unreadable text, an array of an unsuitable shape.
    """
    inputs = {
        value.name: value for value in graph.inputs if value.name != image.name
    }
    _check_names(texts, inputs, image)
    feeds: dict[str, Feed] = {}
    for name, text in texts.items():
        array = _read_array(inputs[name], text, image)
        feeds[name] = Feed(inputs[name], array, image.batch)
    return feeds


def required_feeds(
    inputs: Sequence[ValueInfoProto], image: ImageInput, feeds: Mapping[str, Feed]
) -> dict[str, Feed]:
    """Select the feeds for the inputs of a subgraph. Raises BadInput for an input without one."""
    fed_inputs = [value for value in inputs if value.name != image.name]
    missing = [value for value in fed_inputs if value.name not in feeds]
    if missing:
        listing = ", ".join(f"{value.name} {describe(value)}" for value in missing)
        raise BadInput(
            f"beside the image {image.name!r} the layers need {listing}: give a value with "
            f"--feed {missing[0].name}=VALUE"
        )
    return {value.name: feeds[value.name] for value in fed_inputs}


def _check_names(
    texts: Mapping[str, str],
    inputs: Mapping[str, ValueInfoProto],
    image: ImageInput,
) -> None:
    for name in texts:
        if name in inputs:
            continue
        available = (
            f"beside the image {image.name!r} the model has {', '.join(inputs)}"
        )
        if not inputs:
            available = "the model has no input beside the image"
        raise BadInput(f"no input {name!r} to feed; {available}")


def _read_array(value: ValueInfoProto, text: str, image: ImageInput) -> Array:
    """Read a number or a ``.npy`` file, converted to the type of the input."""
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    try:
        if text.endswith(".npy"):
            array = np.load(Path(text), allow_pickle=False)
        else:
            array = np.array(float(text))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"--feed {value.name}={text}: neither a number nor a readable .npy file"
        ) from error
    if array.ndim and not _fits(array.shape, dimensions(value), image.batch):
        raise BadInput(
            f"--feed {value.name}={text}: the array has shape {array.shape}, but the input takes "
            f"{describe(value)}, with the same values for every image"
        )
    return np.asarray(array.astype(dtype))


def _fits(
    shape: Sequence[int], declared: Sequence[Dimension] | None, batch: Dimension
) -> bool:
    """Return whether an array for one image has the declared shape, batch dimensions being 1."""
    if declared is None:
        return True
    if len(shape) != len(declared):
        return False
    for side, expected in zip(shape, declared, strict=True):
        if isinstance(expected, str) and expected == batch:
            expected = 1
        if isinstance(expected, int) and expected != side:
            return False
    return True
