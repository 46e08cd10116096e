"""Positions of the elements of a tensor: the image and the receptive field's centre of each.

`Positions` accompany a tensor through a forward pass:

- operations that only move values (views, slices, rolls, window partitions, …) are applied to the
  positions as they are;
- convolutions, pools and resizings follow the rules in `geometry`;
- a sum over an axis takes the centre of the summed elements;
- where branches meet, the most direct one, of the smallest receptive field, says where cells look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nd_plugin.receptive_fields.geometry import Axis, Geometry

Pair = tuple[float, float]


# elements of a tensor that is not worth a search for what is the same in it
SMALL = 2**12


@dataclass(frozen=True)
class Positions:
    """Coordinates of the elements of a tensor; NaN for elements without any (a class token)."""

    shape: torch.Size  # of the tensor
    images: Tensor  # float64, like `rows` and `columns`; each can be broadcast to `shape`
    rows: Tensor
    columns: Tensor
    size: Pair  # of the receptive field, in input pixels: rows, columns
    stride: Pair  # between neighbours when the tensor was last a map: for axes of a single cell

    @classmethod
    def of_input(cls, shape: torch.Size) -> Positions:
        """Return the positions of a batch of images (image, channel, row, column)."""
        images = torch.arange(shape[0], dtype=torch.float64, device="cpu")
        return cls.of_map(Geometry(Axis(), Axis()), images, shape)

    @classmethod
    def of_map(
        cls, geometry: Geometry, images: Tensor, shape: torch.Size
    ) -> Positions:
        """Return the positions of a map (image, unit, row, column); ``images`` (image,)."""
        _, _, row_count, column_count = shape
        rows = torch.tensor(
            geometry.rows.centres(row_count), dtype=torch.float64, device="cpu"
        )
        columns = torch.tensor(
            geometry.columns.centres(column_count),
            dtype=torch.float64,
            device="cpu",
        )
        return cls(
            shape,
            images.view(-1, 1, 1, 1),
            rows.view(1, 1, -1, 1),
            columns.view(1, 1, 1, -1),
            (geometry.rows.size, geometry.columns.size),
            (geometry.rows.stride, geometry.columns.stride),
        )

    @property
    def coordinates(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images, rows, columns."""
        return self.images, self.rows, self.columns

    @property
    def reach(self) -> float:
        """Area of the receptive field, in input pixels."""
        return self.size[0] * self.size[1]

    def moved(
        self, move: Callable[[Tensor], Tensor], shape: torch.Size
    ) -> Positions:
        """Apply an operation that only moves values: ``move``, for coordinates of full shape."""
        images, rows, columns = (
            shrink(move(coordinate.expand(self.shape)))
            for coordinate in self.coordinates
        )
        return replace(self, shape=shape, images=images, rows=rows, columns=columns)

    def places(self, coordinate: Tensor, dim: int) -> Tensor | None:
        """Return the coordinates of the cells along a dimension, (cell,); None for a single place.

        Cells of a mean that is broadcast back, or mixed by a matrix, have a single one; so have the
        heads of an attention over a single row.
        """
        centres = line(coordinate, dim)
        if centres is None or len(centres) != self.shape[dim]:
            return None
        is_constant = len(centres) > 1 and bool(centres.min() == centres.max())
        return None if is_constant else centres

    def map(self) -> Geometry | None:
        """Return the geometry, if this is a map (image, unit, row, column) on a regular grid."""
        if len(self.shape) != 4 or line(self.images, 0) is None:
            return None
        row_centres = self.places(self.rows, 2)
        column_centres = self.places(self.columns, 3)
        rows = axis_of(row_centres, self.size[0], self.stride[0])
        columns = axis_of(column_centres, self.size[1], self.stride[1])
        return Geometry(rows, columns) if rows and columns else None

    def through(
        self, geometry: Geometry | None, shape: torch.Size
    ) -> Positions | None:
        """Apply an operation on a map whose result has ``geometry``."""
        images = line(self.images, 0)
        if geometry is None or images is None:
            return None
        return Positions.of_map(geometry, images.expand(shape[0]), shape)

    def mixed(self, dims: Sequence[int], *, keep: bool = True) -> Positions | None:
        """Apply a sum (mean, maximum, product with weights) over ``dims``.

        Its position is the centre of the summed elements. Returns None if all positions become the
        same: a global pooling has no geometry. ``keep`` keeps the summed dimensions.
        """
        axes = tuple(sorted({dim % len(self.shape) for dim in dims}))
        low = [
            coordinate.amin(axes, keepdim=True) for coordinate in self.coordinates
        ]
        high = [
            coordinate.amax(axes, keepdim=True) for coordinate in self.coordinates
        ]
        images, rows, columns = midpoints(low, high)
        if _any_varies(self.rows, self.columns) and not _any_varies(rows, columns):
            return None
        shape = torch.Size(
            1 if axis in axes else length for axis, length in enumerate(self.shape)
        )
        size = _widen(self.size, low, high)
        summed = Positions(shape, images, rows, columns, size, self.stride)
        return summed if keep else summed.squeezed(axes)

    def squeezed(self, axes: Sequence[int]) -> Positions:
        """Remove axes of one element."""
        shape = torch.Size(
            length for axis, length in enumerate(self.shape) if axis not in axes
        )
        return self.moved(lambda coordinate: coordinate.reshape(shape), shape)

    def spread(self, shape: torch.Size) -> Positions:
        """Broadcast to a larger shape."""
        new_axes = (1,) * (len(shape) - len(self.shape))
        images, rows, columns = (
            coordinate.reshape(new_axes + tuple(coordinate.shape))
            for coordinate in self.coordinates
        )
        return replace(self, shape=shape, images=images, rows=rows, columns=columns)

    def is_regular(self) -> bool:
        """Return whether rows and columns, where known, are evenly spaced."""
        return _evenly_spaced(self.rows) and _evenly_spaced(self.columns)

    def varies_along(self, dim: int) -> bool:
        """Return whether rows or columns differ along a dimension."""
        return any(
            coordinate.shape[dim] > 1
            and _differs(coordinate.amin(dim), coordinate.amax(dim))
            for coordinate in (self.rows, self.columns)
        )


def midpoints(low: Iterable[Tensor], high: Iterable[Tensor]) -> list[Tensor]:
    """Return the midpoints between lowest and highest coordinates, one tensor per coordinate."""
    return [(first + last) / 2 for first, last in zip(low, high, strict=True)]


def _widen(size: Pair, low: Sequence[Tensor], high: Sequence[Tensor]) -> Pair:
    """Widen a receptive field by the largest distance of centres (images, rows, columns)."""
    _, low_rows, low_columns = low
    _, high_rows, high_columns = high
    row_span = float((high_rows - low_rows).nan_to_num().max())
    column_span = float((high_columns - low_columns).nan_to_num().max())
    return size[0] + row_span, size[1] + column_span


def line(coordinate: Tensor, dim: int) -> Tensor | None:
    """Return the values along ``dim``, (n,), if known and if they vary along no other dimension."""
    if coordinate.numel() > coordinate.shape[dim]:
        remaining_axes = [axis for axis in range(coordinate.dim()) if axis != dim]
        low = coordinate.amin(remaining_axes, keepdim=True)
        high = coordinate.amax(remaining_axes, keepdim=True)
        if not torch.equal(low, high):
            return None
        coordinate = low
    values = coordinate.flatten()
    return None if values.isnan().any() else values


def axis_of(values: Tensor | None, size: float, stride: float) -> Axis | None:
    """Return the regular axis on which ``values`` (cell,) lie; None if there is none.

    Repeated cells (nearest neighbours) are spread evenly. ``stride`` serves for a single cell.
    """
    if values is None:
        return None
    if len(values) == 1:
        return Axis(size, stride, float(values[0]))
    distinct, repeats = torch.unique_consecutive(values, return_counts=True)
    if len(distinct) == 1 or repeats.unique().numel() > 1:
        return None
    steps = distinct.diff()
    if not torch.allclose(steps, steps[0].expand_as(steps)):
        return None
    repeat = int(repeats[0])
    step = float(distinct[-1] - distinct[0]) / (len(distinct) - 1)
    return Axis(
        size, step / repeat, float(distinct[0]) - step * (repeat - 1) / (2 * repeat)
    )


def _evenly_spaced(coordinate: Tensor) -> bool:
    """Return whether the distinct known values are evenly spaced; True for a single one."""
    values = torch.unique(coordinate[~coordinate.isnan()])
    if not len(values):
        return False
    steps = values.diff()
    return bool(torch.allclose(steps, steps[:1].expand_as(steps)))


def shrink(coordinate: Tensor) -> Tensor:
    """Reduce dimensions along which all values are the same to one element.

    Expanded ones (stride 0) are, and others may be after a concatenation. Small tensors are only
    looked at for the former.
    """
    for dim, (stride, length) in enumerate(
        zip(coordinate.stride(), coordinate.shape, strict=True)
    ):
        if stride == 0 and length > 1:
            coordinate = coordinate.narrow(dim, 0, 1)
    for dim, length in enumerate(coordinate.shape):
        if length > 1 and coordinate.numel() > SMALL:
            first = coordinate.narrow(dim, 0, 1)
            is_same = (coordinate == first) | (coordinate.isnan() & first.isnan())
            if is_same.all():
                coordinate = first
    return coordinate


def _any_varies(*coordinates: Tensor) -> bool:
    return any(
        _differs(coordinate.amin(), coordinate.amax()) for coordinate in coordinates
    )


def _differs(low: Any, high: Any) -> bool:
    return bool((low != high).logical_and(~low.isnan()).any())
