"""Panoptic masks: PNG files whose colour is the number of a segment."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin import PictureSize, check_aspect, measure_picture, read_mask
from nd_plugin.reading import ValueTable

FACTORS = np.array([1, 256, 256**2], np.int32)  # of red, green and blue
UNLISTED = (
    "segments of the panoptic mask that segments_info does not list: unlabelled"
)


def segment_plane(
    path: Path,
    what: str,
    values: Mapping[int, int],
    image_size: PictureSize,
    concept_count: int,
) -> tuple[npt.NDArray[np.integer[Any]], tuple[str, ...]]:
    """Return the plane (row, column) of a mask's segments, and remarks.

    ``values`` are the plane values of the segments that segments_info lists. Raises ValueError,
    naming the mask as ``what``, for a file that cannot be read, is not in colour or has not the
    image's aspect; of such a size nothing is decoded.
    """
    _check_stored_size(path, what, image_size)
    mode, pixels = read_mask(path, what)
    if mode not in ("RGB", "RGBA"):
        raise ValueError(
            f"{what} is of mode {mode}; a panoptic mask is RGB, where the segment's id is "
            "red + 256 * green + 256² * blue"
        )
    table = ValueTable.of(values, concept_count)
    plane, unlabelled = table.plane(pixels, segment_numbers)
    unlisted = unlabelled.difference(values, (0,))
    return plane, (UNLISTED,) if unlisted else ()


def _check_stored_size(path: Path, what: str, image_size: PictureSize) -> None:
    """Check the aspect of a mask that is not decoded; one that cannot be opened passes."""
    mask_size = image_size.upright
    with suppress(Exception):  # reading the mask reports it
        mask_size = measure_picture(path).stored
    check_aspect(mask_size, image_size.upright, what, image_size.stored)


def segment_numbers(
    pixels: npt.NDArray[np.integer[Any]],
) -> npt.NDArray[np.integer[Any]]:
    """Return the segment of each pixel: red + 256 * green + 256² * blue; 0 for none."""
    colours = pixels[:, :, :3].astype(np.int32)
    numbers: npt.NDArray[np.int32] = colours @ FACTORS
    return numbers
