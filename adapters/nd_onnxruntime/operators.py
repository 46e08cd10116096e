"""ONNX operators by what they do to places: names of all opsets, and those of ONNX Runtime's own domain."""

WEIGHTS = {"QLinearConv": 3}  # which input holds the weights of a convolution, where it is not the second

# each element of the result comes from the elements at its own place; normalisations and softmax count as such
ELEMENTWISE = frozenset(
    """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization Bernoulli BiasGelu BitShift Cast CastLike Ceil
    Celu Clip Cos Cosh DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp FastGelu Floor Gelu
    Greater GreaterOrEqual GroupNorm GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization Max Mean MeanVarianceNormalization
    Min Mish Mod Mul Neg Not Or PRelu Pow QLinearAdd QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax
    QuantizeLinear QuickGelu RMSNormalization Reciprocal Relu Round Selu Shrink Sigmoid Sign
    SimplifiedLayerNormalization Sin Sinh SkipLayerNormalization Softmax Softplus Softsign Sqrt Sub Sum Swish Tan
    Tanh ThresholdedRelu Where Xor
    """.split()  # noqa: SIM905  # as a list it would be a page
)
ATTENTION = frozenset(("Attention", "MultiHeadAttention"))  # the places of the queries
PRODUCTS = {"MatMul": 1, "Gemm": 1, "FusedMatMul": 1, "FusedGemm": 1, "MatMulInteger": 1, "DynamicQuantizeMatMul": 1}
PRODUCTS |= {"QLinearMatMul": 3, "QGemm": 3}  # which input is the right operand
RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
