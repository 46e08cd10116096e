"""ONNX operators grouped by their effect on positions: all opsets, and ONNX Runtime's domain."""

# Each element of the output comes from the elements at its own position; normalisations and
# softmax, which mix elements only to rescale them, count as such.
ELEMENTWISE = frozenset(
    """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization Bernoulli BiasGelu
    BitShift Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout
    DynamicQuantizeLinear Elu Equal Erf Exp FastGelu Floor Gelu Greater GreaterOrEqual
    GroupNorm GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization Max Mean
    MeanVarianceNormalization Min Mish Mod Mul Neg Not Or PRelu Pow QLinearAdd
    QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QuantizeLinear QuickGelu
    RMSNormalization Reciprocal Relu Round Selu Shrink Sigmoid Sign
    SimplifiedLayerNormalization Sin Sinh SkipLayerNormalization Softmax Softplus Softsign
    Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
    """.split()
)
CONVOLUTIONS = ("Conv", "QLinearConv", "ConvInteger", "FusedConv")
# index of a convolution's weights, where it is not 1
WEIGHT_INPUTS = {"QLinearConv": 3}
POOLS = ("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool")
GLOBAL_POOLS = (
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GlobalLpPool",
    "QLinearGlobalAveragePool",
)
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
    "QLinearReduceMean",
)
PRODUCTS = {  # index of the right operand
    "MatMul": 1,
    "Gemm": 1,
    "FusedMatMul": 1,
    "FusedGemm": 1,
    "MatMulInteger": 1,
    "DynamicQuantizeMatMul": 1,
    "QLinearMatMul": 3,
    "QGemm": 3,
}
CONCATENATIONS = ("Concat", "QLinearConcat")
RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
# the output has the positions of the queries
ATTENTION = ("Attention", "MultiHeadAttention")
