"""Which pixels a shape covers: a pixel whose centre lies inside.

Coordinates are whole numbers, ``ONE`` to a pixel. The rules of Pillow's ``ImageDraw`` have changed between versions
and its polygons are computed in floating point, so shapes are rasterised here, exactly, in integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nd_shapes.noise import Bools, Ints

ONE = 64
LARGEST = 4096  # pixels a side
_CENTRES = np.arange(LARGEST, dtype=np.int32) * ONE + ONE // 2
_RADIUS = 1024

Box = tuple[int, int, int, int]  # left, top, right, bottom
Point = tuple[int, int]  # x, y
N = TypeVar("N", int, npt.NDArray[np.int64])


@dataclass(frozen=True)
class Stamp:
    """The pixels of a shape, within a window of the canvas."""

    top: int  # of the window, in pixels
    left: int
    mask: Bools  # (row, column) of the window
    extent: Box  # of the whole shape, also where the canvas cuts it off

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the mask lies on the canvas."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def centres(self) -> tuple[Ints, Ints]:
        """The centres of the window's rows (row, 1) and columns (1, column)."""
        rows, columns = self.window
        return _CENTRES[rows, None], _CENTRES[None, columns]


def rectangle(extent: Box, size: tuple[int, int]) -> Stamp:
    """All pixels of a box."""
    left, top, right, bottom = map(_first_pixel, extent)
    height, width = size
    top, left = min(max(top, 0), height), min(max(left, 0), width)
    shape = (max(0, min(bottom, height) - top), max(0, min(right, width) - left))
    return Stamp(top, left, np.ones(shape, dtype=np.bool_), extent)


def ellipse(extent: Box, size: tuple[int, int]) -> Stamp:
    """The ellipse that touches the sides of a box."""
    box = rectangle(extent, size)
    down, across = box.centres()
    left, top, right, bottom = extent
    u = (2 * across - left - right) * _RADIUS // max(1, right - left)
    v = (2 * down - top - bottom) * _RADIUS // max(1, bottom - top)
    return Stamp(box.top, box.left, u * u + v * v <= _RADIUS * _RADIUS, extent)


def polygons(lines: Sequence[Sequence[Point]], size: tuple[int, int]) -> Stamp:
    """The insides of closed lines, by the even-odd rule."""
    columns, rows = zip(*(corner for line in lines for corner in line), strict=True)
    box = rectangle((min(columns), min(rows), max(columns), max(rows)), size)
    if not box.mask.size:
        return box
    height, width = box.mask.shape
    sides = [(*start, *end) for line in lines for start, end in zip(line, (*line[1:], line[0]), strict=True)]
    x, y, next_x, next_y = np.array(sides, dtype=np.int64).T
    down = box.centres()[0]
    crossed = (y <= down) != (next_y <= down)  # (row, side)
    rise = np.where(next_y == y, 1, next_y - y)
    column = _first_pixel(x + (down - y) * (next_x - x) // rise) - box.left
    cell = np.arange(height)[:, None] * (width + 1) + np.minimum(np.maximum(column, 0), width)
    toggles = np.bincount(cell[crossed], minlength=height * (width + 1)).reshape(height, width + 1)
    inside = np.bitwise_xor.accumulate(toggles.astype(np.uint8) & 1, axis=1)[:, :width]
    return Stamp(box.top, box.left, inside.view(np.bool_), box.extent)


def rounded(corners: Sequence[Point]) -> list[Point]:
    """The closed line with its corners cut twice (Chaikin), which makes it look drawn by hand."""
    for _ in range(2):
        following = [*corners[1:], corners[0]]
        pairs = list(zip(corners, following, strict=True))
        corners = [
            point
            for (ax, ay), (bx, by) in pairs
            for point in (((3 * ax + bx) // 4, (3 * ay + by) // 4), ((ax + 3 * bx) // 4, (ay + 3 * by) // 4))
        ]
    return list(corners)


def _first_pixel(edge: N) -> N:
    """The first pixel whose centre lies at or beyond an edge."""
    return -((ONE // 2 - edge) // ONE)
