"""Panoptic masks: PNG files whose colour is the number of a segment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin import read_mask

UNLISTED = (
    "segments of the panoptic mask that segments_info does not list: unlabelled"
)


def segment_numbers(path: Path, what: str) -> npt.NDArray[np.int32]:
    """Read the segment of each pixel, (row, column): red + 256 * green + 256² * blue; 0 for none.

    Raises ValueError for a file that cannot be read, or is not in colour.
    """
    mode, pixels = read_mask(path, what)
    if mode not in ("RGB", "RGBA"):
        raise ValueError(
            f"{what} is of mode {mode}; a panoptic mask is RGB, where the segment's id is "
            "red + 256 * green + 256² * blue"
        )
    colours = pixels[:, :, :3].astype(np.int32)
    factors = np.array([1, 256, 256**2], np.int32)
    numbers: npt.NDArray[np.int32] = colours @ factors
    return numbers


def segment_plane(
    numbers: npt.NDArray[np.int32], values: Mapping[int, int], dtype: Any
) -> tuple[npt.NDArray[np.integer[Any]], tuple[str, ...]]:
    """Return the plane (row, column) of a mask's segments, and remarks.

    ``values`` are the plane values of the segments that segments_info lists.
    """
    distinct, positions = np.unique(numbers, return_inverse=True)
    distinct_values = [values.get(number, 0) for number in distinct.tolist()]
    table = np.array(distinct_values, dtype)
    plane = table[positions].reshape(numbers.shape)
    is_unlisted = [
        number != 0 and number not in values for number in distinct.tolist()
    ]
    return plane, (UNLISTED,) if any(is_unlisted) else ()
