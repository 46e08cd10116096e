"""Quantised models: values are exposed as the numbers that their integers represent.

In a QDQ model, a value passes QuantizeLinear and DequantizeLinear, which ONNX Runtime fuses with
the neighbouring nodes. The value after both is the one that the quantised model computes, and
exposing it keeps the fusion intact. In a model of QLinear operators, a value is an integer: a
DequantizeLinear is appended to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto, helper

from nd_onnxruntime.exposed_value import ExposedValue
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.operators import MICROSOFT, NHWC_POOLS, operator_of

AFTER_QDQ = "taken after its QuantizeLinear and DequantizeLinear, as the quantised model uses it"
APPENDED = (
    "integers of a quantised operator, dequantised by an appended DequantizeLinear"
)
QUANTISE = ("QuantizeLinear", f"{MICROSOFT}:QuantizeLinear")
DEQUANTISE = ("DequantizeLinear", f"{MICROSOFT}:DequantizeLinear")
MICROSOFT_SCALE_INPUTS = {
    "QLinearConv": 6,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QGemm": 7,
    "QuantizeLinear": 1,
    "QLinearConcat": 0,
    "QLinearSigmoid": 3,
    "QLinearLeakyRelu": 3,
    "QLinearSoftmax": 3,
    "QLinearReduceMean": 3,
    "QLinearAveragePool": 3,
    "QLinearGlobalAveragePool": 3,
}
SCALE_INPUTS = {  # index of the scale of a node's output; the zero point is the next input
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QuantizeLinear": 1,
    **{
        f"{MICROSOFT}:{name}": index
        for name, index in MICROSOFT_SCALE_INPUTS.items()
    },
}
SCALE_PRESERVING = (  # operators whose output has the scale of their input
    "MaxPool",
    "Relu",
    "Clip",
    "Reshape",
    "Transpose",
    "Flatten",
    "Pad",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Slice",
    *NHWC_POOLS,
)


def expose(graph: Graph, value: str) -> ExposedValue:
    """Choose what to read for ``value``: the value after its QDQ pair, or dequantised integers."""
    dequantised = _value_after_qdq(graph, value)
    if dequantised is not None:
        return ExposedValue(dequantised, (), AFTER_QDQ)
    scale = _scale_inputs(graph, value)
    if scale is None:
        return ExposedValue(value)
    name = f"{value}_as_numbers"
    dequantise = helper.make_node(
        "DequantizeLinear", [value, *scale], [name], name=name
    )
    requantise = helper.make_node(
        "QuantizeLinear", [name, *scale], [value], name=f"{name}_back"
    )
    return ExposedValue(name, (dequantise,), APPENDED, (requantise,))


def _value_after_qdq(graph: Graph, value: str) -> str | None:
    """Return the value after the QuantizeLinear and DequantizeLinear that follow ``value``."""
    quantise = _first_user(graph, value, QUANTISE)
    if quantise is None:
        return None
    dequantise = _first_user(graph, quantise.output[0], DEQUANTISE)
    return None if dequantise is None else dequantise.output[0]


def _first_user(
    graph: Graph, value: str, operators: Sequence[str]
) -> NodeProto | None:
    """Return the first node that uses a value, if all its users are of some operators."""
    users = [graph.nodes[index] for index in graph.users.get(value, ())]
    are_all = all(operator_of(node) in operators for node in users)
    return users[0] if users and are_all else None


def _scale_inputs(graph: Graph, value: str) -> list[str] | None:
    """Return the names of scale and zero point of an integer value; None where it has none."""
    index = graph.producers.get(value)
    if index is None:
        return None
    node = graph.nodes[index]
    operator = operator_of(node)
    if operator in SCALE_PRESERVING:
        return _scale_inputs(graph, node.input[0])
    if operator not in SCALE_INPUTS:
        return None
    first = SCALE_INPUTS[operator]
    inputs = list(node.input[first : first + 2])
    # a QGemm without one computes floats
    has_scale = len(inputs) == 2 and inputs[0] != ""
    return inputs if has_scale else None
