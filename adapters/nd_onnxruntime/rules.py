"""Table of the rules by which ONNX operators carry positions from inputs to outputs."""

from __future__ import annotations

from collections.abc import Mapping

from nd_onnxruntime import grid_rules, tensor_rules
from nd_onnxruntime.operation import Operation, Rule
from nd_onnxruntime.operators import (
    ATTENTION,
    CONCATENATIONS,
    CONVOLUTIONS,
    ELEMENTWISE,
    GLOBAL_POOLS,
    POOLS,
    PRODUCTS,
    REDUCTIONS,
    RESHAPES,
)
from nd_plugin import Positions, composition

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(CONVOLUTIONS, grid_rules.convolution),
    **dict.fromkeys(POOLS, grid_rules.convolution),
    "ConvTranspose": grid_rules.transposed_convolution,
    **dict.fromkeys(GLOBAL_POOLS, grid_rules.global_pooling),
    "Resize": grid_rules.resizing,
    "Upsample": grid_rules.resizing,
    "DepthToSpace": grid_rules.depth_to_space,
    "SpaceToDepth": grid_rules.space_to_depth,
    "Pad": grid_rules.padding,
    **dict.fromkeys(REDUCTIONS, tensor_rules.reduction),
    "Transpose": tensor_rules.transpose,
    **dict.fromkeys(RESHAPES, tensor_rules.reshape),
    "Expand": tensor_rules.expand,
    "Tile": tensor_rules.tile,
    "Slice": tensor_rules.slicing,
    "Gather": tensor_rules.gathering,
    **dict.fromkeys(ATTENTION, tensor_rules.elementwise),
}


def output_positions(operation: Operation, output_index: int) -> Positions | None:
    """Return the positions of an output; None where they are not known."""
    kind = operation.node.op_type
    shape = operation.output_shapes[output_index]
    known = [positions for positions in operation.input_positions if positions is not None]
    if shape is None or not known:
        return None
    if kind in ELEMENTWISE:
        return composition.elementwise(known, shape)
    if kind in PRODUCTS:
        return tensor_rules.product(operation, shape)
    if kind in CONCATENATIONS:
        return tensor_rules.concatenation(operation, shape)
    if kind == "Split":
        return tensor_rules.split(operation, output_index, shape)
    rule = RULES.get(kind)
    if rule is None or operation.source is None:
        return None
    return rule(operation, operation.source, shape)
