"""The linear head behind a value, read from the graph's own weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

from nd_onnxruntime.document import Document
from nd_onnxruntime.graph import Graph

Array = npt.NDArray[Any]
POOLS = ("GlobalAveragePool", "ReduceMean", "AveragePool")
PASSING = ("Dropout", "Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Transpose")


@dataclass(frozen=True)
class Weights:
    """Outputs = pooled maps @ matrix.T + bias."""

    matrix: Array  # (output, unit)
    bias: Array  # (output,)


def read_head(document: Document, graph: Graph, value: str) -> Weights | None:
    """What a walk from ``value`` to the output finds, if that is pooling and one linear map; not yet verified."""
    found: Weights | None = None
    for node, source in _chain(graph, value):
        if node.op_type in POOLS or node.op_type in PASSING:
            continue
        if found is None:
            found = _linear(document, graph, node, source)
        elif node.op_type == "Add":
            found = _plus(found, _other(document, graph, node, source))
        else:
            return None
        if found is None:
            return None
    return found


def _chain(graph: Graph, value: str) -> Iterator[tuple[NodeProto, str]]:
    """The nodes that follow, each the only user of what it takes; up to the model's only output."""
    outputs = {output.name for output in graph.proto.output}
    while value not in outputs:
        users = graph.users.get(value, [])
        if len(users) != 1:
            return
        node = graph.nodes[users[0]]
        yield node, value
        value = node.output[0]


def _linear(document: Document, graph: Graph, node: NodeProto, source: str) -> Weights | None:
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if len(node.input) < 2 or node.input[0] != source:
        return None
    matrix = _constant(document, graph, node.input[1])
    bias = _constant(document, graph, node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    if matrix is None or bias is None:
        return None
    if node.op_type == "Gemm" and not given.get("transA"):
        matrix = given.get("alpha", 1.0) * (matrix if given.get("transB") else matrix.T)
        return _weights(matrix, given.get("beta", 1.0) * bias)
    if node.op_type == "MatMul" and matrix.ndim == 2:
        return _weights(matrix.T, np.zeros(1))
    if node.op_type == "Conv" and matrix.shape[2:] == (1, 1) and given.get("group", 1) == 1:
        return _weights(matrix[:, :, 0, 0], bias)
    return None


def _weights(matrix: Array, bias: Array) -> Weights:
    return Weights(np.ascontiguousarray(matrix), np.broadcast_to(bias.reshape(-1), (len(matrix),)).copy())


def _plus(found: Weights, more: Array | None) -> Weights | None:
    if more is None or more.size not in (1, len(found.bias)):
        return None
    return Weights(found.matrix, found.bias + more.reshape(-1))


def _other(document: Document, graph: Graph, node: NodeProto, source: str) -> Array | None:
    return _constant(document, graph, node.input[1] if node.input[0] == source else node.input[0])


def _constant(document: Document, graph: Graph, value: str) -> Array | None:
    """The values of a weight, through what some exporters put before it."""
    if value in graph.initializers:
        return document.array(graph.initializers[value])
    node = graph.nodes[graph.makers[value]] if value in graph.makers else None
    if node is None or node.op_type not in ("Identity", "Transpose", "Cast"):
        return None
    found = _constant(document, graph, node.input[0])
    if found is None or node.op_type != "Transpose":
        return found
    order = next((list(attribute.ints) for attribute in node.attribute), None)
    return np.transpose(found, order)
