"""Resizing of images and masks: uncropped, so that both keep covering the same.

Images as Broden's were: bilinear, antialiased. Masks by nearest neighbours: target pixel j takes
source pixel floor((j + 0.5)·in/out).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.method.annotations import nearest_indices
from nd_plugin.pictures.stored_integers import strips_of
from nd_plugin.receptive_fields.geometry import Size

Values = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.integer[Any]]


def resize_picture(rgb: Image.Image, size: Size) -> Image.Image:
    """Resize an RGB picture to rows and columns, whatever its own aspect."""
    rows, columns = size
    if (rgb.height, rgb.width) == size:
        return rgb
    return rgb.resize((columns, rows), Image.Resampling.BILINEAR)


def nearest_pixels(pixels: Pixels, size: Size) -> Pixels:
    """Return the nearest pixels, (row, column) or (row, column, channel), of a smaller size."""
    rows = nearest_indices(pixels.shape[0], size[0])
    columns = nearest_indices(pixels.shape[1], size[1])
    return pixels[rows[:, None], columns[None, :]]


def present_values(plane: Pixels) -> Values:
    """Return the distinct values of a plane, ascending; none of them is negative."""
    occurs = np.zeros(int(plane.max()) + 1, np.bool_)
    for strip in strips_of(plane.shape):
        # planes may be of bool, which as an index means something else
        occurs[plane[strip].astype(np.int64)] = True
    return np.flatnonzero(occurs)
