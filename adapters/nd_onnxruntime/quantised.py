"""Quantised models: values are exposed as the numbers that their integers represent.

In a QDQ model, a value passes QuantizeLinear and DequantizeLinear, which ONNX Runtime fuses with
the neighbouring nodes. The value after both is the one that the quantised model computes, and
exposing it keeps the fusion intact. In a model of QLinear operators, a value is an integer: a
DequantizeLinear is appended to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto, helper

from nd_onnxruntime.graph import Graph

AFTER_QDQ = "taken after its QuantizeLinear and DequantizeLinear, as the quantised model uses it"
APPENDED = (
    "integers of a quantised operator, dequantised by an appended DequantizeLinear"
)
SCALE_INPUTS = {  # index of the scale of a node's output; the zero point is the next input
    "QLinearConv": 6,
    "QLinearMatMul": 6,
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
)


@dataclass(frozen=True)
class ExposedValue:
    """Value to read from the graph in place of a layer's own."""

    name: str
    # nodes that compute it, if the graph has none
    appended: tuple[NodeProto, ...] = ()
    note: str = ""  # for the reader of the results


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
    return ExposedValue(name, (dequantise,), APPENDED)


def requantise(exposed: ExposedValue) -> tuple[NodeProto, ...]:
    """Return the nodes that compute a layer's integers from its exposed, dequantised value."""
    nodes = []
    for dequantise in exposed.appended:
        integers, *scale = dequantise.input
        inputs = [dequantise.output[0], *scale]
        name = f"{dequantise.name}_back"
        nodes.append(
            helper.make_node("QuantizeLinear", inputs, [integers], name=name)
        )
    return tuple(nodes)


def _value_after_qdq(graph: Graph, value: str) -> str | None:
    """Return the value after the QuantizeLinear and DequantizeLinear that follow ``value``."""
    quantise = _first_user(graph, value, "QuantizeLinear")
    if quantise is None:
        return None
    dequantise = _first_user(graph, quantise.output[0], "DequantizeLinear")
    return None if dequantise is None else dequantise.output[0]


def _first_user(graph: Graph, value: str, kind: str) -> NodeProto | None:
    """Return the first node that uses a value, if all its users are of that kind."""
    users = [graph.nodes[index] for index in graph.users.get(value, ())]
    kinds = {node.op_type for node in users}
    return users[0] if kinds == {kind} else None


def _scale_inputs(graph: Graph, value: str) -> list[str] | None:
    """Return the names of scale and zero point of an integer value; None where it has none."""
    index = graph.producers.get(value)
    if index is None:
        return None
    node = graph.nodes[index]
    if node.op_type in SCALE_PRESERVING:
        return _scale_inputs(graph, node.input[0])
    if node.op_type not in SCALE_INPUTS:
        return None
    first = SCALE_INPUTS[node.op_type]
    inputs = list(node.input[first : first + 2])
    # a QGemm without one computes floats
    has_scale = len(inputs) == 2 and inputs[0] != ""
    return inputs if has_scale else None
