"""Integers as a picture file stores them, where Pillow scales, inverts or rounds some kinds.

Pillow decodes grey values of 2 and 4 bits to 0 … 255, inverts them where a file says that white is
zero, and drops the lower half of 16 bit colours. Of a mask the stored integers are wanted: they
are computed back where nothing is lost, and the mask is refused where something is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

# Pillow's raw modes whose values are decoded as they are stored
EXACT_RAW_MODES = frozenset(
    "1 1;R L L;R LA LX P P;1 P;2 P;4 P;R P;1R P;2R P;4R PX PA "
    "I;12 I;16 I;16B I;16L I;16N I;16R I;16S I;16BS I;32 I;32B I;32N I;32S I;32BS "
    "RGB RGB;R RGBX RGBXX RGBXXX RGBA RGBAX RGBAXX R G B A X "
    "BGR BGRX BGXR XBGR BGRA ABGR BGAR CMYK CMYKX CMYKXX La YCbCr LAB".split()
)
# what the stored integer is multiplied by
STEPS = {
    "L;2": 85,
    "L;2R": 85,
    "L;2I": 85,
    "L;2IR": 85,
    "L;4": 17,
    "L;4R": 17,
    "L;4I": 17,
    "L;4IR": 17,
}
# of files that say that white is zero
INVERTED = ("1;I", "1;IR", "L;I", "L;IR", "L;2I", "L;2IR", "L;4I", "L;4IR")
UNSIGNED_32 = "I;32N"
SAMPLE_FORMAT = 339  # tag of TIFF
SIGNED = 2
PIXELS_AT_ONCE = 2**20

Integers = npt.NDArray[np.integer[Any]]


def raw_mode(image: Image.Image, tiles: Sequence[Any]) -> str:
    """Return how an opened picture is stored, in Pillow's words.

    ``tiles`` are those that it had before it was decoded. Raises ValueError for a kind whose
    stored integers cannot be found out.
    """
    raw_modes = {_raw_mode_of_tile(tile) for tile in tiles}
    inexact = sorted(raw_modes - EXACT_RAW_MODES - STEPS.keys() - set(INVERTED))
    is_grey_bmp = image.format == "BMP" and image.mode in ("1", "L")
    is_scaled_ppm = image.format == "PPM" and _decoder(tiles) != "raw"
    if inexact or is_grey_bmp or is_scaled_ppm:
        kind = f" ({', '.join(inexact)})" if inexact else ""
        raise ValueError(
            f"of mode {image.mode}{kind} in a {image.format} file, whose values are not read as "
            "the integers that are stored; export it as PNG, of 8 bits a channel or 16 bit grey"
        )
    return min(raw_modes, default="")


def _decoder(tiles: Sequence[Any]) -> str:
    return str(tiles[0][0]) if tiles else ""


def _raw_mode_of_tile(tile: Any) -> str:
    """Return the raw mode of a tile: the first of its decoder's arguments.

    GIF's decoder takes none, and returns indices as they are stored.
    """
    arguments = tile[3]
    first = arguments if isinstance(arguments, str) else (arguments or ("",))[0]
    if tile[0] == "gif":
        return "P"
    return str(first)


def stored_integers(image: Image.Image, raw: str) -> Integers:
    """Decode an opened picture to its stored integers, (row, column) or (row, column, channel).

    ``raw`` is its `raw_mode`. Values have the smallest type that the kind of file allows.
    """
    image.load()
    return pixel_array(image, partial(_as_stored, image=image, raw=raw))


def pixel_array(
    image: Image.Image, convert: Callable[[Integers], Integers] | None = None
) -> npt.NDArray[Any]:
    """Return a picture's pixels, strip by strip converted by ``convert``, in native byte order.

    Beside the picture and the result, memory is taken for a strip of rows only: `numpy.asarray`
    takes as much as the picture once more.
    """
    pixels: npt.NDArray[Any] | None = None
    for strip, strip_values in pixel_strips(image):
        values = strip_values if convert is None else convert(strip_values)
        if len(values) == image.height:
            return values
        if pixels is None:
            pixels = np.empty((image.height, *values.shape[1:]), values.dtype)
        pixels[strip] = values
    assert pixels is not None
    return pixels


def pixel_strips(
    image: Image.Image,
) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
    """Yield the rows of each strip of a picture and their pixels, in native byte order."""
    strips = strips_of((image.height, image.width))
    for strip in strips:
        box = (0, strip.start, image.width, strip.stop)
        values = np.asarray(image if len(strips) == 1 else image.crop(box))
        if values.dtype.byteorder == ">":
            values = values.astype(values.dtype.newbyteorder("="))
        yield strip, values


def _as_stored(values: Integers, image: Image.Image, raw: str) -> Integers:
    """Return the stored integers of decoded values of some rows."""
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    if raw in INVERTED:
        white = 1 if image.mode == "1" else 255
        values = np.uint8(white) - values
    if raw in STEPS:
        values = values // np.uint8(STEPS[raw])
    if raw == UNSIGNED_32:
        values = values.view(np.uint32)
    if image.mode == "L" and _is_signed(image):
        values = values.view(np.int8)
    return values


def _is_signed(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    sample_format = tags.get(SAMPLE_FORMAT, 1)
    return sample_format in (SIGNED, (SIGNED,))


def strips_of(size: tuple[int, int]) -> list[slice]:
    """Return the rows of a picture (rows, columns) in strips of a million pixels, or one by one."""
    rows, columns = size
    height = max(PIXELS_AT_ONCE // max(columns, 1), 1)
    starts = range(0, max(rows, 1), height)
    return [slice(start, min(start + height, rows)) for start in starts]
