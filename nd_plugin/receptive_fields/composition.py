"""Rules by which operations carry positions from operands to result, shared by all backends.

A backend tells which operation a node is, and its arguments; the effect on receptive fields is
here and in ``geometry`` (docs/method.md). Functions return None if the result has no positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from nd_plugin.receptive_fields.geometry import Axis, Geometry
from nd_plugin.receptive_fields.merging import merged
from nd_plugin.receptive_fields.positions import Positions, shrink

# Maps an axis, given the operand's cells, the result's cells, and 0 for rows or 1 for columns.
Change = Callable[[Axis, int, int, int], Axis]


def on_map(
    source: Positions,
    change: Callable[[Geometry], Geometry | None],
    shape: torch.Size,
) -> Positions | None:
    """Carry positions through an operation on a map (image, unit, row, column)."""
    geometry = source.map() if len(shape) == 4 else None
    if geometry is None:
        return None
    return source.through(change(geometry), shape)


def per_axis(
    source: Positions, change: Change, shape: torch.Size
) -> Positions | None:
    """Carry positions through an operation on a map that treats rows and columns separately."""

    def change_geometry(geometry: Geometry) -> Geometry:
        rows = change(geometry.rows, source.shape[2], shape[2], 0)
        columns = change(geometry.columns, source.shape[3], shape[3], 1)
        return Geometry(rows, columns)

    return on_map(source, change_geometry, shape)


def elementwise(parts: Sequence[Positions], shape: torch.Size) -> Positions | None:
    """Carry positions of operands through an element-wise operation; ``shape`` is the result's."""
    operands = [operand for operand in parts if fits(operand.shape, shape)]
    return merged(operands, shape) if operands else None


def fits(shape: torch.Size, target: torch.Size) -> bool:
    """Return whether a shape can be broadcast to another."""
    if len(shape) > len(target):
        return False
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return all(length in (1, target_length) for length, target_length in pairs)


def padded(
    source: Positions, amounts: Mapping[int, tuple[int, int]], shape: torch.Size
) -> Positions:
    """Carry positions through padding by ``amounts`` (before, after) along dimensions.

    New cells continue at the distance of the first two cells.
    """
    row_dim, column_dim = (2, 3) if len(source.shape) == 4 else (None, None)
    images = source.images
    rows = source.rows
    columns = source.columns
    for dim, (cells_before, cells_after) in amounts.items():
        row_step = source.stride[0] if dim == row_dim else 0.0
        column_step = source.stride[1] if dim == column_dim else 0.0
        cells = (cells_before, cells_after)
        images = _extend(images, dim, source.shape[dim], cells, 0.0)
        rows = _extend(rows, dim, source.shape[dim], cells, row_step)
        columns = _extend(columns, dim, source.shape[dim], cells, column_step)
    return Positions(shape, images, rows, columns, source.size, source.stride)


def _extend(
    coordinate: Tensor,
    dim: int,
    length: int,
    padding: tuple[int, int],
    single_step: float,
) -> Tensor:
    """Extend a coordinate by ``padding`` cells before and after along ``dim``, of ``length`` cells.

    ``single_step`` is the distance of cells if there is a single one.
    """
    stored = coordinate.shape[dim]
    if stored == 1 < length:
        return coordinate  # broadcast: the same for new cells
    cells_before, cells_after = padding
    cells = torch.arange(-cells_before, stored + cells_after, device="cpu")
    nearest = cells.clamp(0, stored - 1)
    cells_beyond = (
        (cells - nearest).double().view(-1, *[1] * (coordinate.dim() - 1 - dim))
    )
    step: Tensor | float = single_step
    if stored > 1:
        step = coordinate.narrow(dim, 1, 1) - coordinate.narrow(dim, 0, 1)
    return coordinate.index_select(dim, nearest) + cells_beyond * step


def reduction(
    source: Positions, dims: Sequence[int], shape: torch.Size
) -> Positions | None:
    """Carry positions through a sum, mean or maximum over ``dims``."""
    if not len(shape):
        return None
    return source.mixed(dims, keep=len(shape) == len(source.shape))


def product(
    left: Positions | None, right: Positions | None, shape: torch.Size
) -> Positions | None:
    """Carry positions through a matrix product.

    Positions of the left operand's rows (queries, tokens) remain, or else those of the right
    operand's columns.
    """
    if left is not None:
        summed = left.mixed([-1])
    elif right is not None and len(right.shape) >= 2:
        summed = right.mixed([-2])
    else:
        return None
    return summed.spread(shape) if summed and fits(summed.shape, shape) else None


def concatenation(
    parts: Sequence[tuple[torch.Size, Positions | None]],
    dim: int,
    shape: torch.Size,
) -> Positions | None:
    """Carry positions through a concatenation along ``dim``.

    ``parts`` are the operands' shapes, and the positions of those that have any. Concatenated
    channels are merged as branches; concatenated tokens or cells keep their own positions.
    """
    dim %= len(shape)
    operands = [positions for _, positions in parts if positions is not None]
    if not operands:
        return None
    if any(_varies_along(operand, dim) for operand in operands):
        return _concatenate_cells(parts, dim, shape)
    return _merge_channels(operands, dim, shape)


def stack(
    parts: Sequence[tuple[torch.Size, Positions | None]],
    dim: int,
    shape: torch.Size,
) -> Positions | None:
    """Carry positions through stacking along a new dimension ``dim``; ``parts`` as above."""
    dim %= len(shape)
    operands: list[tuple[torch.Size, Positions | None]] = []
    for part_shape, positions in parts:
        operand_shape = torch.Size((*part_shape[:dim], 1, *part_shape[dim:]))
        if positions is not None:
            positions = positions.moved(lambda c: c.unsqueeze(dim), operand_shape)
        operands.append((operand_shape, positions))
    return concatenation(operands, dim, shape)


def _varies_along(operand: Positions, dim: int) -> bool:
    return operand.varies_along(dim) or operand.images.shape[dim] > 1


def _merge_channels(
    operands: Sequence[Positions], dim: int, shape: torch.Size
) -> Positions | None:
    """Merge operands whose positions do not vary along ``dim``."""
    branches = []
    for operand in operands:
        branch_shape = _with_length(operand.shape, dim, 1)
        branches.append(operand.moved(lambda c: c.narrow(dim, 0, 1), branch_shape))
    branch = merged(branches, _with_length(shape, dim, 1))
    return branch.spread(shape) if branch else None


def _concatenate_cells(
    parts: Sequence[tuple[torch.Size, Positions | None]],
    dim: int,
    shape: torch.Size,
) -> Positions:
    """Concatenate coordinates along ``dim``; operands without positions get NaN."""
    operands = [positions for _, positions in parts if positions is not None]
    unknown = torch.full((), float("nan"), dtype=torch.float64, device="cpu")
    pieces: tuple[list[Tensor], ...] = ([], [], [])  # of images, rows, columns
    for part_shape, positions in parts:
        if part_shape.numel():
            coordinates = (unknown, unknown, unknown)
            if positions is not None:
                coordinates = positions.coordinates
            for coordinate, coordinate_pieces in zip(
                coordinates, pieces, strict=True
            ):
                coordinate_pieces.append(coordinate.expand(part_shape))
    images, rows, columns = (
        shrink(torch.cat(coordinate_pieces, dim)) for coordinate_pieces in pieces
    )
    return Positions(
        shape, images, rows, columns, operands[0].size, operands[0].stride
    )


def _with_length(shape: torch.Size, dim: int, length: int) -> torch.Size:
    return torch.Size([*shape[:dim], length, *shape[dim + 1 :]])
