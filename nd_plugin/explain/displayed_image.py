"""Images for display, recovered from a model's preprocessed inputs, and inputs that are not so."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from nd_plugin.errors import BadInput
from nd_plugin.preprocess import Preprocess
from nd_plugin.report.explanation_record import Pixels
from nd_plugin.results.dissection import Dissection

CHANNELS = (1, 3, 4)  # of pictures
# Times the normalised range beyond its end: other normalisations, noise and adversarial images stay
# within, and pixels of 0 … 255 reach 50 times as far beyond ImageNet's range.
FAR_BEYOND = 2.0
FRACTION_NOISE = 0.1  # of pixels / 255: less beyond 0 … 1 is no normalisation
NOISE = 5.0  # grey levels that a pixel may lie beyond black or white, as after adding noise


def displayed_pixels(image: Tensor, preprocess: Preprocess) -> Pixels:
    """Undo the preprocessing of an image (channel, row, column); returns (row, column, channel).

    Values that this preprocessing cannot have produced are scaled from their minimum to their
    maximum.
    Raises BadInput for a tensor that is no image.
    """
    if image.dim() != 3:
        shape = tuple(image.shape)
        raise BadInput(
            f"cannot display an image of shape {shape}: expected (channel, row, column)"
        )
    image = image.detach().cpu()
    if _prepared_by(preprocess, image):
        return _rows_first(_coloured(preprocess.denormalise(image)))
    values = _coloured(image.float())
    value_range = (values.max() - values.min()).clamp_min(1e-12)
    grey_levels = (values - values.min()) / value_range * 255
    return _rows_first(grey_levels.round().byte())


def check_is_batch(images: Any) -> None:
    """Raise BadInput for a single image (channel, row, column) where a batch is expected."""
    if not isinstance(images, Tensor) or images.dim() != 3:
        return
    if len(images) in CHANNELS:
        raise BadInput(
            f"a tensor of shape {tuple(images.shape)} is one image: expected a batch "
            f"(image, channel, row, column), such as images[None]"
        )


def check_normalised(images: Any, preprocess: Preprocess) -> None:
    """Raise BadInput for images of pixels, such as 0 … 255, where normalised ones are expected."""
    description = describe_pixel_values(images, preprocess)
    if description:
        raise BadInput(
            f"{description}: pass files, PIL images or uint8 tensors, which are normalised for "
            f"you; or normalise them (Preprocess.normalise); or, if the model takes such values, "
            f"say so with preprocess=Preprocess(mean=(0, 0, 0), std=(1, 1, 1), scale=1)"
        )


def describe_pixel_values(images: Any, preprocess: Preprocess) -> str:
    """Describe a batch of images whose values are pixels instead of normalised; "" for others.

    Pixels have no negative values, and some far beyond what the preprocessing gives.
    """
    if not isinstance(images, Tensor) or images.dim() != 4 or not images.numel():
        return ""
    lowest, highest = _extremes(images)
    low, high = normalised_range(preprocess)
    if lowest < 0 or highest <= high + FAR_BEYOND * (high - low):
        return ""
    return (
        f"the images' values lie in {lowest:.4g} … {highest:.4g}, as pixels do, and normalised "
        f"images in {low:.3g} … {high:.3g} ({preprocess.source})"
    )


def notes_on_values(image: Tensor, preprocess: Preprocess) -> tuple[str, ...]:
    """Note values of an image (channel, row, column) that this preprocessing hardly gives."""
    if not image.numel():
        return ()
    lowest, highest = _extremes(image)
    low, high = normalised_range(preprocess)
    expected = f"{low:.3g} … {high:.3g} ({preprocess.source})"
    if len(image) == 3 and not _prepared_by(preprocess, image.detach().cpu()):
        return (
            f"the image's values lie in {lowest:.4g} … {highest:.4g}, and normalised images in "
            f"{expected}: it is shown stretched to black and white",
        )
    begins_below_zero = low < -FRACTION_NOISE and high > 1 + FRACTION_NOISE
    if begins_below_zero and 0 <= lowest < highest <= 1:
        return (
            f"the image's values lie in {lowest:.4g} … {highest:.4g}, as pixels / 255 do, and "
            f"normalised images in {expected}: check that it is normalised",
        )
    return ()


def normalised_range(preprocess: Preprocess) -> tuple[float, float]:
    """Return the lowest and highest value that pixels of 0 to 255 are normalised to."""
    ends = []
    for mean, std in zip(preprocess.mean, preprocess.std, strict=True):
        ends.append((0.0 - mean) / std)
        ends.append((255 * preprocess.scale - mean) / std)
    return min(ends), max(ends)


def _extremes(images: Tensor) -> tuple[float, float]:
    lowest, highest = images.detach().aminmax()
    return float(lowest), float(highest)


def _coloured(image: Tensor) -> Tensor:
    """Return three channels: those of an RGB image, else the first one three times."""
    return image if len(image) == 3 else image[:1].expand(3, -1, -1)


def _prepared_by(preprocess: Preprocess, image: Tensor) -> bool:
    if len(image) != preprocess.channels:
        return False
    values = preprocess.pixel_values(image)
    return bool(values.min() >= -NOISE and values.max() <= 255 + NOISE)


def _rows_first(image: Tensor) -> Pixels:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def preprocess_of(dissection: Dissection) -> Preprocess | None:
    """Return the preprocessing of a dissection's images; None if it is not recorded."""
    fields = Preprocess.__dataclass_fields__
    recorded = dissection.provenance.preprocess
    values = {name: value for name, value in recorded.items() if name in fields}
    if not values.keys() >= {"size", "mean", "std"}:
        return None
    return Preprocess(**values)
