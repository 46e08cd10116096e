"""Quantised models: the numbers that their integers stand for.

In a QDQ model a value is followed by QuantizeLinear and DequantizeLinear, which ONNX Runtime fuses with their
neighbours: what comes out behind them is the value as the quantised model has it, and taking it there leaves the fusion
as it is. In a model of QLinear operators a value is an integer, and a DequantizeLinear is appended to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto, helper

from nd_onnxruntime.graph import Graph

BEHIND = "taken behind its QuantizeLinear and DequantizeLinear, as the quantised model has it"
APPENDED = "integers of a quantised operator, brought back to numbers by a DequantizeLinear that was appended"
SCALES = {
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QGemm": 7,
    "QuantizeLinear": 1,
    "QLinearConcat": 0,
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearReduceMean"), 3),
    **dict.fromkeys(("QLinearAveragePool", "QLinearGlobalAveragePool"), 3),
}  # which input of a node is the scale of its output; the zero point is the next
KEPT = (
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
class Exposed:
    """A value as it is taken from the graph."""

    value: str
    extra: tuple[NodeProto, ...] = ()
    note: str = ""


def exposed(graph: Graph, value: str) -> Exposed:
    """How ``value`` is taken: behind its quantisation where it has one, as numbers where it is integers."""
    quantised = _only_user(graph, value, "QuantizeLinear")
    if quantised is not None:
        numbers = _only_user(graph, quantised.output[0], "DequantizeLinear")
        if numbers is not None:
            return Exposed(numbers.output[0], (), BEHIND)
    scale = _scale(graph, value)
    if scale is None:
        return Exposed(value)
    name = f"{value}_as_numbers"
    return Exposed(name, (helper.make_node("DequantizeLinear", [value, *scale], [name], name=name),), APPENDED)


def _only_user(graph: Graph, value: str, kind: str) -> NodeProto | None:
    """The node of a kind that uses a value first, if all its users are of that kind."""
    users = [graph.nodes[number] for number in graph.users.get(value, ())]
    return users[0] if users and all(node.op_type == kind for node in users) else None


def _scale(graph: Graph, value: str) -> list[str] | None:
    """Scale and zero point of a value of integers; None where it has none."""
    number = graph.makers.get(value)
    if number is None:
        return None
    node = graph.nodes[number]
    if node.op_type in SCALES:
        place = SCALES[node.op_type]
        found = list(node.input[place : place + 2])
        return found if len(found) == 2 and found[0] else None  # QGemm without a scale gives numbers
    return _scale(graph, node.input[0]) if node.op_type in KEPT else None
