"""Rasterisation of shapes: a shape covers the pixels whose centres lie inside it.

Coordinates are integers, ``ONE`` to a pixel. The rules of Pillow's ``ImageDraw`` have changed
between versions, and it computes polygons in floating point. Shapes are therefore rasterised here,
exactly, in integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from nd_shapes.noise import Bools, Ints

ONE = 64
LARGEST_SIDE = 4096  # pixels
_CENTRES = np.arange(LARGEST_SIDE, dtype=np.int32) * ONE + ONE // 2
_RADIUS = 1024  # resolution at which the equation of an ellipse is evaluated

Point = tuple[int, int]  # x, y
Integer = TypeVar("Integer", int, npt.NDArray[np.int64])


class Box(NamedTuple):
    """Rectangle by its sides."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Extent in x."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Extent in y."""
        return self.bottom - self.top


@dataclass(frozen=True)
class Stamp:
    """Pixels of a shape, as a mask in a window of the canvas."""

    top: int  # of the window, in pixels
    left: int
    mask: Bools  # (row, column) of the window
    extent: Box  # of the whole shape, even if the canvas cuts it off

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the canvas that the mask covers."""
        height, width = self.mask.shape
        rows = slice(self.top, self.top + height)
        columns = slice(self.left, self.left + width)
        return rows, columns

    def centres(self) -> tuple[Ints, Ints]:
        """Return the centres of the window's rows (row, 1) and columns (1, column)."""
        rows, columns = self.window
        return _CENTRES[rows, None], _CENTRES[None, columns]

    def positions(self, radius: int) -> tuple[Ints, Ints]:
        """Return the centres as ``v`` (row, 1) and ``u`` (1, column), -radius to radius."""
        y, x = self.centres()
        box = self.extent
        u = (2 * x - box.left - box.right) * radius // max(1, box.width)
        v = (2 * y - box.top - box.bottom) * radius // max(1, box.height)
        return v, u


def rectangle(extent: Box, size: tuple[int, int]) -> Stamp:
    """Rasterise a box on a canvas of ``size`` (height, width) pixels."""
    height, width = size
    top = min(max(_first_pixel(extent.top), 0), height)
    left = min(max(_first_pixel(extent.left), 0), width)
    rows = max(0, min(_first_pixel(extent.bottom), height) - top)
    columns = max(0, min(_first_pixel(extent.right), width) - left)
    mask = np.ones((rows, columns), dtype=np.bool_)
    return Stamp(top, left, mask, extent)


def ellipse(extent: Box, size: tuple[int, int]) -> Stamp:
    """Rasterise the ellipse that touches the sides of a box."""
    box = rectangle(extent, size)
    v, u = box.positions(_RADIUS)
    inside = u * u + v * v <= _RADIUS * _RADIUS
    return Stamp(box.top, box.left, inside, extent)


def polygons(lines: Sequence[Sequence[Point]], size: tuple[int, int]) -> Stamp:
    """Rasterise the insides of closed lines, by the even-odd rule.

    Every side that crosses a pixel row's centre line toggles "inside", from the first pixel centre
    at or beyond the crossing up to the end of the row::

        side A at column 2, side B at column 5
        toggles   0 0 1 0 0 1 0
        inside    0 0 1 1 1 0 0     exclusive or of all toggles so far

    One more column than the window has takes the toggles that lie beyond it.
    """
    box = rectangle(_extent(lines), size)
    if not box.mask.size:
        return box
    rows, columns = box.mask.shape
    y, _ = box.centres()
    crossing, x = _crossings(_sides(lines), y)
    column = np.minimum(np.maximum(_first_pixel(x) - box.left, 0), columns)
    cell = np.arange(rows)[:, None] * (columns + 1) + column  # (row, side)
    count = np.bincount(cell[crossing], minlength=rows * (columns + 1))
    toggles = count.reshape(rows, columns + 1).astype(np.uint8) & 1
    inside = np.bitwise_xor.accumulate(toggles, axis=1)[:, :columns]
    return Stamp(box.top, box.left, inside.view(np.bool_), box.extent)


def rounded(corners: Sequence[Point]) -> list[Point]:
    """Return a closed line with its corners cut twice (Chaikin 1974), as if drawn by hand."""
    line = list(corners)
    for _ in range(2):
        line = _corners_cut(line)
    return line


def _corners_cut(corners: Sequence[Point]) -> list[Point]:
    """Return the points at a quarter and at three quarters of every side."""
    line = []
    for (x, y), (next_x, next_y) in zip(
        corners, [*corners[1:], corners[0]], strict=True
    ):
        near_start = ((3 * x + next_x) // 4, (3 * y + next_y) // 4)
        near_end = ((x + 3 * next_x) // 4, (y + 3 * next_y) // 4)
        line += [near_start, near_end]
    return line


def _extent(lines: Sequence[Sequence[Point]]) -> Box:
    points = [point for line in lines for point in line]
    x = [point[0] for point in points]
    y = [point[1] for point in points]
    return Box(min(x), min(y), max(x), max(y))


def _sides(lines: Sequence[Sequence[Point]]) -> npt.NDArray[np.int64]:
    """Return the sides as x, y of their start and x, y of their end, (4, side)."""
    sides = []
    for line in lines:
        for start, end in zip(line, [*line[1:], line[0]], strict=True):
            sides.append((*start, *end))
    return np.array(sides, dtype=np.int64).T


def _crossings(
    sides: npt.NDArray[np.int64], row_y: Ints
) -> tuple[Bools, npt.NDArray[np.int64]]:
    """Return which sides cross each row's centre line, and at which x, (row, side)."""
    x, y, end_x, end_y = sides
    crossing = (y <= row_y) != (end_y <= row_y)
    # level sides never cross; 1 avoids a division by 0
    rise = np.where(end_y == y, 1, end_y - y)
    run = end_x - x
    crossing_x = x + (row_y - y) * run // rise
    return crossing, crossing_x


def _first_pixel(edge: Integer) -> Integer:
    """Return the first pixel whose centre lies at or beyond an edge."""
    return -((ONE // 2 - edge) // ONE)
