"""Table of the rules by which ONNX operators carry positions from inputs to outputs."""

from __future__ import annotations

from collections.abc import Mapping

from nd_onnxruntime import blocked_rules, grid_rules, tensor_rules
from nd_onnxruntime.channels_last import always_channels_last, either_layout
from nd_onnxruntime.operation import Operation, Rule
from nd_onnxruntime.operators import (
    ATTENTION,
    CONCATENATIONS,
    CONVOLUTIONS,
    EITHER_CONVOLUTIONS,
    EITHER_GLOBAL_POOLS,
    EITHER_POOLS,
    ELEMENTWISE,
    FUSED_CONVOLUTIONS,
    GLOBAL_POOLS,
    NHWC_CONVOLUTIONS,
    NHWC_FUSED_CONVOLUTIONS,
    NHWC_POOLS,
    PADDINGS,
    POOLS,
    PRODUCTS,
    REDUCTIONS,
    REORDER_INPUT,
    REORDER_OUTPUT,
    RESHAPES,
    UPSAMPLES,
    operator_of,
)
from nd_plugin import Positions

ANY_INPUT_RULES: Mapping[str, Rule] = {  # one input with positions suffices
    **dict.fromkeys(ELEMENTWISE, tensor_rules.elementwise),
    **dict.fromkeys(PRODUCTS, tensor_rules.product),
    **dict.fromkeys(CONCATENATIONS, tensor_rules.concatenation),
}
NHWC_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        NHWC_CONVOLUTIONS, always_channels_last(grid_rules.convolution)
    ),
    **dict.fromkeys(
        NHWC_FUSED_CONVOLUTIONS, always_channels_last(grid_rules.fused_convolution)
    ),
    **dict.fromkeys(NHWC_POOLS, always_channels_last(grid_rules.pooling)),
    **dict.fromkeys(EITHER_CONVOLUTIONS, either_layout(grid_rules.convolution)),
    **dict.fromkeys(EITHER_POOLS, either_layout(grid_rules.pooling)),
    **dict.fromkeys(EITHER_GLOBAL_POOLS, either_layout(grid_rules.global_pooling)),
}
FIRST_INPUT_RULES: Mapping[str, Rule] = {  # the first input has to have positions
    **dict.fromkeys(CONVOLUTIONS, grid_rules.convolution),
    **dict.fromkeys(FUSED_CONVOLUTIONS, grid_rules.fused_convolution),
    **dict.fromkeys(POOLS, grid_rules.pooling),
    "ConvTranspose": grid_rules.transposed_convolution,
    **dict.fromkeys(GLOBAL_POOLS, grid_rules.global_pooling),
    **NHWC_RULES,
    REORDER_INPUT: blocked_rules.reordering_input,
    REORDER_OUTPUT: blocked_rules.reordering_output,
    "Resize": grid_rules.resizing,
    **dict.fromkeys(UPSAMPLES, grid_rules.resizing),
    "DepthToSpace": grid_rules.depth_to_space,
    "SpaceToDepth": grid_rules.space_to_depth,
    **dict.fromkeys(PADDINGS, grid_rules.padding),
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
    is_tensor = operation.output_shapes[operation.output_index] is not None
    if not is_tensor or not operation.known_positions:
        return None
    positions = _positions_by_rule(operation)
    # a rule that assumes another form of the operator, as default axes, is not to be trusted
    fits = positions is not None and positions.shape == operation.shape
    return positions if fits else None


def _positions_by_rule(operation: Operation) -> Positions | None:
    operator = operator_of(operation.node)
    if operator in ANY_INPUT_RULES:
        return ANY_INPUT_RULES[operator](operation)
    if operator in FIRST_INPUT_RULES and operation.input_positions[0] is not None:
        return FIRST_INPUT_RULES[operator](operation)
    return None
