"""ONNX operators grouped by their effect on positions: all opsets, and ONNX Runtime's domains.

An operator is its domain and its name: another domain's ``Conv`` is not ONNX's. `operator_of`
writes both; names without a domain are those of ONNX itself.
"""

from __future__ import annotations

from onnx import NodeProto

ONNX_DOMAINS = ("", "ai.onnx")
MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators
BLOCKED = "com.microsoft.nchwc"  # its operators on values in blocks of channels
RUNTIME_DOMAINS = (  # with operators that some build of ONNX Runtime implements
    *ONNX_DOMAINS,
    "ai.onnx.ml",
    "ai.onnx.preview.training",
    MICROSOFT,
    BLOCKED,
    "com.ms.internal.nhwc",
)


def operator_of(node: NodeProto) -> str:
    """Return the operator of a node: ``Conv`` of ONNX, ``com.microsoft:FusedConv`` of others."""
    return qualified(node.domain, node.op_type)


def qualified(domain: str, name: str) -> str:
    """Return an operator by its domain and its name."""
    return name if domain in ONNX_DOMAINS else f"{domain}:{name}"


def _microsoft(names: str) -> tuple[str, ...]:
    """Return operators of ONNX Runtime's domain, from names in a text."""
    return tuple(qualified(MICROSOFT, name) for name in names.split())


def _blocked(name: str) -> str:
    return qualified(BLOCKED, name)


REORDER_INPUT = _blocked("ReorderInput")
REORDER_OUTPUT = _blocked("ReorderOutput")
BLOCKED_CONVOLUTION = _blocked("Conv")
BLOCKED_POOLS = (_blocked("MaxPool"), _blocked("AveragePool"))
BLOCKED_GLOBAL_POOLS = (_blocked("GlobalAveragePool"), _blocked("GlobalMaxPool"))
BLOCKED_UPSAMPLE = _blocked("Upsample")

# Each element of the output comes from the elements at its own position; normalisations and
# softmax, which mix elements only to rescale them, count as such.
ONNX_ELEMENTWISE = frozenset(
    """
    Abs Acos Acosh Add Affine And Asin Asinh Atan Atanh BatchNormalization Bernoulli
    BitShift Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout
    DynamicQuantizeLinear Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual
    GroupNormalization HardSigmoid HardSwish Identity ImageScaler InstanceNormalization
    LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization Max
    Mean MeanVarianceNormalization Min Mish Mod Mul Neg Not Or PRelu ParametricSoftplus
    Pow QuantizeLinear RMSNormalization Reciprocal Relu Round ScaledTanh Selu Shrink
    Sigmoid Sign SimplifiedLayerNormalization Sin Sinh Softmax Softplus Softsign Sqrt Sub
    Sum Swish Tan Tanh ThresholdedRelu Where Xor
    """.split()
)
ELEMENTWISE = ONNX_ELEMENTWISE.union(
    _microsoft(
        """
        BiasAdd BiasDropout BiasGelu BiasSoftmax DequantizeLinear FastGelu Gelu GroupNorm
        QLinearAdd QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QLinearWhere
        QuantizeLinear QuickGelu SkipGroupNorm SkipLayerNormalization
        SkipSimplifiedLayerNormalization
        """
    )
)
QUANTISED_CONVOLUTIONS = ("QLinearConv", *_microsoft("QLinearConv"))
CONVOLUTIONS = ("Conv", "QLinearConv", "ConvInteger")
# their fourth input is added to the result
FUSED_CONVOLUTIONS = (*_microsoft("FusedConv"), BLOCKED_CONVOLUTION)
POOLS = ("MaxPool", "AveragePool", "LpPool", *BLOCKED_POOLS)
GLOBAL_POOLS = (
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GlobalLpPool",
    *BLOCKED_GLOBAL_POOLS,
)
UPSAMPLES = ("Upsample", BLOCKED_UPSAMPLE)
# on (image, row, column, unit): always, or where their attribute channels_last is set
NHWC_CONVOLUTIONS = _microsoft("NhwcConv")
NHWC_FUSED_CONVOLUTIONS = _microsoft("NhwcFusedConv")
NHWC_POOLS = _microsoft("NhwcMaxPool")
EITHER_CONVOLUTIONS = _microsoft("QLinearConv")
EITHER_POOLS = _microsoft("QLinearAveragePool")
EITHER_GLOBAL_POOLS = _microsoft("QLinearGlobalAveragePool")
REDUCTIONS = (
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceProd",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
    *_microsoft("QLinearReduceMean"),
)
QUANTISED_PRODUCTS = ("QLinearMatMul", *_microsoft("QGemm"))
PRODUCTS = {  # index of the right operand
    **dict.fromkeys(("MatMul", "Gemm", "MatMulInteger"), 1),
    **dict.fromkeys(
        _microsoft(
            "FusedMatMul TransposeMatMul FusedGemm DynamicQuantizeMatMul "
            "MatMulIntegerToFloat MatMulNBits"
        ),
        1,
    ),
    **dict.fromkeys(QUANTISED_PRODUCTS, 3),
}
QUANTISED_CONCATENATIONS = _microsoft("QLinearConcat")
CONCATENATIONS = ("Concat", *QUANTISED_CONCATENATIONS)
PADDINGS = ("Pad", *_microsoft("Pad"))
RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
# the output has the positions of the queries
ATTENTION = ("Attention", *_microsoft("Attention MultiHeadAttention"))
QUANTISING = (
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    *_microsoft("QuantizeLinear DequantizeLinear"),
)
