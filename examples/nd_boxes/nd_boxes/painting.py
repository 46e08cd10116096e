"""Bounding boxes painted as planes of labels.

A pixel belongs to a box if its centre, at (column + 0.5, row + 0.5), is inside: half-open intervals
``left <= centre < right``. So boxes that touch share no pixel, and a box of whole numbers has as
many pixels as its area says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin.reading import PlaneStack

# what four numbers of a box are; (left, top) is the corner nearest to the first pixel
FORMATS = {
    "xywh": "left, top, width and height in pixels, as COCO has them",
    "xyxy": "left, top, right and bottom in pixels, as Pascal VOC has them",
    "yolo": "centre, width and height as fractions of the image, as YOLO has them",
}
Planes = list[npt.NDArray[np.integer[Any]]]


@dataclass(frozen=True)
class Box:
    """Box of a class in pixels; it may reach beyond its image."""

    left: float
    top: float
    right: float
    bottom: float
    value: int  # 1 + the index of its concept

    @property
    def is_empty(self) -> bool:
        """Whether the box has no area, or a number that is none."""
        edges = (self.left, self.top, self.right, self.bottom)
        if not all(map(math.isfinite, edges)):
            return True
        return self.right <= self.left or self.bottom <= self.top

    @property
    def area(self) -> float:
        """Area in pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    def reaches_beyond(self, size: tuple[int, int]) -> bool:
        """Return whether more than rounding of it is outside of an image (height, width)."""
        height, width = size
        return (
            min(self.left, self.top) < -1
            or self.right > width + 1
            or self.bottom > height + 1
        )


def box_of(
    numbers: Sequence[float], form: str, size: tuple[int, int], value: int
) -> Box:
    """Return the box of four numbers in one of `FORMATS`, in an image (height, width)."""
    first, second, third, fourth = map(float, numbers)
    if form == "xyxy":
        return Box(first, second, third, fourth, value)
    if form == "xywh":
        return Box(first, second, first + third, second + fourth, value)
    height, width = size
    return Box(
        (first - third / 2) * width,
        (second - fourth / 2) * height,
        (first + third / 2) * width,
        (second + fourth / 2) * height,
        value,
    )


def paint(
    boxes: Sequence[Box], size: tuple[int, int], largest_value: int
) -> tuple[Planes, int]:
    """Paint boxes as planes (row, column), and count those that no pixel is inside.

    Every pixel of a box has its label, behind others, too: where boxes of different classes
    overlap, the smaller is in a further plane. Boxes of one class are joined. There is one plane at
    least.
    """
    stack = PlaneStack(size, np.min_scalar_type(largest_value))
    unpainted = 0
    for box in sorted(boxes, key=lambda box: -box.area):
        mask = pixels_inside(box, size)
        if mask.any():
            stack.add(mask, box.value)
        else:
            unpainted += 1
    empty = np.zeros(size, np.min_scalar_type(largest_value))
    return stack.planes or [empty], unpainted


def pixels_inside(box: Box, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels (row, column) of an image whose centres are inside a box."""
    height, width = size
    mask = np.zeros(size, np.bool_)
    rows = slice(_first_centre(box.top, height), _first_centre(box.bottom, height))
    columns = slice(_first_centre(box.left, width), _first_centre(box.right, width))
    mask[rows, columns] = True
    return mask


def _first_centre(edge: float, length: int) -> int:
    """Return the first pixel of ``length`` whose centre is at an edge or behind it."""
    return math.ceil(min(max(edge, 0.0), float(length)) - 0.5)
