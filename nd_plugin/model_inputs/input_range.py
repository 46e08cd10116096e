"""Ranges of images, and which of them a normalisation makes sense for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nd_plugin.preprocess import DEFAULT_SCALE

TOLERANCE = 0.01  # relative, of factors that people write, such as 1/255 or 1/256
# from pixels to 0 … 1, or to 0 … 2 if 1 is subtracted then
PIXEL_FACTORS = (1 / 255, 1 / 256, 1 / 127.5, 1 / 128)
SMALLEST_STD = 0.02  # of pixels in 0 … 1 over a data set


@dataclass(frozen=True)
class InputRange:
    """Range of the images that a model takes, and the values of `Preprocess` that produce it."""

    name: str
    largest: float  # value of a white pixel
    scale: float
    mean: float = 0.0
    std: float = 1.0


PIXELS = InputRange("pixels 0 to 255", 255.0, 1.0)
UNIT = InputRange("values 0 to 1", 1.0, DEFAULT_SCALE)
SIGNED = InputRange("values -1 to 1", 1.0, DEFAULT_SCALE, 0.5, 0.5)


def find_range(
    statistics: Sequence[tuple[float, float]], *, of_dataset: bool
) -> InputRange | None:
    """Return the range of images that (mean, std) by channel belong to; None where none fits.

    ``of_dataset``: they were measured, as a BatchNorm does, and not chosen.
    """
    is_plausible = _is_dataset if of_dataset else _is_normalisation
    for input_range in (PIXELS, UNIT):
        if all(is_plausible(*pair, input_range) for pair in statistics):
            return input_range
    if not of_dataset and all(_maps_from_signed(*pair) for pair in statistics):
        return SIGNED
    return None


def is_pixel_factor(factor: float) -> bool:
    """Return whether a factor scales pixels 0 to 255 to 0 … 1, or to 0 … 2."""
    return _is_one_of(factor, PIXEL_FACTORS)


def _is_dataset(mean: float, std: float, input_range: InputRange) -> bool:
    """Return whether images of a range may have this mean and this standard deviation.

    Values in 0 … 1 with a mean m have a standard deviation of at most sqrt(m * (1 - m)).
    """
    mean /= input_range.largest
    std /= input_range.largest
    if not 0 < mean < 1:
        return False
    return SMALLEST_STD <= std <= 1.2 * math.sqrt(mean * (1 - mean))


def _is_normalisation(mean: float, std: float, input_range: InputRange) -> bool:
    """Return whether (x - mean) / std normalises, centres or scales images of a range."""
    if mean == 0.0:
        return _only_scales(std / input_range.largest, input_range)
    if _is_dataset(mean, std, input_range):
        return True
    # the mean is subtracted from values in 0 … 1 or 0 … 255, which are not divided
    is_centred = 0.1 <= mean / input_range.largest <= 0.9
    return is_centred and _is_one_of(std / input_range.largest, (1.0, 1 / 255))


def _only_scales(std: float, input_range: InputRange) -> bool:
    if input_range is PIXELS:
        return _is_one_of(1 / (255 * std), PIXEL_FACTORS)
    return _is_one_of(1 / std, (255.0, 256.0))


def _maps_from_signed(mean: float, std: float) -> bool:
    """Return whether values -1 to 1 are mapped to 0 … 1 or 0 … 255."""
    return _is_one_of(-mean, (1.0,)) and _is_one_of(1 / std, (0.5, 127.5, 128.0))


def _is_one_of(value: float, expected: Sequence[float]) -> bool:
    return any(
        math.isclose(value, number, rel_tol=TOLERANCE) for number in expected
    )
