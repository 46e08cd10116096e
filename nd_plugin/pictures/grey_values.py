"""Grey values in types wider than 8 bits, and the range that they are scaled from.

A file of 16 bit, 32 bit or floating-point values does not say which of them is white. The rule:

- integers are of the smallest of 8, 10, 12, 14 and 16 bits that holds the largest value;
- floating-point values lie in 0 … 1 if the largest is at most 1.1 (interpolation overshoots), else
  in the smallest range of these bits, with the same tolerance;
- the largest value is that of the probe data set where the picture is one of a set (a sample, see
  `probe_data.grey_sample`), so that a dark picture stays dark, else that of the picture;
- what fits no range is refused: negative values, NaN, integers beyond 16 bits, and floating-point
  values that end between 1.1 and 16, too dark for 0 … 255 and too bright for 0 … 1.

A format that says the range (12 bit TIFF, PGM) is believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.pictures.stored_integers import pixel_strips

BIT_DEPTHS = (8, 10, 12, 14, 16)
LARGEST_OF_16_BITS = 65535
OVERSHOOT = 1.1  # of floating-point values beyond their range, by interpolation
DARKEST_FLOAT = 16  # largest value of a picture in 0 … 255 that is not nearly black
WHITES = "grey_whites"  # key of a run's `Provenance.extra`: white by kind of values
INTEGERS_16 = "16 bit grey"
INTEGERS_32 = "32 bit grey"
FLOATS = "floating-point grey"
TIFF_BITS_PER_SAMPLE = 258

GreyValues = npt.NDArray[Any]


@dataclass(frozen=True)
class WideGrey:
    """Grey picture in a type wider than 8 bits."""

    image: Image.Image
    kind: str  # INTEGERS_16, INTEGERS_32 or FLOATS
    known_white: int | None  # value of white, where the format says it
    # least and largest value, NaN if one value is; 0 of an empty picture
    smallest: float
    largest: float

    @classmethod
    def of(cls, image: Image.Image, kind: str, known_white: int | None) -> WideGrey:
        """Return a decoded picture with its extremes."""
        smallest, largest = _extremes(image)
        return cls(image, kind, known_white, smallest, largest)


def _extremes(image: Image.Image) -> tuple[float, float]:
    """Return the least and the largest value of a picture, and 0; NaN passes through both."""
    smallest = np.float64(0)
    largest = np.float64(0)
    for _, values in pixel_strips(image):
        smallest = np.minimum(smallest, values.min(initial=0))
        largest = np.maximum(largest, values.max(initial=0))
    return float(smallest), float(largest)


@dataclass(frozen=True)
class GreyRange:
    """Range of grey values, from black at 0 to ``white``."""

    white: int
    remark: str = ""  # "" unless the range is a guess

    def to_8_bits(self, values: GreyValues) -> npt.NDArray[np.uint8]:
        """Scale values to 0 … 255: integers by dropping their lower bits, others by rounding."""
        if values.dtype.kind == "f":
            scaled = np.rint(values.astype(np.float64) * (255 / self.white))
        else:
            scaled = values.astype(np.int64) >> (self.white.bit_length() - 8)
        return scaled.clip(0, 255).astype(np.uint8)


# Return the range of a picture's values. Raises ValueError for values that fit none.
RangeChooser = Callable[[WideGrey], GreyRange]


def wide_grey(image: Image.Image) -> WideGrey | None:
    """Return the values of a grey picture that is wider than 8 bits; None for other pictures."""
    if image.mode == "F":
        return WideGrey.of(image, FLOATS, None)
    if not image.mode.startswith("I"):
        return None
    # older Pillow opens 16 bit PNG files as 32 bit integers
    is_16_bit = image.mode != "I" or image.format in ("PNG", "PPM")
    kind = INTEGERS_16 if is_16_bit else INTEGERS_32
    return WideGrey.of(image, kind, _known_white(image))


def _known_white(image: Image.Image) -> int | None:
    if image.format == "PPM":
        return LARGEST_OF_16_BITS  # Pillow has scaled the file's maximum to this
    if getattr(image, "tag_v2", {}).get(TIFF_BITS_PER_SAMPLE) in (12, (12,)):
        return 2**12 - 1
    return None


def range_of_run(whites: Mapping[str, int]) -> RangeChooser:
    """Return a function that chooses the range that a run has used, as far as it holds a picture.

    ``whites`` are the values of white of the run, by kind of values.
    """

    def choose(grey: WideGrey) -> GreyRange:
        white_of_run = whites.get(grey.kind, 0)
        if grey.largest > white_of_run:
            return range_of_picture(grey)
        return choose_range(grey, white_of_run, "the images of the dissection")

    return choose


def range_of_picture(grey: WideGrey) -> GreyRange:
    """Choose the range of a picture that stands alone, by its largest value."""
    return choose_range(grey, grey.largest, "the picture's largest value")


def choose_range(grey: WideGrey, largest: float, evidence: str) -> GreyRange:
    """Choose the range that holds ``largest``; ``evidence`` says in a remark where that is from.

    Raises ValueError for values that fit no range.
    """
    if not math.isfinite(grey.smallest) or not math.isfinite(grey.largest):
        raise ValueError(f"{grey.kind} values are NaN or infinite; replace them")
    white = grey.known_white or smallest_range(grey.kind, largest)
    _check_not_negative(grey, white)
    is_known = grey.known_white is not None
    fills_type = grey.kind == INTEGERS_16 and white == LARGEST_OF_16_BITS
    if is_known or fills_type:
        return GreyRange(white)
    return GreyRange(white, guess_remark(grey.kind, white, evidence))


def guess_remark(kind: str, white: int, evidence: str) -> str:
    """Return the remark on a range that was guessed."""
    return f"{kind} values scaled from 0 … {white}, a guess by {evidence}"


def smallest_range(kind: str, largest: float) -> int:
    """Return white of the smallest range that holds ``largest``. Raises ValueError for none."""
    tolerance = OVERSHOOT if kind == FLOATS else 1
    if kind == FLOATS and largest <= tolerance:
        return 1
    if kind == FLOATS and largest < DARKEST_FLOAT:
        raise ValueError(
            f"{kind} values up to {largest:g} are neither in 0 … 1 nor in 0 … 255; scale them"
        )
    for bits in BIT_DEPTHS:
        white: int = 2**bits - 1
        if largest <= white * tolerance:
            return white
    raise ValueError(
        f"{kind} values up to {largest:g} are beyond 16 bits; scale them to 0 … 65535"
    )


def _check_not_negative(grey: WideGrey, white: int) -> None:
    undershoot = (OVERSHOOT - 1) * white if grey.kind == FLOATS else 0
    if grey.smallest < -undershoot:
        raise ValueError(
            f"{grey.kind} values down to {grey.smallest:g} are negative; shift and scale them to "
            "0 … 1, 0 … 255 or 0 … 65535"
        )
