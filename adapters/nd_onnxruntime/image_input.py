"""Image input of a model: which input takes images, of what type, layout, channels and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from onnx import TensorProto, ValueInfoProto, helper
from torch import Tensor

from nd_onnxruntime.graph import Graph
from nd_plugin import BadInput, nearest

Size = tuple[int, int]  # height, width in pixels
Dimension = int | str | None  # fixed, named, or unknown
IMAGE_TYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
}
# of an input that takes pixels as they are, or less 128
PIXEL_RANGES = {
    torch.uint8: (0, 255),
    torch.int8: (-128, 127),
    torch.int32: (0, 255),
    torch.int64: (0, 255),
}
USUAL_TYPES = (torch.float32, torch.float16, torch.float64, torch.uint8)
CHANNELS = (3, 1)  # of images: RGB and grey
# of an image, 8192 x 8192: a batch of two takes 1.5 GiB as floats
MOST_PIXELS = 2**26
UNKNOWN_SHAPE: Sequence[Dimension] = (None, None, None, None)


@dataclass(frozen=True)
class ImageInput:
    """Input that takes a batch of RGB or grey images."""

    name: str
    dtype: torch.dtype
    channels_last: bool  # (image, row, column, channel) instead of (image, channel, row, column)
    batch: Dimension
    size: tuple[Dimension, Dimension]  # height, width
    channels: int = 3  # 1: grey
    declares_channels: bool = True  # False: their number is open

    def prepare(self, images: Tensor) -> Tensor:
        """Convert images (image, channel, row, column) of floats to the input's type and layout.

        The result is contiguous; for an input of integers, values are rounded and clamped to
        0 … 255, or to -128 … 127 for int8. Raises BadInput for another number of channels.
        """
        if images.shape[1] != self.channels:
            raise BadInput(
                f"the model takes images of {self.channels} channels, not {images.shape[1]}: "
                f"mean and std of the preprocessing need {self.channels} values each"
            )
        if self.dtype in PIXEL_RANGES:
            images = images.round().clamp(*PIXEL_RANGES[self.dtype])
        if self.channels_last:
            images = images.permute(0, 2, 3, 1)
        return images.to(self.dtype).contiguous()

    def declare(self, batch: Dimension, size: Size) -> ValueInfoProto:
        """Declare the input for another batch dimension and a fixed size."""
        height, width = size
        shape = [batch, self.channels, height, width]
        if self.channels_last:
            shape = [batch, height, width, self.channels]
        elem_type = next(
            code for code, dtype in IMAGE_TYPES.items() if dtype == self.dtype
        )
        return helper.make_tensor_value_info(self.name, elem_type, shape)

    def check_size(self, size: Size) -> Size:
        """Return ``size`` if the input takes it. Raises BadInput otherwise."""
        for expected, side in zip(self.size, size, strict=True):
            if isinstance(expected, int) and expected != side:
                fixed = "x".join(map(str, self.size))
                raise BadInput(
                    f"the model takes images of {fixed} pixels only, not {size[0]}x{size[1]}"
                )
        if size[0] * size[1] > MOST_PIXELS:
            raise BadInput(
                f"images of {size[0]}x{size[1]} pixels are too large: at most {MOST_PIXELS:,} "
                "pixels are given to a model (is the file damaged?)"
            )
        return size

    def noise(self, count: int, size: Size) -> Tensor:
        """Return reproducible noise images (image, channel, row, column) on the CPU.

        Image i (from 1) is i² times darker than uniform noise, so that images can be told apart.
        """
        generator = torch.Generator("cpu").manual_seed(0)
        shape = (count, self.channels, *size)
        images = torch.rand(shape, generator=generator, device="cpu")
        numbers = torch.arange(1, count + 1, device="cpu").view(-1, 1, 1, 1)
        images /= numbers**2
        if self.dtype not in PIXEL_RANGES:
            return images
        lowest, _ = PIXEL_RANGES[self.dtype]
        return images * 255 + lowest


def find_image_input(graph: Graph, name: str | None) -> ImageInput:
    """Find the one input that takes images, or the input called ``name``.

    Where several could take them, RGB wins over grey, and floats and uint8 win over other integers.
    Raises BadInput for an unknown name, and where no input or several inputs take images.
    """
    names = [value.name for value in graph.inputs]
    if name is not None and name not in names:
        suggestions = nearest(name, names) or names
        raise BadInput(f"no input {name!r}; the model has {', '.join(suggestions)}")
    candidates = [value for value in graph.inputs if name in (None, value.name)]
    images = [image for image in map(_as_image, candidates) if image is not None]
    best = [image for image in images if _rank(image) == max(map(_rank, images))]
    if len(best) != 1:
        raise _no_single_image(candidates, len(best))
    return best[0]


def _rank(image: ImageInput) -> tuple[bool, bool]:
    """Return how likely an input takes images, compared with others of the same model."""
    return image.channels == 3, image.dtype in USUAL_TYPES


def dimensions(value: ValueInfoProto) -> list[Dimension] | None:
    """Return the declared shape of a value; None where the file declares none.

    Lengths of -1 or 0, as Paddle2ONNX wrote them up to version 1.0, stand for any length.
    """
    tensor_type = value.type.tensor_type
    if not tensor_type.HasField("shape"):
        return None
    shape: list[Dimension] = []
    for dimension in tensor_type.shape.dim:
        fixed = dimension.dim_value > 0
        shape.append(dimension.dim_value if fixed else dimension.dim_param or None)
    return shape


def without_invalid_lengths(value: ValueInfoProto) -> ValueInfoProto:
    """Return a declaration in which lengths that are not positive are left open."""
    cleared = ValueInfoProto()
    cleared.CopyFrom(value)
    for dimension in cleared.type.tensor_type.shape.dim:
        if dimension.HasField("dim_value") and dimension.dim_value <= 0:
            dimension.ClearField("dim_value")
    return cleared


def describe(value: ValueInfoProto) -> str:
    """Return shape and type of a value for messages, such as ``(N, 3, 32, 32) float``."""
    elem_type: str = TensorProto.DataType.Name(
        value.type.tensor_type.elem_type
    ).lower()
    shape = dimensions(value)
    if shape is None:
        return elem_type
    sides = ", ".join("?" if side is None else str(side) for side in shape)
    return f"({sides}) {elem_type}"


def _no_single_image(candidates: Sequence[ValueInfoProto], count: int) -> BadInput:
    """Return the error for inputs of which none, or several, take images."""
    listing = "; ".join(f"{value.name} {describe(value)}" for value in candidates)
    if count == 0:
        return BadInput(
            "no input takes images (N, C, H, W) or (N, H, W, C) with 3 channels (RGB) or 1 (grey) "
            f"of float, uint8, int8, int32 or int64; the inputs are: {listing}"
        )
    return BadInput(
        f"several inputs can take the images: {listing}; choose one (--input NAME) and give values "
        "for the others (--feed NAME=VALUE)"
    )


def _as_image(value: ValueInfoProto) -> ImageInput | None:
    """Return how a value takes RGB or grey images; None where type or shape rule that out.

    Three channels win over one, and channels in axis 1 over those in axis 3; a named or unknown
    dimension may be 3.
    """
    dtype = IMAGE_TYPES.get(int(value.type.tensor_type.elem_type))
    shape = dimensions(value) or UNKNOWN_SHAPE
    if dtype is None or len(shape) != 4:
        return None
    batch, second, third, fourth = shape
    channels_last = _has_channels_last(second, fourth)
    channels = fourth if channels_last else second
    declares_channels = isinstance(channels, int) and channels > 0
    if declares_channels and channels not in CHANNELS:
        return None
    size = (second, third) if channels_last else (third, fourth)
    return ImageInput(
        value.name,
        dtype,
        channels_last,
        batch,
        size,
        1 if channels == 1 else 3,
        declares_channels,
    )


def _has_channels_last(second: Dimension, fourth: Dimension) -> bool:
    for channels in CHANNELS:
        if channels in (second, fourth):
            return second != channels
    return False
