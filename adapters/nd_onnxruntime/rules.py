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
from nd_plugin import Positions

ANY_INPUT_RULES: Mapping[str, Rule] = {  # one input with positions suffices
    **dict.fromkeys(ELEMENTWISE, tensor_rules.elementwise),
    **dict.fromkeys(PRODUCTS, tensor_rules.product),
    **dict.fromkeys(CONCATENATIONS, tensor_rules.concatenation),
}
FIRST_INPUT_RULES: Mapping[str, Rule] = {  # the first input has to have positions
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
    "Split": tensor_rules.split,
    **dict.fromkeys(ATTENTION, tensor_rules.attention),
}


def output_positions(operation: Operation) -> Positions | None:
    """Return the positions of an operation's output; None where they are not known."""
    kind = operation.node.op_type
    is_tensor = operation.output_shapes[operation.output_index] is not None
    if not is_tensor or not operation.known_positions:
        return None
    if kind in ANY_INPUT_RULES:
        return ANY_INPUT_RULES[kind](operation)
    if kind in FIRST_INPUT_RULES and operation.input_positions[0] is not None:
        return FIRST_INPUT_RULES[kind](operation)
    return None
