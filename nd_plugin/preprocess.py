"""From an image to a model's input: the whole image, resized and not cropped, so that masks stay aligned."""

import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nd_plugin.errors import BadInput
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
    """How images are brought to a model: ``(pixel * scale - mean) / std`` per channel, after resizing.

    ``source`` says where these values come from; it is part of the result.
    """

    size: Size = (224, 224)  # height, width
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    scale: float = 1 / 255
    channel_order: str = "rgb"
    interpolation: str = "bilinear"
    source: str = "given"
    assumed: bool = False  # the model itself says nothing of it

    def __post_init__(self) -> None:
        """Plain numbers, whatever kind was given; what cannot be meant is refused."""
        try:
            object.__setattr__(self, "size", tuple(operator.index(side) for side in self.size))
            object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
            object.__setattr__(self, "std", tuple(float(value) for value in self.std))
            object.__setattr__(self, "scale", float(self.scale))
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"size, mean, std or scale is no (height, width), no three numbers, no number: {error}"
            ) from error
        if self.interpolation not in INTERPOLATIONS:
            raise BadInput(
                f"interpolation {self.interpolation!r} is none of {', '.join(INTERPOLATIONS)}"
            )
        if self.channel_order not in ("rgb", "bgr"):
            raise BadInput(f"channel order {self.channel_order!r} is neither 'rgb' nor 'bgr'")
        if len(self.size) != 2 or min(self.size) < 1:
            raise BadInput(f"input size {self.size!r} is not (height, width) in pixels")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise BadInput(
                f"mean {self.mean!r} and std {self.std!r} need three values each, one per channel"
            )
        if min(self.std) <= 0:
            raise BadInput(f"std {self.std!r} has a value that is not positive")

    def changed(self, values: Mapping[str, Any]) -> "Preprocess":
        """Some values replaced, and said so in ``source``; the same object where there are none."""
        if not values:
            return self
        return replace(
            self, **values, source=f"{self.source}; given: {', '.join(values)}", assumed=False
        )

    def resize(self, image: Image.Image) -> Tensor:
        """The image as the model's pixels before normalisation: uint8 (3, row, column)."""
        rgb = _rgb(image)
        height, width = self.size
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), INTERPOLATIONS[self.interpolation])
        pixels = np.array(rgb, dtype=np.uint8)
        return torch.from_numpy(
            pixels if self.channel_order == "rgb" else pixels[:, :, ::-1].copy()
        ).permute(2, 0, 1)

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 (image, 3, row, column) to the model's float32 input, contiguous, on the same device."""
        mean, std = (
            pixels.new_tensor(v, dtype=torch.float32).view(-1, 1, 1) for v in (self.mean, self.std)
        )
        batch = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device)
        return batch.copy_(pixels).mul_(self.scale).sub_(mean).div_(std)

    def denormalise(self, image: Tensor) -> Tensor:
        """What `normalise` was given, from (…, 3, row, column): uint8, RGB; values beyond are clipped."""
        pixels = self.pixel_values(image).round().clamp(0, 255).to(torch.uint8)
        return pixels if self.channel_order == "rgb" else pixels.flip(-3)

    def pixel_values(self, image: Tensor) -> Tensor:
        """Before rounding: 0 to 255 for an image that was prepared this way."""
        mean, std = (
            torch.tensor(v, dtype=torch.float32, device=image.device).view(-1, 1, 1)
            for v in (self.mean, self.std)
        )
        return (image.detach().float() * std + mean) / self.scale

    def renormalised(self, images: Tensor, before: "Preprocess") -> Tensor:
        """Images that ``before`` normalised, normalised as this one does; of the same size."""
        if replace(self, size=before.size, source="", assumed=False) == replace(
            before, source="", assumed=False
        ):
            return images
        rgb = before.denormalise(images)
        return self.normalise(rgb if self.channel_order == "rgb" else rgb.flip(-3))

    def describe(self) -> dict[str, Any]:
        """As plain values, for run.json."""
        return asdict(self)


def _rgb(image: Image.Image) -> Image.Image:
    """Any image as RGB; 16 bit grey is scaled, which Pillow would clip, and transparency is dropped."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # straight to RGB, Pillow warns
    return image if image.mode == "RGB" else image.convert("RGB")


def parse_size(text: str, what: str, forms: str = "N or HxW") -> Size:
    """``"224"`` or ``"224x192"`` (height x width)."""
    parts = text.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadInput(f"{what} {text!r} is not {forms} in pixels")
    return int(parts[0]), int(parts[-1])
