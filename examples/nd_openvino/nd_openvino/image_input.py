"""Image input of a model: its type, layout, channels and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from openvino import Model
from torch import Tensor

from nd_plugin import BadInput, nearest

Size = tuple[int, int]  # height, width in pixels
IMAGE_TYPES = {
    "f32": torch.float32,
    "f16": torch.float16,
    "f64": torch.float64,
    "u8": torch.uint8,
}
CHANNELS = (3, 1)  # of images: RGB and grey
ANY = -1  # length of an axis that is open


@dataclass(frozen=True)
class ImageInput:
    """Input that takes a batch of RGB or grey images; a length of -1 is open."""

    name: str
    dtype: torch.dtype
    channels_last: bool  # (image, row, column, channel)
    channels: int
    batch: int
    size: Size

    def shape(self, batch: int, size: Size) -> list[int]:
        """Return the input's shape for a number of images of a size."""
        if self.channels_last:
            return [batch, *size, self.channels]
        return [batch, self.channels, *size]

    def prepare(self, images: Tensor) -> Tensor:
        """Convert images (image, channel, row, column) to the input's type and layout.

        Raises BadInput for another number of channels.
        """
        if images.shape[1] != self.channels:
            raise BadInput(
                f"the model takes images of {self.channels} channels, not {images.shape[1]}: "
                f"mean and std of the preprocessing need {self.channels} values each"
            )
        if self.dtype == torch.uint8:
            images = images.round().clamp(0, 255)
        if self.channels_last:
            images = images.permute(0, 2, 3, 1)
        return images.to(self.dtype).contiguous()

    def noise(self, count: int, size: Size) -> Tensor:
        """Return images of noise (image, channel, row, column), always the same.

        Image i (from 1) is i² times darker than uniform noise, so that images can be told apart.
        """
        generator = torch.Generator("cpu").manual_seed(0)
        shape = (count, self.channels, *size)
        images = torch.rand(shape, generator=generator)
        numbers = torch.arange(1, count + 1).view(-1, 1, 1, 1)
        images /= numbers**2
        return images * 255 if self.dtype == torch.uint8 else images


def find_image_input(model: Model, name: str | None) -> ImageInput:
    """Return the input that takes the images.

    Raises BadInput for a model with several inputs, or whose input takes no images, and for a
    ``name`` that the input does not have.
    """
    parameters = model.get_parameters()
    names = [parameter.get_friendly_name() for parameter in parameters]
    if name is not None and name not in names:
        suggestions = nearest(name, names) or names
        raise BadInput(f"no input {name!r}; the model has {', '.join(suggestions)}")
    if len(parameters) != 1:
        raise BadInput(
            f"the model has the inputs {', '.join(names)}, and only images are fed: convert it "
            "with constants in place of the other inputs"
        )
    (parameter,) = parameters
    image = _as_image(parameter)
    if image is None:
        shape = parameter.get_output_partial_shape(0)
        element_type = parameter.get_element_type().get_type_name()
        raise BadInput(
            f"the input {names[0]} {shape} {element_type} takes no images: (N, C, H, W) or "
            "(N, H, W, C) with 3 channels (RGB) or 1 (grey) of f32, f16, f64 or u8"
        )
    return image


def _as_image(parameter: Any) -> ImageInput | None:
    """Return how an input takes images; None where its type or shape rules that out."""
    dtype = IMAGE_TYPES.get(parameter.get_element_type().get_type_name())
    shape = _lengths(parameter)
    if dtype is None or shape is None:
        return None
    channel_axis = _channel_axis(parameter, shape)
    channels = shape[channel_axis]
    if channels == ANY:
        channels = 3
    if channels not in CHANNELS:
        return None
    channels_last = channel_axis == 3
    height, width = shape[1:3] if channels_last else shape[2:4]
    return ImageInput(
        parameter.get_friendly_name(),
        dtype,
        channels_last,
        channels,
        shape[0],
        (height, width),
    )


def _lengths(parameter: Any) -> list[int] | None:
    """Return the lengths of four axes, -1 where one is open; None for another rank."""
    shape = parameter.get_output_partial_shape(0)
    if shape.rank.is_dynamic:
        return [ANY] * 4
    lengths = []
    for dimension in shape:
        lengths.append(ANY if dimension.is_dynamic else dimension.get_length())
    return lengths if len(lengths) == 4 else None


def _channel_axis(parameter: Any, shape: Sequence[int]) -> int:
    """Return the axis of channels: as the file's layout says, else by the lengths of the axes."""
    layout = parameter.layout
    if not layout.empty and layout.has_name("C"):
        return int(layout.get_index_by_name("C")) % 4
    for channels in CHANNELS:
        if channels in (shape[1], shape[3]):
            return 1 if shape[1] == channels else 3
    return 1
