"""Preprocessing of images: resized as a whole and not cropped, so that masks stay aligned."""

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nd_plugin.errors import BadInput
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.receptive_fields.geometry import Size

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing of images: resizing, then ``(pixel * scale - mean) / std`` per channel.

    ``source`` says where these values come from; it is part of the result.
    """

    size: Size = (224, 224)  # height, width
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    scale: float = 1 / 255
    channel_order: str = "rgb"
    interpolation: str = "bilinear"
    source: str = "given"
    assumed: bool = False  # True: the model's own metadata do not say

    def __post_init__(self) -> None:
        """Convert to plain Python numbers, and check the values."""
        self._convert()
        if self.interpolation not in INTERPOLATIONS:
            raise BadInput(
                f"interpolation {self.interpolation!r} is none of {', '.join(INTERPOLATIONS)}"
            )
        if self.channel_order not in ("rgb", "bgr"):
            raise BadInput(
                f"channel order {self.channel_order!r} is neither 'rgb' nor 'bgr'"
            )
        if len(self.size) != 2 or min(self.size) < 1:
            raise BadInput(
                f"input size {self.size!r} is not (height, width) in pixels"
            )
        if len(self.mean) != 3 or len(self.std) != 3:
            raise BadInput(
                f"mean {self.mean!r} and std {self.std!r} need three values each, one per channel"
            )
        if min(self.std) <= 0:
            raise BadInput(f"std {self.std!r} has a value that is not positive")

    def _convert(self) -> None:
        try:
            size = tuple(operator.index(side) for side in self.size)
            mean = tuple(float(value) for value in self.mean)
            std = tuple(float(value) for value in self.std)
            scale = float(self.scale)
        except (TypeError, ValueError) as error:
            raise BadInput(
                "size has to be (height, width), mean and std three numbers each, "
                f"scale a number: {error}"
            ) from error
        for name, value in (
            ("size", size),
            ("mean", mean),
            ("std", std),
            ("scale", scale),
        ):
            object.__setattr__(self, name, value)

    def changed(self, values: Mapping[str, Any]) -> "Preprocess":
        """Replace some values and record this in ``source``; return the same object for none."""
        if not values:
            return self
        source = f"{self.source}; given: {', '.join(values)}"
        return replace(self, **values, source=source, assumed=False)

    def resize(self, image: Image.Image) -> Tensor:
        """Convert an image to the model's pixels before normalisation: uint8 (3, row, column).

        The image may be of any kind that Pillow decodes: it is turned upright as its EXIF
        orientation says, transparent pixels are composited on white, and grey values of wider types
        are scaled as `pictures.grey_values` says. Raises ValueError for values that fit no range.
        """
        rgb = convert_picture(image).rgb
        height, width = self.size
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), INTERPOLATIONS[self.interpolation])
        pixels = np.array(rgb, dtype=np.uint8)
        if self.channel_order == "bgr":
            pixels = pixels[:, :, ::-1].copy()
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Normalise uint8 (image, 3, row, column) to float32, contiguous, on the same device."""
        mean, std = self._channel_statistics(pixels.device)
        batch = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device)
        return batch.copy_(pixels).mul_(self.scale).sub_(mean).div_(std)

    def denormalise(self, image: Tensor) -> Tensor:
        """Return a normalised image (…, 3, row, column) as uint8 RGB, clipped to 0 … 255."""
        pixels = self.pixel_values(image).round().clamp(0, 255).to(torch.uint8)
        return pixels if self.channel_order == "rgb" else pixels.flip(-3)

    def pixel_values(self, image: Tensor) -> Tensor:
        """Return the pixels of an image before rounding: 0 to 255 if it was normalised this way."""
        mean, std = self._channel_statistics(image.device)
        return (image.detach().float() * std + mean) / self.scale

    def _channel_statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return mean and std, float32 (3, 1, 1)."""
        mean = torch.tensor(self.mean, dtype=torch.float32, device=device)
        std = torch.tensor(self.std, dtype=torch.float32, device=device)
        return mean.view(-1, 1, 1), std.view(-1, 1, 1)

    def renormalised(self, images: Tensor, original: "Preprocess") -> Tensor:
        """Normalise images that ``original`` has normalised, of the same size."""
        plain_self = replace(self, size=original.size, source="", assumed=False)
        if plain_self == replace(original, source="", assumed=False):
            return images
        rgb = original.denormalise(images)
        return self.normalise(rgb if self.channel_order == "rgb" else rgb.flip(-3))

    def describe(self) -> dict[str, Any]:
        """Return the values as plain types, for run.json."""
        return asdict(self)


def parse_size(text: str, what: str, forms: str = "N or HxW") -> Size:
    """Parse ``"224"`` or ``"224x192"`` (height x width); ``what`` and ``forms`` are for errors."""
    sides = text.lower().split("x")
    is_valid = all(side.isdecimal() and int(side) > 0 for side in sides)
    if len(sides) > 2 or not is_valid:
        raise BadInput(f"{what} {text!r} is not {forms} in pixels")
    return int(sides[0]), int(sides[-1])
