"""Preprocessing of a model, as far as its file tells."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from openvino import Model

from nd_openvino.image_input import ANY, ImageInput, Size
from nd_plugin import FirstOperations, Preprocess

DEFAULT_SIDE = 224  # pixels, where the file leaves the size open
NAMES_NONE = "the file names none"
MODEL_INFO = "model_info"  # of OpenVINO Model API: what is to be done to images
CONVERSION = "conversion_parameters"  # what the converter has put into the graph
NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")
TRUE = ("true", "yes", "1")
ARITHMETIC = {"Add": "add", "Subtract": "sub", "Multiply": "mul", "Divide": "div"}
UNCHANGED = ("Convert", "Transpose", "Interpolate", "Reshape")


def preprocess_of(model: Model, image: ImageInput) -> Preprocess:
    """Return the preprocessing that a model's images need.

    An input of bytes takes pixels as they are. Mean and scale in ``model_info`` are applied, unless
    they are in the graph already. Otherwise the graph's first operations decide, else ImageNet's
    statistics are assumed.
    """
    size = _default_size(image)
    if image.dtype == torch.uint8:
        return _plain_pixels(image, size)
    stated = _stated(model, image, size)
    if stated is not None:
        return stated
    imagenet = Preprocess.imagenet(NAMES_NONE, size, image.channels)
    preprocess = follow_image(model, image).complete(imagenet, "the graph")
    return _with_channel_order(model, preprocess)


def _default_size(image: ImageInput) -> Size:
    height, width = image.size
    return (
        DEFAULT_SIDE if height == ANY else height,
        DEFAULT_SIDE if width == ANY else width,
    )


def _plain_pixels(image: ImageInput, size: Size) -> Preprocess:
    return Preprocess(
        size,
        (0.0,) * image.channels,
        (1.0,) * image.channels,
        1.0,
        source="a uint8 input: pixels as they are",
    )


def _stated(model: Model, image: ImageInput, size: Size) -> Preprocess | None:
    """Return what ``model_info`` states; None where it is silent, or the graph does it already."""
    if _text(model, MODEL_INFO, "embedded_processing").lower() in TRUE:
        return None
    texts = {}
    for name in ("mean_values", "scale_values"):
        text = _text(model, MODEL_INFO, name)
        if text:
            texts[name] = text
    mean = _numbers(texts.get("mean_values", ""), image.channels, 0.0)
    std = _numbers(texts.get("scale_values", ""), image.channels, 1.0)
    if not texts or mean is None or std is None or min(std) <= 0:
        return None
    listing = ", ".join(f"{name} {text}" for name, text in texts.items())
    return Preprocess(
        size, mean, std, 1.0, source=f"the file's model_info: {listing}"
    )


def _with_channel_order(model: Model, preprocess: Preprocess) -> Preprocess:
    """Return a preprocessing in the order that the converter has changed the channels to.

    Converters were told to reverse the channels of models of RGB images, for OpenCV, which reads
    images as BGR. The reversal is in the weights of the first layer.
    """
    is_reversed = _text(model, CONVERSION, "reverse_input_channels").lower() in TRUE
    if not (is_reversed and preprocess.assumed and preprocess.channels == 3):
        return preprocess
    source = f"{preprocess.source}; BGR, as the converter reversed the channels"
    return replace(preprocess, channel_order="bgr", source=source)


def _text(model: Model, section: str, name: str) -> str:
    """Return an entry of the file's information as text; "" where it has none."""
    path = [section, name]
    if not model.has_rt_info(path):
        return ""
    return str(model.get_rt_info(path).astype(str))


def _numbers(text: str, channels: int, default: float) -> tuple[float, ...] | None:
    """Return a number for each channel; None for another count of numbers."""
    numbers = [float(number) for number in NUMBER.findall(text)]
    if len(numbers) < 2:
        return tuple(numbers or [default]) * channels
    return tuple(numbers) if len(numbers) == channels else None


def follow_image(model: Model, image: ImageInput) -> FirstOperations:
    """Follow the image through the element-wise operations in front of the first layer."""
    operations = FirstOperations.none(image.channels)
    (node,) = model.get_parameters()
    while True:
        users = [
            target.get_node()
            for target in node.output(0).get_target_inputs()
            if target.get_node().get_type_name() != "ShapeOf"
        ]
        if len(users) != 1:
            return operations
        source = node
        (node,) = users
        followed = _followed(operations, node, source)
        if followed is None:
            return operations
        operations = followed


def _followed(
    operations: FirstOperations, node: Any, source: Any
) -> FirstOperations | None:
    """Append an operation; None for one that is not element-wise with constants."""
    kind = node.get_type_name()
    if kind in UNCHANGED:
        return operations
    inputs = [value.get_source_output().get_node() for value in node.inputs()]
    constants = [value for value in inputs if value.get_type_name() == "Constant"]
    if kind not in ARITHMETIC or len(constants) != 1:
        return None
    numbers = constants[0].data.reshape(-1).tolist()
    is_first = inputs[0].get_friendly_name() != source.get_friendly_name()
    try:
        return operations.computed(
            ARITHMETIC[kind], numbers, constant_first=is_first
        )
    except ValueError:  # one for each pixel, for instance
        return None
