"""Plausibility of a layer's pictures: sizes that are drawn, and images that the layer has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.results.top_pictures import TopPictures

# of a mask or a map that is drawn, 16384 x 16384: masks are half the image, maps are smaller
MOST_PIXELS = 2**28
Integers = npt.NDArray[np.integer[Any]]


def check_sizes(pictures: TopPictures) -> None:
    """Check that masks and maps can be drawn. Raises ValueError."""
    maps = pictures.maps
    axes = (maps.geometry.rows, maps.geometry.columns)
    numbers = [
        number for axis in axes for number in (axis.size, axis.stride, axis.offset)
    ]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("geometry has a number that is not finite")
    if math.prod(maps.cells) > MOST_PIXELS:
        raise ValueError(f"cells are {maps.cells[0]}x{maps.cells[1]}")
    largest_side = int(pictures.mask_sizes.max(initial=1))
    is_large = largest_side > MOST_PIXELS
    if (
        is_large
        or int(pictures.mask_sizes.prod(axis=1).max(initial=1)) > MOST_PIXELS
    ):
        raise ValueError(f"mask_sizes has a side of {largest_side} pixels")
    if min(maps.image_size) < 1 or math.prod(maps.image_size) > MOST_PIXELS:
        raise ValueError(f"image_size is {maps.image_size}")
    if np.isnan(maps.values).any() or np.isposinf(maps.values).any():
        raise ValueError("values has a number that is not finite")


def check_images(pictures: TopPictures, top_images: Integers, images: int) -> None:
    """Check that pictures are of a layer's ``top_images`` (unit, rank). Raises ValueError."""
    units, ranks = pictures.top_images.shape
    if units != len(top_images) or ranks > top_images.shape[1]:
        raise ValueError(
            f"it is of {units} units with {ranks} top images, and the layer has "
            f"{len(top_images)} with {top_images.shape[1]}"
        )
    if not np.array_equal(pictures.top_images, top_images[:, :ranks]):
        raise ValueError("its top images are not those of the layer")
    if int(pictures.images.max(initial=0)) >= max(images, 1):
        raise ValueError(
            f"it has a picture of image {pictures.images.max()} of {images}"
        )
