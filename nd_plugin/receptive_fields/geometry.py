"""Receptive fields: where in the input the cells of a layer look, one axis at a time.

The centre of cell u lies at input pixel ``offset + stride * u``, pixel 0 being the centre of the first pixel. Each
operation between the input and a layer maps the axis before it to the axis after it; the functions here are those
maps, for every backend alike (DESIGN section 1).
"""

from __future__ import annotations

from dataclasses import dataclass

Size = tuple[int, int]  # (height, width) in pixels


@dataclass(frozen=True)
class Axis:
    """Rows or columns of a layer, seen from the input."""

    size: float = 1.0  # extent of one cell's receptive field, in input pixels
    stride: float = 1.0  # distance between the centres of two neighbours, in input pixels
    offset: float = 0.0  # centre of cell 0, in input pixels

    def centres(self, cells: int) -> list[float]:
        """The centres of the first ``cells`` cells."""
        return [self.offset + self.stride * cell for cell in range(cells)]


@dataclass(frozen=True)
class Geometry:
    """Rows and columns of a layer, and where that knowledge came from."""

    rows: Axis
    columns: Axis
    anchored: bool = True  # False: no receptive field could be derived, the cells are spread evenly over the image

    @property
    def source(self) -> str:
        """In words, for reports."""
        return "receptive fields" if self.anchored else "cells spread evenly"


def convolve(axis: Axis, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Axis:
    """Convolution and pooling; ``padding`` is the padding before the first cell."""
    reach = (kernel - 1) * dilation
    return Axis(
        size=axis.size + reach * abs(axis.stride),
        stride=axis.stride * stride,
        offset=axis.offset + axis.stride * (reach / 2 - padding),
    )


def transpose_convolve(
    axis: Axis, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Axis:
    """Transposed convolution: output cell u draws on the input cells around ``(u + padding - reach/2) / stride``."""
    reach = (kernel - 1) * dilation
    return Axis(
        size=axis.size + (reach // stride) * abs(axis.stride),
        stride=axis.stride / stride,
        offset=axis.offset + axis.stride * (padding - reach / 2) / stride,
    )


def resize(
    axis: Axis,
    cells: int,
    target: int,
    *,
    align_corners: bool = False,
    asymmetric: bool = False,
    scale: float | None = None,
    taps: int = 2,
) -> Axis:
    """Resizing from ``cells`` to ``target`` cells; ``taps`` source cells are mixed (1 nearest, 2 linear, 4 cubic).

    The centres of cells correspond, or the centres of the corner cells do (``align_corners``), or those of the first
    cells, by the scale alone (``asymmetric``). Nearest neighbours are repeated cells: the even spacing given here is
    off by less than half a source cell. ``scale`` is the factor that the model itself states, where it states one.
    """
    size = axis.size + (taps - 1) * abs(axis.stride)
    if align_corners:
        return Axis(size, axis.stride * (cells - 1) / max(target - 1, 1), axis.offset)
    ratio = cells / target if scale is None else 1 / scale
    return Axis(
        size,
        axis.stride * ratio,
        axis.offset + (0 if asymmetric else axis.stride * (ratio / 2 - 0.5)),
    )


def adaptive_pool(axis: Axis, cells: int, target: int) -> Axis:
    """Adaptive pooling: windows of ``cells / target`` cells on average, spread evenly."""
    ratio = cells / target
    return Axis(
        size=axis.size + max(ratio - 1, 0) * abs(axis.stride),
        stride=axis.stride * ratio,
        offset=axis.offset + axis.stride * (ratio / 2 - 0.5),
    )


def spread_evenly(cells: Size, image: Size) -> Geometry:
    """Cells spread evenly over an image: half-pixel centres, the fallback where no geometry can be derived."""

    def axis(count: int, pixels: int) -> Axis:
        return Axis(pixels, pixels / count, (pixels / count - 1) / 2)

    return Geometry(axis(cells[0], image[0]), axis(cells[1], image[1]), anchored=False)
