"""Table of the rules by which OpenVINO's operations carry positions from inputs to outputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from nd_openvino import tensor_rules, window_rules
from nd_openvino.operation import Operation, Rule
from nd_plugin import Positions

logger = logging.getLogger(__name__)

# Each element of the output comes from the elements at its own position; normalisations and
# softmax, which mix elements only to rescale them, count as such.
ELEMENTWISE = """
    Abs Acos Acosh Add Asin Asinh Atan Atanh BatchNormInference Ceiling Clamp Convert
    ConvertLike Cos Cosh Divide Elu Equal Erf Exp FakeConvert FakeQuantize Floor FloorMod
    GRN Gelu Greater GreaterEqual GroupNormalization HSigmoid HSwish HardSigmoid LRN Less
    LessEqual Log LogSoftmax LogicalAnd LogicalNot LogicalOr LogicalXor MVN Maximum Minimum
    Mish Mod Multiply Negative NormalizeL2 NotEqual PRelu Power Relu Round Select Selu
    ShuffleChannels Sigmoid Sign Sin Sinh SoftPlus SoftSign Softmax Sqrt
    SquaredDifference Subtract Swish Tan Tanh
""".split()
REDUCTIONS = """
    ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
""".split()
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, tensor_rules.elementwise),
    **dict.fromkeys(REDUCTIONS, tensor_rules.reduction),
    "Convolution": window_rules.convolution,
    "GroupConvolution": window_rules.convolution,
    "ConvolutionBackpropData": window_rules.transposed_convolution,
    "GroupConvolutionBackpropData": window_rules.transposed_convolution,
    "MaxPool": window_rules.pooling,
    "AvgPool": window_rules.pooling,
    "AdaptiveAvgPool": window_rules.adaptive_pooling,
    "AdaptiveMaxPool": window_rules.adaptive_pooling,
    "Interpolate": window_rules.resizing,
    "Pad": window_rules.padding,
    "DepthToSpace": window_rules.depth_to_space,
    "SpaceToDepth": window_rules.space_to_depth,
    "Transpose": tensor_rules.transpose,
    "Reshape": tensor_rules.reshape,
    "Squeeze": tensor_rules.reshape,
    "Unsqueeze": tensor_rules.reshape,
    "Broadcast": tensor_rules.broadcast,
    "Tile": tensor_rules.tile,
    "Split": tensor_rules.split,
    "VariadicSplit": tensor_rules.split,
    "Slice": tensor_rules.slicing,
    "StridedSlice": tensor_rules.strided_slice,
    "Gather": tensor_rules.gathering,
    "Concat": tensor_rules.concatenation,
    "MatMul": tensor_rules.product,
    "ScaledDotProductAttention": tensor_rules.of_first_input,  # of the queries
}


def output_positions(operation: Operation) -> Positions | None:
    """Return the positions of an operation's output; None where no rule leads there.

    Cells of such layers, and of all behind them, are measured.
    """
    rule = RULES.get(operation.kind)
    if rule is None or not operation.known_positions:
        return None
    try:
        positions = rule(operation)
        # a rule that assumes another form of the operation is not to be trusted
        fits = positions is not None and positions.shape == operation.shape
    except Exception as error:  # any misfit of shapes, axes or attributes
        logger.debug("the rule of %s does not fit: %s", operation.kind, error)
        return None
    return positions if fits else None
