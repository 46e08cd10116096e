"""Where the elements of a tensor lie: for each, the image and the input pixel at the centre of its receptive field.

`Positions` go with a tensor through a forward pass. Operations that only move values (views, slices, rolls, window
partitions, …) are applied to the positions as they are; convolutions, pools and resizings compose by the host's rules;
sums over an axis take the centre of what they sum over; element-wise operations keep the widest receptive field among
their operands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from nd_plugin.receptive_fields.geometry import Axis, Geometry

Pair = tuple[float, float]


EDGES = (torch.minimum, torch.maximum)


@dataclass(frozen=True)
class Positions:
    """Coordinates of the elements of a tensor of some shape; NaN means nowhere (a class token)."""

    shape: torch.Size
    images: Tensor  # each broadcastable to ``shape``, float64
    rows: Tensor
    columns: Tensor
    size: Pair  # of the receptive field, in input pixels: rows, columns
    stride: Pair  # between neighbours where the tensor was last a map: for axes of a single cell

    @classmethod
    def of_input(cls, shape: torch.Size) -> Positions:
        """Of a batch of images (image, channel, row, column)."""
        return cls.of_map(
            Geometry(Axis(), Axis()),
            torch.arange(shape[0], dtype=torch.float64, device="cpu"),
            shape,
        )

    @classmethod
    def of_map(cls, geometry: Geometry, images: Tensor, shape: torch.Size) -> Positions:
        """Of a map (image, unit, row, column) of that geometry; ``images`` (image,) are their numbers."""
        return cls(
            shape,
            images.view(-1, 1, 1, 1),
            torch.tensor(geometry.rows.centres(shape[2]), dtype=torch.float64, device="cpu").view(
                1, 1, -1, 1
            ),
            torch.tensor(
                geometry.columns.centres(shape[3]), dtype=torch.float64, device="cpu"
            ).view(1, 1, 1, -1),
            (geometry.rows.size, geometry.columns.size),
            (geometry.rows.stride, geometry.columns.stride),
        )

    @property
    def coordinates(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images, rows, columns."""
        return self.images, self.rows, self.columns

    @property
    def reach(self) -> float:
        """Area of the receptive field."""
        return self.size[0] * self.size[1]

    def moved(self, move: Callable[[Tensor], Tensor], shape: torch.Size) -> Positions:
        """After an operation that moves values about, applied to each coordinate at full shape."""
        images, rows, columns = (_compact(move(c.expand(self.shape))) for c in self.coordinates)
        return replace(self, shape=shape, images=images, rows=rows, columns=columns)

    def map(self) -> Geometry | None:
        """The geometry, if this is a map (image, unit, row, column) on a regular grid."""
        if len(self.shape) != 4 or line(self.images, 0) is None:
            return None
        rows = axis_of(line(self.rows, 2), self.size[0], self.stride[0])
        columns = axis_of(line(self.columns, 3), self.size[1], self.stride[1])
        return Geometry(rows, columns) if rows and columns else None

    def through(self, geometry: Geometry | None, shape: torch.Size) -> Positions | None:
        """After an operation on a map that led to ``geometry``."""
        images = line(self.images, 0)
        if geometry is None or images is None:
            return None
        return Positions.of_map(geometry, images.expand(shape[0]), shape)

    def mixed(self, dims: Sequence[int], *, keep: bool = True) -> Positions | None:
        """After a sum (mean, maximum, product with weights) over ``dims``: the centre of what was summed.

        None where that makes all positions one: a global pooling has no geometry.
        """
        axes = tuple(sorted({dim % len(self.shape) for dim in dims}))
        low = [c.amin(axes, keepdim=True) for c in self.coordinates]
        high = [c.amax(axes, keepdim=True) for c in self.coordinates]
        images, rows, columns = ((a + b) / 2 for a, b in zip(low, high, strict=True))
        if (_extent(self.rows) or _extent(self.columns)) and not (
            _extent(rows) or _extent(columns)
        ):
            return None
        spans = [float((b - a).nan_to_num().max()) for a, b in zip(low[1:], high[1:], strict=True)]
        shape = torch.Size(1 if axis in axes else n for axis, n in enumerate(self.shape))
        result = Positions(
            shape,
            images,
            rows,
            columns,
            (self.size[0] + spans[0], self.size[1] + spans[1]),
            self.stride,
        )
        return result if keep else result.squeezed(axes)

    def squeezed(self, axes: Sequence[int]) -> Positions:
        """Without axes of one element."""
        kept = torch.Size(n for axis, n in enumerate(self.shape) if axis not in axes)
        return self.moved(lambda c: c.reshape(kept), kept)

    def spread(self, shape: torch.Size) -> Positions:
        """Broadcast to a larger shape."""
        extra = len(shape) - len(self.shape)
        images, rows, columns = (c.reshape((1,) * extra + tuple(c.shape)) for c in self.coordinates)
        return replace(self, shape=shape, images=images, rows=rows, columns=columns)

    def varies_along(self, dim: int) -> bool:
        """Whether rows or columns differ along a dimension."""
        return any(
            c.shape[dim] > 1 and _differs(c.amin(dim), c.amax(dim))
            for c in (self.rows, self.columns)
        )


def merged(parts: Sequence[Positions], shape: torch.Size) -> Positions | None:
    """Where branches meet: the largest receptive field wins; equal ones count together, their centre is kept.

    A branch that is broadcast along an axis on which another has positions (a gate, pooled to 1x1) never wins.
    """
    spread = [part.spread(shape) for part in parts]
    winners = [s for s, part in zip(spread, parts, strict=True) if not _is_broadcast(part, spread)]
    if not winners:
        return None
    reach = max(part.reach for part in winners)
    return _centred([part for part in winners if part.reach == reach])


def _is_broadcast(part: Positions, others: Sequence[Positions]) -> bool:
    shape = others[0].shape
    own = (1,) * (len(shape) - len(part.shape)) + tuple(part.shape)
    thin = [dim for dim, n in enumerate(own) if n == 1 < shape[dim]]
    return any(other.varies_along(dim) for dim in thin for other in others)


def _centred(parts: Sequence[Positions]) -> Positions:
    """The centre of several, and the receptive field that holds them all."""
    low, high = (
        [reduce(pick, same) for same in zip(*(p.coordinates for p in parts), strict=True)]
        for pick in EDGES
    )
    images, rows, columns = ((a + b) / 2 for a, b in zip(low, high, strict=True))
    gaps = [float((b - a).nan_to_num().max()) for a, b in zip(low[1:], high[1:], strict=True)]
    size = (parts[0].size[0] + gaps[0], parts[0].size[1] + gaps[1])
    return replace(parts[0], images=images, rows=rows, columns=columns, size=size)


def line(coordinate: Tensor, dim: int) -> Tensor | None:
    """The values along ``dim``, (n,), if they do not vary along any other dimension and are known."""
    if any(n > 1 for axis, n in enumerate(coordinate.shape) if axis != dim):
        others = [axis for axis in range(coordinate.dim()) if axis != dim]
        low, high = coordinate.amin(others, keepdim=True), coordinate.amax(others, keepdim=True)
        if not torch.equal(low, high):
            return None
        coordinate = low
    values = coordinate.flatten()
    return None if values.isnan().any() else values


def axis_of(values: Tensor | None, size: float, stride: float) -> Axis | None:
    """The regular axis on which ``values`` lie; repeated cells (nearest neighbours) are spread evenly."""
    if values is None:
        return None
    if len(values) == 1:
        return Axis(size, stride, float(values[0]))
    distinct, repeats = torch.unique_consecutive(values, return_counts=True)
    steps = distinct.diff()
    if (
        len(distinct) == 1
        or repeats.unique().numel() > 1
        or not torch.allclose(steps, steps[0].expand_as(steps))
    ):
        return None
    repeat = int(repeats[0])
    step = float(distinct[-1] - distinct[0]) / (len(distinct) - 1)
    return Axis(size, step / repeat, float(distinct[0]) - step * (repeat - 1) / (2 * repeat))


def _compact(coordinate: Tensor) -> Tensor:
    for dim, (step, n) in enumerate(zip(coordinate.stride(), coordinate.shape, strict=True)):
        if step == 0 and n > 1:
            coordinate = coordinate.narrow(dim, 0, 1)
    return coordinate


def _extent(coordinate: Tensor) -> bool:
    return _differs(coordinate.amin(), coordinate.amax())


def _differs(low: Any, high: Any) -> bool:
    return bool((low != high).logical_and(~low.isnan()).any())
