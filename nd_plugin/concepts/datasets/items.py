"""Items of data sets, (image, mask), as a picture and label numbers.

Images: a PIL image, or ``uint8`` from 0 to 255 or floats from 0 to 1: tensors (channel, row,
column), NumPy arrays (row, column), (row, column, channel) or (channel, row, column); of 1, 3 or 4
channels. Masks: integers (row, column), also as (1, row, column) or a PIL image of one index per
pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Integers = npt.NDArray[np.integer[Any]]

CHANNELS = (1, 3, 4)  # grey, RGB, RGB with transparency
INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
PAIR = "items are pairs (image, mask)"
UNNORMALISED = (
    "give images before they are normalised, as uint8 or as floats from 0 to 1"
)


def split_item(item: Any, what: str) -> tuple[Any, Any]:
    """Return the image and the mask of an item. Raises ValueError for anything but a pair."""
    if isinstance(item, dict):
        keys = ", ".join(map(repr, item))
        raise ValueError(
            f"{what} is a dictionary with {keys}; {PAIR}: wrap the data set in one that returns "
            "item['image'], item['mask']"
        )
    if not isinstance(item, tuple | list):
        raise ValueError(f"{what} is a {type(item).__name__}; {PAIR}")
    if len(item) != 2:
        raise ValueError(f"{what} has {len(item)} parts; {PAIR}")
    return item[0], item[1]


def picture_of(image: Any, what: str) -> Image.Image:
    """Return an image of a data set as a picture. Raises ValueError, naming it as ``what``."""
    if isinstance(image, Image.Image):
        return image
    array = _array(image, what)
    pixels = _channels_last(
        array, what, is_tensor=not isinstance(image, np.ndarray)
    )
    return Image.fromarray(_bytes(pixels, what))


def label_numbers(mask: Any, what: str) -> Integers:
    """Return a mask of a data set (row, column). Raises ValueError, naming it as ``what``."""
    if isinstance(mask, Image.Image) and mask.mode not in INDEX_MODES:
        raise ValueError(
            f"{what} is a picture of mode {mask.mode}; a mask has one index per pixel"
        )
    array = (
        np.asarray(mask) if isinstance(mask, Image.Image) else _array(mask, what)
    )
    if array.dtype.kind not in "iub":
        raise ValueError(
            f"{what} is of type {array.dtype}; label numbers are integers (torchvision's ToTensor "
            "divides them by 255: use PILToTensor for masks)"
        )
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise ValueError(
            f"{what} is of shape {array.shape}; a mask is (row, column), one label number per pixel"
        )
    # uint64 has no signed type that takes all of it, and no labels beyond
    return array.astype(np.int64) if array.dtype.kind == "b" else array


def _array(value: Any, what: str) -> npt.NDArray[Any]:
    """Return a tensor or an array as an array. Raises ValueError for anything else."""
    if isinstance(value, np.ndarray):
        return value
    # not isinstance of Tensor: torch would be imported for it
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        try:
            return np.asarray(value.detach().cpu().numpy())
        except (TypeError, RuntimeError) as error:
            raise ValueError(f"{what} is no plain tensor: {error}") from error
    raise ValueError(
        f"{what} is a {type(value).__name__}; it may be a PIL image, a NumPy array or a tensor"
    )


def _channels_last(
    array: npt.NDArray[Any], what: str, *, is_tensor: bool
) -> npt.NDArray[Any]:
    """Return pixels (row, column, channel). Raises ValueError for another shape."""
    if array.ndim == 2 and not is_tensor:
        return array[:, :, None]
    if array.ndim == 3 and not is_tensor and array.shape[2] in CHANNELS:
        return array
    if array.ndim == 3 and array.shape[0] in CHANNELS:
        return np.moveaxis(array, 0, 2)
    expected = "(channel, row, column)"
    if not is_tensor:
        expected = f"(row, column), (row, column, channel) or {expected}"
    raise ValueError(
        f"{what} is of shape {array.shape}; expected {expected} with 1, 3 or 4 channels"
    )


def _bytes(pixels: npt.NDArray[Any], what: str) -> npt.NDArray[np.uint8]:
    """Return pixels as bytes, grey ones without the axis of channels. Raises ValueError."""
    if pixels.dtype.kind == "f":
        pixels = _from_unit_range(pixels, what)
    if pixels.dtype != np.uint8:
        raise ValueError(f"{what} is of type {pixels.dtype}; {UNNORMALISED}")
    if pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return np.ascontiguousarray(pixels)


def _from_unit_range(pixels: npt.NDArray[Any], what: str) -> npt.NDArray[np.uint8]:
    values = pixels.astype(np.float64)
    smallest = float(values.min(initial=0))
    largest = float(values.max(initial=0))
    # false for NaN, too
    if not (smallest >= 0 and largest <= 1):
        raise ValueError(
            f"{what} has values from {smallest:g} to {largest:g}; {UNNORMALISED}"
        )
    return np.rint(values * 255).astype(np.uint8)
