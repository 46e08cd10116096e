"""Rules for operators on tensors of any shape: reductions, moves of elements, products, joins.

Those that take one source are a `Rule`; the others are called by name in `rules`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nd_onnxruntime.operation import Operation
from nd_onnxruntime.operators import PRODUCTS
from nd_plugin import Positions, composition

END = 2**31  # from here on, the end of a Slice means the end of the axis


def elementwise(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Return the positions of the first input alone, the queries of an attention."""
    return composition.elementwise([source], shape)


def reduction(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Follow a sum, mean, maximum … over some axes, by default over all."""
    all_axes = list(range(len(source.shape)))
    axes = operation.integers(1, "axes") or all_axes
    return composition.reduction(source, axes, shape)


def transpose(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Follow a Transpose, by default to the reverse order of axes."""
    reverse = range(len(shape) - 1, -1, -1)
    order = operation.attribute("perm") or reverse
    return source.moved(lambda coordinate: coordinate.permute(*order), shape)


def reshape(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Follow a Reshape, Flatten, Squeeze or Unsqueeze."""
    return source.moved(lambda coordinate: coordinate.reshape(shape), shape)


def expand(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Follow an Expand, which broadcasts."""
    return source.spread(shape)


def tile(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Follow a Tile by constant counts."""
    repeats = operation.integers(1)
    if not repeats:
        return None
    return source.moved(lambda coordinate: coordinate.repeat(repeats), shape)


def slicing(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Follow a Slice with constant bounds."""
    starts = operation.integers(1, "starts")
    ends = operation.integers(2, "ends")
    if starts is None or ends is None:
        return None
    axes = operation.integers(3, "axes") or list(range(len(starts)))
    steps = operation.integers(4) or [1] * len(starts)

    def move(coordinate: Tensor) -> Tensor:
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            bounds = slice(start, end if abs(end) < END else None, step)
            cells = range(coordinate.shape[axis])[bounds]
            coordinate = coordinate.index_select(axis, _index_tensor(list(cells)))
        return coordinate

    return source.moved(move, shape)


def gathering(operation: Operation, source: Positions, shape: torch.Size) -> Positions | None:
    """Follow a Gather with constant indices."""
    indices = operation.integers(1)
    if indices is None:
        return None
    axis = int(operation.attribute("axis", 0))
    cells = _index_tensor(indices) % source.shape[axis]
    return source.moved(
        lambda coordinate: coordinate.index_select(axis, cells).reshape(shape), shape
    )


def product(operation: Operation, shape: torch.Size) -> Positions | None:
    """Follow a matrix product, plain or quantised."""
    right_index = PRODUCTS[operation.node.op_type]
    inputs = operation.input_positions
    right = inputs[right_index] if right_index < len(inputs) else None
    return composition.product(operation.source, right, shape)


def split(operation: Operation, output_index: int, shape: torch.Size) -> Positions | None:
    """Follow a Split to one of its pieces, which begins where the preceding ones end."""
    source = operation.source
    if source is None:
        return None
    axis = int(operation.attribute("axis", 0))
    start = 0
    for preceding in operation.output_shapes[:output_index]:
        if preceding is None:
            return None
        start += preceding[axis]
    return source.moved(lambda coordinate: coordinate.narrow(axis, start, shape[axis]), shape)


def concatenation(operation: Operation, shape: torch.Size) -> Positions | None:
    """Follow a Concat or QLinearConcat.

    The inputs of a QLinearConcat are scale and zero point of the output, then in turn tensor, scale
    and zero point of each piece.
    """
    inputs = range(len(operation.node.input))
    if operation.node.op_type == "QLinearConcat":
        inputs = inputs[2::3]
    pieces = [(operation.input_shape(i), operation.input_positions[i]) for i in inputs]
    return composition.concatenation(pieces, int(operation.attribute("axis", 1)), shape)


def _index_tensor(indices: list[int]) -> Tensor:
    return torch.tensor(indices, dtype=torch.int64, device="cpu")
