"""Rules by which JAX's primitives carry positions from their operands to their results.

A rule gets an equation of a jaxpr and the `Positions` of its operands, None for those without any
(weights, constants). It returns the positions of the result, or None where they are unknown.
`nd_plugin.composition` and `nd_plugin.geometry` compute the receptive fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nd_plugin import Axis, Positions, composition, geometry

Sources = Sequence[Positions | None]
Rule = Callable[[Any, Sources], Positions | None]

# Results of their operand's shape whose elements do not belong to those of the operand.
NOT_ELEMENTWISE = frozenset(
    "cumsum cumprod cummax cummin cumlogsumexp sort fft while scan cond".split()
)
CHANNELS_LAST = (0, 3, 1, 2)  # axes of images, units, rows, columns
CHANNELS_FIRST = (0, 1, 2, 3)


def infer_positions(equation: Any, sources: Sources) -> Positions | None:
    """Return the positions of the first result of an equation."""
    rule = RULES.get(equation.primitive.name, _elementwise)
    return rule(equation, sources)


def _elementwise(equation: Any, sources: Sources) -> Positions | None:
    """Merge the positions of operands that can be broadcast to the result's shape."""
    if equation.primitive.name in NOT_ELEMENTWISE:
        return None
    shape = shape_of(equation.outvars[0])
    operands = [source for source in sources if source is not None]
    if not all(composition.fits(operand.shape, shape) for operand in operands):
        return None
    return composition.elementwise(operands, shape)


def _convolution(equation: Any, sources: Sources) -> Positions | None:
    """Convolve; a dilated operand makes it a transposed convolution."""
    source = sources[0]
    parameters = equation.params
    numbers = parameters["dimension_numbers"]
    if source is None or len(numbers.lhs_spec) != 4:
        return None
    kernel = equation.invars[1].aval.shape
    reach = [kernel[axis] for axis in numbers.rhs_spec[2:]]

    def convolve(axis: Axis, _cells: int, _target: int, index: int) -> Axis:
        dilated = Axis(
            axis.size, axis.stride / parameters["lhs_dilation"][index], axis.offset
        )
        return geometry.convolve(
            dilated,
            reach[index],
            parameters["window_strides"][index],
            parameters["padding"][index][0],
            parameters["rhs_dilation"][index],
        )

    return _on_map(equation, source, numbers.lhs_spec, numbers.out_spec, convolve)


def _window(equation: Any, sources: Sources) -> Positions | None:
    """Reduce windows, of rows and columns alone."""
    source = sources[0]
    parameters = equation.params
    windows = parameters["window_dimensions"]
    if source is None or len(windows) != 4:
        return None
    dilations = parameters.get("window_dilation") or (1, 1, 1, 1)
    for axes in (CHANNELS_LAST, CHANNELS_FIRST):
        if windows[axes[0]] != 1 or windows[axes[1]] != 1:
            continue

        def pool(
            axis: Axis, _cells: int, _target: int, index: int, axes: Any = axes
        ) -> Axis:
            dim = axes[2 + index]
            return geometry.convolve(
                axis,
                windows[dim],
                parameters["window_strides"][dim],
                parameters["padding"][dim][0],
                dilations[dim],
            )

        pooled = _on_map(equation, source, axes, axes, pool)
        if pooled is not None:
            return pooled
    return None


def _on_map(
    equation: Any,
    source: Positions,
    source_axes: Sequence[int],
    result_axes: Sequence[int],
    change: composition.Change,
) -> Positions | None:
    """Apply a rule for rows and columns to a map with its axes in any order."""
    shape = shape_of(equation.outvars[0])
    map_shape = torch.Size(shape[axis] for axis in result_axes)
    as_map = source.moved(
        lambda coordinate: coordinate.permute(*source_axes),
        torch.Size(source.shape[axis] for axis in source_axes),
    )
    result = composition.per_axis(as_map, change, map_shape)
    if result is None:
        return None
    order = [list(result_axes).index(axis) for axis in range(4)]
    return result.moved(lambda coordinate: coordinate.permute(order), shape)


def _reduction(equation: Any, sources: Sources) -> Positions | None:
    if sources[0] is None:
        return None
    axes = [int(axis) for axis in equation.params["axes"]]
    return composition.reduction(sources[0], axes, shape_of(equation.outvars[0]))


def _product(equation: Any, sources: Sources) -> Positions | None:
    """Multiply; the result's axes are those of batches, of the left and of the right operand.

    Where both operands have positions (attention), those of the left one remain, or the right
    one's where the sum is over all places of the left.
    """
    (left_summed, right_summed), (left_batch, right_batch) = equation.params[
        "dimension_numbers"
    ]
    shape = shape_of(equation.outvars[0])
    left_rank = len(equation.invars[0].aval.shape)
    left_free = left_rank - len(left_summed) - len(left_batch)
    right_free = len(shape) - len(left_batch) - left_free
    left, right = sources
    if left is not None:
        ones = (1,) * right_free
        placed = _contracted(left, left_summed, left_batch, ((), ones), shape)
        if placed is not None:
            return placed
    if right is None:
        return None
    ones = (1,) * left_free
    return _contracted(right, right_summed, right_batch, (ones, ()), shape)


def _contracted(
    source: Positions,
    summed: Sequence[int],
    batch: Sequence[int],
    others: tuple[tuple[int, ...], tuple[int, ...]],
    shape: torch.Size,
) -> Positions | None:
    """Sum an operand's positions; ``others`` are the other one's axes before and after its own."""
    result = source.mixed(list(map(int, summed))) if len(summed) else source
    if result is None:
        return None
    free = [
        axis
        for axis in range(len(source.shape))
        if axis not in summed and axis not in batch
    ]
    order = [*map(int, batch), *free, *map(int, summed)]
    batch_shape = [result.shape[axis] for axis in batch]
    free_shape = [result.shape[axis] for axis in free]
    target = torch.Size([*batch_shape, *others[0], *free_shape, *others[1]])
    return result.moved(
        lambda coordinate: coordinate.permute(order).reshape(target), target
    ).spread(shape)


def _concatenation(equation: Any, sources: Sources) -> Positions | None:
    shapes = [shape_of(operand) for operand in equation.invars]
    return composition.concatenation(
        list(zip(shapes, sources, strict=True)),
        equation.params["dimension"],
        shape_of(equation.outvars[0]),
    )


def _padding(equation: Any, sources: Sources) -> Positions | None:
    """Pad; places within the operand (interior padding) are those of no element."""
    amounts = equation.params["padding_config"]
    if sources[0] is None or any(inner for _, _, inner in amounts):
        return None
    if any(before < 0 or after < 0 for before, after, _ in amounts):
        return None
    padded = {
        axis: (before, after)
        for axis, (before, after, _) in enumerate(amounts)
        if before or after
    }
    return composition.padded(sources[0], padded, shape_of(equation.outvars[0]))


def _moving(move: Callable[[Any, Tensor, torch.Size], Tensor]) -> Rule:
    """Make the rule of a primitive that only moves values, from what it does to a tensor."""

    def rule(equation: Any, sources: Sources) -> Positions | None:
        source = sources[0]
        if source is None:
            return None
        shape = shape_of(equation.outvars[0])
        return source.moved(
            lambda coordinate: move(equation.params, coordinate, shape), shape
        )

    return rule


def _reshape(_: Any, coordinate: Tensor, shape: torch.Size) -> Tensor:
    return coordinate.reshape(shape)


def _transpose(parameters: Any, coordinate: Tensor, _: torch.Size) -> Tensor:
    return coordinate.permute([int(axis) for axis in parameters["permutation"]])


def _broadcast(parameters: Any, coordinate: Tensor, shape: torch.Size) -> Tensor:
    lengths = [1] * len(shape)
    for axis, target in enumerate(parameters["broadcast_dimensions"]):
        lengths[int(target)] = coordinate.shape[axis]
    return coordinate.reshape(lengths).expand(shape)


def _slice(parameters: Any, coordinate: Tensor, _: torch.Size) -> Tensor:
    begins = parameters["start_indices"]
    strides = parameters["strides"] or (1,) * len(begins)
    parts = zip(begins, parameters["limit_indices"], strides, strict=True)
    return coordinate[tuple(slice(*part) for part in parts)]


def _reverse(parameters: Any, coordinate: Tensor, _: torch.Size) -> Tensor:
    return coordinate.flip([int(axis) for axis in parameters["dimensions"]])


def shape_of(variable: Any) -> torch.Size:
    """Return the shape of a variable of a jaxpr."""
    return torch.Size(variable.aval.shape)


RULES: dict[str, Rule] = {
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "concatenate": _concatenation,
    "pad": _padding,
    "reshape": _moving(_reshape),
    "squeeze": _moving(_reshape),
    "transpose": _moving(_transpose),
    "broadcast_in_dim": _moving(_broadcast),
    "slice": _moving(_slice),
    "rev": _moving(_reverse),
}
for _name in ("max", "min", "sum", "and", "or"):
    RULES[f"reduce_window_{_name}"] = _window
for _name in ("max", "min", "sum", "prod", "and", "or"):
    RULES[f"reduce_{_name}"] = _reduction
RULES["argmax"] = RULES["argmin"] = _reduction
