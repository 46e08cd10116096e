"""Rules on channels-last maps (image, row, column, unit), made of those on channels-first maps.

ONNX Runtime writes such operators when it optimises a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from nd_onnxruntime.operation import Operation, Rule
from nd_plugin import Positions

FIRST = (0, 3, 1, 2)  # order of the axes that brings the units to axis 1
LAST = (0, 2, 3, 1)
SUMMAND = 3  # index of the input that a fused convolution adds to its result


def to_channels_first(positions: Positions) -> Positions:
    """Move positions of maps (image, row, column, unit) to (image, unit, row, column)."""
    return _permuted(positions, FIRST)


def to_channels_last(positions: Positions) -> Positions:
    """Move positions of maps (image, unit, row, column) to (image, row, column, unit)."""
    return _permuted(positions, LAST)


def always_channels_last(rule: Rule) -> Rule:
    """Return a rule for operators whose maps are channels-last."""

    def rule_on_channels_last(operation: Operation) -> Positions | None:
        positions = rule(_channels_first(operation))
        return None if positions is None else to_channels_last(positions)

    return rule_on_channels_last


def either_layout(rule: Rule) -> Rule:
    """Return a rule for operators whose maps are channels-last if an attribute says so."""
    channels_last_rule = always_channels_last(rule)

    def rule_by_attribute(operation: Operation) -> Positions | None:
        if operation.attribute("channels_last", 0):
            return channels_last_rule(operation)
        return rule(operation)

    return rule_by_attribute


def _channels_first(operation: Operation) -> Operation:
    """Return an operation with the axes of its maps, not of its weights, permuted."""
    shapes = list(operation.input_shapes)
    positions = list(operation.input_positions)
    shapes[0] = _in_order(operation.input_shape(0), FIRST)
    for index in (0, SUMMAND):
        maps = positions[index] if index < len(positions) else None
        if maps is not None:
            positions[index] = to_channels_first(maps)
    output_shapes = [
        _in_order(shape, FIRST) if shape else None
        for shape in operation.output_shapes
    ]
    return replace(
        operation,
        input_shapes=shapes,
        input_positions=positions,
        output_shapes=output_shapes,
    )


def _permuted(positions: Positions, order: tuple[int, ...]) -> Positions:
    shape = _in_order(positions.shape, order)
    return positions.moved(lambda coordinate: coordinate.permute(order), shape)


def _in_order(shape: torch.Size, order: Sequence[int]) -> torch.Size:
    return torch.Size(shape[axis] for axis in order)
