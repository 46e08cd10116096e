"""Rules for operations on tensors of any shape: reductions, moves of elements, products, joins."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nd_openvino.operation import Operation
from nd_plugin import Positions, composition

MASKS = ("new_axis_mask", "shrink_axis_mask", "ellipsis_mask")


def elementwise(operation: Operation) -> Positions | None:
    """Follow an element-wise operation: the most direct of its inputs."""
    return composition.elementwise(operation.known_positions, operation.shape)


def of_first_input(operation: Operation) -> Positions | None:
    """Follow an operation whose elements stay where those of its first input are."""
    return composition.elementwise([operation.source], operation.shape)


def reduction(operation: Operation) -> Positions | None:
    """Follow a sum, mean or maximum over constant axes."""
    axes = operation.integers(1)
    return composition.reduction(operation.source, axes, operation.shape)


def transpose(operation: Operation) -> Positions | None:
    """Follow a Transpose; without an order, it reverses the axes."""
    rank = len(operation.shape)
    order = operation.integers(1) or list(range(rank - 1, -1, -1))
    return operation.move(lambda coordinate: coordinate.permute(*order))


def reshape(operation: Operation) -> Positions | None:
    """Follow a Reshape, Squeeze or Unsqueeze."""
    return operation.move(lambda coordinate: coordinate.reshape(operation.shape))


def broadcast(operation: Operation) -> Positions | None:
    """Follow a Broadcast by NumPy's rules."""
    if operation.attributes["mode"] not in ("numpy", "bidirectional"):
        return None
    return operation.source.spread(operation.shape)


def tile(operation: Operation) -> Positions | None:
    """Follow a Tile."""
    repeats = operation.integers(1)
    return operation.move(lambda coordinate: coordinate.repeat(repeats))


def split(operation: Operation) -> Positions | None:
    """Follow a Split or VariadicSplit to a piece, which begins where those before it end."""
    axis = operation.integers(1)[0]
    start = 0
    for shape in operation.output_shapes[: operation.output_index]:
        if shape is None:
            return None
        start += shape[axis]
    length = operation.shape[axis]
    return operation.move(lambda coordinate: coordinate.narrow(axis, start, length))


def slicing(operation: Operation) -> Positions | None:
    """Follow a Slice: start, stop, step and axes are its inputs."""
    starts, stops, steps = (operation.integers(index) for index in (1, 2, 3))
    axes = list(range(len(starts)))
    if len(operation.constants) > 4:
        axes = operation.integers(4)
    slices = [slice(None)] * len(operation.source.shape)
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        slices[axis] = slice(start, stop, step)
    return _sliced(operation, slices)


def strided_slice(operation: Operation) -> Positions | None:
    """Follow a StridedSlice that keeps all axes, and adds none."""
    attributes = operation.attributes
    if any(any(attributes[mask]) for mask in MASKS):
        return None
    starts, stops = operation.integers(1), operation.integers(2)
    steps = [1] * len(starts)
    if len(operation.constants) > 3:
        steps = operation.integers(3)
    slices = []
    for axis in range(len(starts)):
        start = None if _has(attributes["begin_mask"], axis) else starts[axis]
        stop = None if _has(attributes["end_mask"], axis) else stops[axis]
        slices.append(slice(start, stop, steps[axis]))
    return _sliced(operation, slices)


def _has(mask: Sequence[int], axis: int) -> bool:
    """Return whether a mask has an axis, whose bound is then not used."""
    return axis < len(mask) and bool(mask[axis])


def _sliced(operation: Operation, slices: Sequence[slice]) -> Positions:
    positions = operation.source
    for axis, bounds in enumerate(slices):
        cells = range(positions.shape[axis])[bounds]
        positions = _select(positions, axis, list(cells))
    return positions


def gathering(operation: Operation) -> Positions | None:
    """Follow a Gather with constant indices along a constant axis."""
    source = operation.source
    axis = operation.integers(2)[0] % len(source.shape)
    length = source.shape[axis]
    cells = [index % length for index in operation.integers(1)]
    selected = _select(source, axis, cells)
    return selected.moved(
        lambda coordinate: coordinate.reshape(operation.shape), operation.shape
    )


def _select(positions: Positions, axis: int, cells: Sequence[int]) -> Positions:
    """Select cells along an axis."""
    indices = torch.tensor(cells, dtype=torch.int64)
    shape = list(positions.shape)
    shape[axis] = len(cells)
    return positions.moved(
        lambda coordinate: coordinate.index_select(axis, indices), torch.Size(shape)
    )


def concatenation(operation: Operation) -> Positions | None:
    """Follow a Concat."""
    pieces = []
    for index, positions in enumerate(operation.input_positions):
        pieces.append((operation.input_shape(index), positions))
    axis = int(operation.attributes["axis"])
    return composition.concatenation(pieces, axis, operation.shape)


def product(operation: Operation) -> Positions | None:
    """Follow a MatMul."""
    left, right = operation.input_positions
    if left is not None and operation.attributes["transpose_a"]:
        left = _transposed(left)
    if right is not None and operation.attributes["transpose_b"]:
        right = _transposed(right)
    return composition.product(left, right, operation.shape)


def _transposed(matrices: Positions) -> Positions:
    """Exchange the last two axes."""
    *batch, rows, columns = matrices.shape
    shape = torch.Size((*batch, columns, rows))
    return matrices.moved(lambda coordinate: coordinate.transpose(-1, -2), shape)
