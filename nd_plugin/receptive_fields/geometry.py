"""Receptive fields of a layer's cells in input pixels, one axis at a time.

The centre of cell u lies at input pixel ``offset + stride * u``; pixel 0 is the centre of the
first pixel. Each operation between the input and a layer maps the axis of its operand to the axis
of its result; the functions here are these maps, the same for every backend (docs/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass

Size = tuple[int, int]  # (height, width) in pixels


@dataclass(frozen=True)
class Axis:
    """Rows or columns of a layer, in input pixels."""

    size: float = 1.0  # extent of one cell's receptive field
    stride: float = 1.0  # distance between the centres of neighbouring cells
    offset: float = 0.0  # centre of cell 0

    def centres(self, cells: int) -> list[float]:
        """Return the centres of the first ``cells`` cells."""
        return [self.offset + self.stride * cell for cell in range(cells)]


@dataclass(frozen=True)
class Geometry:
    """Rows and columns of a layer, and whether they come from its receptive fields."""

    rows: Axis
    columns: Axis
    # False: no receptive fields are known, cells are spread evenly
    anchored: bool = True
    # centres were measured on perturbed images, and sizes are the image's
    measured: bool = False

    @property
    def source(self) -> str:
        """Origin of the geometry in words, for reports."""
        if self.measured:
            return "measured centres of receptive fields"
        return "receptive fields" if self.anchored else "cells spread evenly"


def convolve(
    axis: Axis, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Axis:
    """Map an axis through convolution or pooling; ``padding`` is that before the first cell."""
    reach = (kernel - 1) * dilation
    return Axis(
        size=axis.size + reach * abs(axis.stride),
        stride=axis.stride * stride,
        offset=axis.offset + axis.stride * (reach / 2 - padding),
    )


def transpose_convolve(
    axis: Axis, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Axis:
    """Map an axis through transposed convolution.

    Output cell u depends on the input cells around ``(u + padding - reach / 2) / stride``.
    """
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
    """Map an axis through resizing from ``cells`` to ``target`` cells.

    Nearest neighbours are repeated cells: the even spacing returned for them is wrong by less than
    half a source cell.

    Parameters
    ----------
    align_corners
        Align the centres of the corner cells, instead of the outer edges.
    asymmetric
        Align the centres of the first cells.
    scale
        Factor that the model itself states, if it states one, instead of ``target / cells``.
    taps
        Source cells that each target cell mixes: 1 nearest, 2 linear, 4 cubic.
    """
    size = axis.size + (taps - 1) * abs(axis.stride)
    if align_corners:
        stride = axis.stride * (cells - 1) / max(target - 1, 1)
        return Axis(size, stride, axis.offset)
    ratio = cells / target if scale is None else 1 / scale
    shift = 0 if asymmetric else axis.stride * (ratio / 2 - 0.5)
    return Axis(size, axis.stride * ratio, axis.offset + shift)


def adaptive_pool(axis: Axis, cells: int, target: int) -> Axis:
    """Map an axis through adaptive pooling: even windows of ``cells / target`` cells on average."""
    ratio = cells / target
    return Axis(
        size=axis.size + max(ratio - 1, 0) * abs(axis.stride),
        stride=axis.stride * ratio,
        offset=axis.offset + axis.stride * (ratio / 2 - 0.5),
    )


def spread_evenly(cells: Size, image: Size) -> Geometry:
    """Spread cells evenly over an image (half-pixel centres), if no geometry can be derived."""
    return Geometry(
        _spread_axis_evenly(cells[0], image[0]),
        _spread_axis_evenly(cells[1], image[1]),
        anchored=False,
    )


def _spread_axis_evenly(cells: int, pixels: int) -> Axis:
    stride = pixels / cells
    return Axis(size=pixels, stride=stride, offset=(stride - 1) / 2)
