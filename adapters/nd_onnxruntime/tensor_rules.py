"""Rules for operators on tensors of any shape: reductions, moves of elements, products, joins.

Each is a `Rule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from nd_onnxruntime import blocked_rules
from nd_onnxruntime.operation import Operation
from nd_onnxruntime.operators import (
    PRODUCTS,
    QUANTISED_CONCATENATIONS,
    operator_of,
)
from nd_plugin import Positions, composition

END = 2**31  # from here on, the end of a Slice means the end of the axis


def elementwise(operation: Operation) -> Positions | None:
    """Follow an element-wise operation: the widest receptive field among its inputs."""
    return composition.elementwise(operation.known_positions, operation.shape)


def attention(operation: Operation) -> Positions | None:
    """Follow an attention, whose first output has the positions of the queries, its first input."""
    if operation.output_index > 0:  # keys and values
        return None
    return composition.elementwise([operation.source], operation.shape)


def reduction(operation: Operation) -> Positions | None:
    """Follow a sum, mean, maximum … over some axes, by default over all."""
    axes = operation.integers(1, "axes")
    if not axes and operation.attribute("noop_with_empty_axes", 0):
        return composition.elementwise([operation.source], operation.shape)
    axes = axes or list(range(len(operation.source.shape)))
    return composition.reduction(operation.source, axes, operation.shape)


def transpose(operation: Operation) -> Positions | None:
    """Follow a Transpose, by default to the reverse order of axes."""
    reverse = range(len(operation.shape) - 1, -1, -1)
    order = operation.attribute("perm") or reverse
    return operation.move(lambda coordinate: coordinate.permute(*order))


def reshape(operation: Operation) -> Positions | None:
    """Follow a Reshape, Flatten, Squeeze or Unsqueeze."""
    if operation.in_blocks:
        return blocked_rules.reshaping(operation)
    return operation.move(lambda coordinate: coordinate.reshape(operation.shape))


def expand(operation: Operation) -> Positions | None:
    """Follow an Expand, which broadcasts."""
    return operation.source.spread(operation.shape)


def tile(operation: Operation) -> Positions | None:
    """Follow a Tile by constant counts."""
    repeats = operation.integers(1)
    if not repeats:
        return None
    return operation.move(lambda coordinate: coordinate.repeat(repeats))


def slicing(operation: Operation) -> Positions | None:
    """Follow a Slice with constant bounds."""
    starts = operation.integers(1, "starts")
    ends = operation.integers(2, "ends")
    if starts is None or ends is None:
        return None
    axes = operation.integers(3, "axes") or list(range(len(starts)))
    steps = operation.integers(4) or [1] * len(starts)

    positions = operation.source
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        bounds = slice(start, end if abs(end) < END else None, step)
        cells = range(positions.shape[axis])[bounds]
        positions = _select(positions, axis, list(cells))
    return positions


def gathering(operation: Operation) -> Positions | None:
    """Follow a Gather with constant indices."""
    indices = operation.integers(1)
    if indices is None:
        return None
    axis = int(operation.attribute("axis", 0))
    length = operation.source.shape[axis]
    cells = [index % length for index in indices]
    selected = _select(operation.source, axis, cells)
    return selected.moved(
        lambda coordinate: coordinate.reshape(operation.shape), operation.shape
    )


def product(operation: Operation) -> Positions | None:
    """Follow a matrix product, plain or quantised."""
    if operation.attribute("transBatchA") or operation.attribute("transBatchB"):
        return None
    right_index = PRODUCTS[operator_of(operation.node)]
    inputs = operation.input_positions
    left = inputs[0]
    right = inputs[right_index] if right_index < len(inputs) else None
    if left is not None and operation.attribute("transA"):
        left = _transposed(left)
    if right is not None and operation.attribute("transB"):
        right = _transposed(right)
    return composition.product(left, right, operation.shape)


def split(operation: Operation) -> Positions | None:
    """Follow a Split to one of its pieces, which begins where the preceding ones end."""
    axis = int(operation.attribute("axis", 0))
    start = 0
    for preceding in operation.output_shapes[: operation.output_index]:
        if preceding is None:
            return None
        start += preceding[axis]
    length = operation.shape[axis]
    return operation.move(lambda coordinate: coordinate.narrow(axis, start, length))


def concatenation(operation: Operation) -> Positions | None:
    """Follow a Concat or QLinearConcat.

    The inputs of a QLinearConcat are scale and zero point of the output, then in turn tensor, scale
    and zero point of each piece.
    """
    inputs = range(len(operation.node.input))
    if operator_of(operation.node) in QUANTISED_CONCATENATIONS:
        inputs = inputs[2::3]
    pieces = [
        (operation.input_shape(i), operation.input_positions[i]) for i in inputs
    ]
    axis = int(operation.attribute("axis", 1))
    return composition.concatenation(pieces, axis, operation.shape)


def _transposed(matrices: Positions) -> Positions:
    """Exchange the last two axes."""
    *batch, rows, columns = matrices.shape
    shape = torch.Size((*batch, columns, rows))
    return matrices.moved(lambda coordinate: coordinate.transpose(-1, -2), shape)


def _select(positions: Positions, axis: int, cells: Sequence[int]) -> Positions:
    """Select cells along an axis; coordinates that do not vary along it are not copied."""
    axis %= len(positions.shape)
    indices = torch.tensor(cells, dtype=torch.int64, device="cpu")
    coordinates = []
    for coordinate in positions.coordinates:
        if coordinate.shape[axis] > 1:
            coordinate = coordinate.index_select(axis, indices)
        coordinates.append(coordinate)
    images, rows, columns = coordinates
    shape = list(positions.shape)
    shape[axis] = len(cells)
    return replace(
        positions,
        shape=torch.Size(shape),
        images=images,
        rows=rows,
        columns=columns,
    )
