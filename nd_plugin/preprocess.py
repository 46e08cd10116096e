"""Preprocessing of images: resized as a whole and not cropped, so that masks stay aligned."""

import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
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
# ImageNet's, averaged over the channels
GREY_MEAN = (0.449,)
GREY_STD = (0.226,)
DEFAULT_SCALE = 1 / 255
STATISTICS = {"mean", "std"}
# of red, green and blue in Pillow's mode L, in 2^-16
LUMA_WEIGHTS = (19595, 38470, 7471)
MOST_DIGITS = 9  # of a size in pixels
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing of images: resizing, then ``(pixel * scale - mean) / std`` per channel.

    ``mean`` and ``std`` have three values each, or one for a model of grey images: these are
    converted with the weights of Pillow's mode L (ITU-R 601-2). ``source`` says where the values
    come from; it is part of the result.
    """

    size: Size = (224, 224)  # height, width
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    scale: float = DEFAULT_SCALE
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
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean):
            raise BadInput(
                f"mean {self.mean!r} and std {self.std!r} need three values each, one per channel, "
                "or one each for a model of grey images"
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
                "size has to be (height, width), mean and std three numbers each (one for grey "
                f"images), scale a number: {error}"
            ) from error
        for name, value in (
            ("size", size),
            ("mean", mean),
            ("std", std),
            ("scale", scale),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def imagenet(
        cls, reason: str, size: Size = (224, 224), channels: int = 3
    ) -> "Preprocess":
        """Assume ImageNet's mean and standard deviation, for grey images averaged over channels.

        ``reason`` says why they are assumed, such as "the file names none".
        """
        if channels == 1:
            source = f"ImageNet's, averaged over the channels ({reason})"
            return cls(size, GREY_MEAN, GREY_STD, source=source, assumed=True)
        return cls(size, source=f"ImageNet's ({reason})", assumed=True)

    @property
    def channels(self) -> int:
        """Number of channels of the model's images: 3 (colour) or 1 (grey)."""
        return len(self.mean)

    @property
    def notes(self) -> tuple[str, ...]:
        """Warning that the preprocessing was assumed, for results; empty where it was not."""
        if not self.assumed:
            return ()
        return (
            f"the preprocessing is assumed: {self.source}; if the model was trained with another, "
            "give its mean, std and scale (--mean, --std, --scale; preprocess= in Python)",
        )

    def changed(self, values: Mapping[str, Any]) -> "Preprocess":
        """Replace some values and record this in ``source``; return the same object for none.

        A single mean or std stands for all channels. Assumed values stay assumed until both mean
        and std are given. Raises BadInput for another number of channels than the model's, and for
        mean and std without a scale where the model's own scale is not 1/255.
        """
        if not values:
            return self
        new_values = dict(values)
        for name in values.keys() & STATISTICS:
            new_values[name] = self._for_channels(name, values[name])
        has_statistics = values.keys() >= STATISTICS
        if has_statistics and "scale" not in values:
            self._check_scale()
        source = f"given: {', '.join(values)}"
        if not (has_statistics and self.assumed):
            source = f"{self.source}; {source}"
        return replace(
            self,
            **new_values,
            source=source,
            assumed=self.assumed and not has_statistics,
        )

    def _for_channels(self, name: str, value: Any) -> tuple[Any, ...]:
        numbers = tuple(value) if isinstance(value, Iterable) else (value,)
        if len(numbers) == 1:
            return numbers * self.channels
        if len(numbers) != self.channels:
            raise BadInput(
                f"{name} {numbers!r} has {len(numbers)} values, but the model takes images of "
                f"{self.channels} {'channel' if self.channels == 1 else 'channels'}"
            )
        return numbers

    def _check_scale(self) -> None:
        if self.scale != DEFAULT_SCALE:
            raise BadInput(
                f"mean and std are given without a scale, and the model's own scale is "
                f"{self.scale:g} ({self.source}): give scale 1 with them if they count in pixel "
                f"values 0 to 255, or {DEFAULT_SCALE:.9g} (1/255) if they count from 0 to 1"
            )

    def resize(self, image: Image.Image) -> Tensor:
        """Convert an image to the model's pixels, not yet normalised: uint8 (channel, row, column).

        The image may be of any kind that Pillow decodes: it is turned upright as its EXIF
        orientation says, transparent pixels are composited on white, and grey values of wider types
        are scaled to 0 … 255. Raises ValueError for values that fit no range.
        """
        picture = convert_picture(image).rgb
        if self.channels == 1:
            picture = picture.convert("L")
        height, width = self.size
        if picture.size != (width, height):
            picture = picture.resize(
                (width, height), INTERPOLATIONS[self.interpolation]
            )
        pixels = np.array(picture, dtype=np.uint8)
        if self.channels == 1:
            return torch.from_numpy(pixels)[None]
        if self.channel_order == "bgr":
            pixels = pixels[:, :, ::-1].copy()
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Normalise uint8 (image, channel, row, column) to float32, contiguous, on its device."""
        mean, std = self._channel_statistics(pixels.device)
        batch = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device)
        return batch.copy_(pixels).mul_(self.scale).sub_(mean).div_(std)

    def denormalise(self, image: Tensor) -> Tensor:
        """Return a normalised image (…, channel, row, column) as uint8, clipped to 0 … 255.

        Colours are in the order red, green, blue.
        """
        pixels = self.pixel_values(image).round().clamp(0, 255).to(torch.uint8)
        return self._reordered(pixels)

    def _reordered(self, pixels: Tensor) -> Tensor:
        """Change (…, channel, row, column) from RGB to the model's channel order, and back."""
        is_reversed = self.channel_order == "bgr" and self.channels == 3
        return pixels.flip(-3) if is_reversed else pixels

    def pixel_values(self, image: Tensor) -> Tensor:
        """Return the pixels of an image before rounding: 0 to 255 if it was normalised this way."""
        mean, std = self._channel_statistics(image.device)
        return (image.detach().float() * std + mean) / self.scale

    def _channel_statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return mean and std, float32 (channel, 1, 1)."""
        return _channel_values(self.mean, device), _channel_values(self.std, device)

    def renormalised(self, images: Tensor, original: "Preprocess") -> Tensor:
        """Normalise images that ``original`` has normalised, of the same size."""
        plain_self = replace(self, size=original.size, source="", assumed=False)
        if plain_self == replace(original, source="", assumed=False):
            return images
        pixels = original.denormalise(images)
        if self.channels > original.channels:
            pixels = pixels.expand(-1, self.channels, -1, -1)
        elif self.channels < original.channels:
            pixels = _luma(pixels)
        return self.normalise(self._reordered(pixels))

    def describe(self) -> dict[str, Any]:
        """Return the values as plain types, for run.json."""
        return asdict(self)


@lru_cache(maxsize=64)
def _channel_values(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return a value of each channel, float32 (channel, 1, 1).

    It is made once: a copy to a GPU waits for all that the GPU has to do.
    """
    with torch.inference_mode(False):
        channels = torch.tensor(values, dtype=torch.float32, device=device)
    return channels.view(-1, 1, 1)


def _luma(pixels: Tensor) -> Tensor:
    """Convert uint8 RGB (image, 3, row, column) to grey (image, 1, row, column), as Pillow does."""
    weights = torch.tensor(LUMA_WEIGHTS, device=pixels.device).view(-1, 1, 1)
    weighted_sum = (pixels.int() * weights).sum(1, keepdim=True, dtype=torch.int32)
    return ((weighted_sum + 2**15) >> 16).to(torch.uint8)


def parse_size(text: str, what: str, forms: str = "N or HxW") -> Size:
    """Parse ``"224"`` or ``"224x192"`` (height x width); ``what`` and ``forms`` are for errors."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(map(_is_side, sides)):
        raise BadInput(f"{what} {text!r} is not {forms} in pixels")
    return int(sides[0]), int(sides[-1])


def _is_side(text: str) -> bool:
    """Return whether a text is a number of pixels, from 1; Python reads no number of any length."""
    return text.isdecimal() and len(text) <= MOST_DIGITS and int(text) > 0
