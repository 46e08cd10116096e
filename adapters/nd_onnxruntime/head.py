"""Linear heads: pooling and one linear map between a value and the output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

from nd_onnxruntime.document import Document
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.operators import operator_of

Array = npt.NDArray[Any]
POOLS = ("GlobalAveragePool", "ReduceMean", "AveragePool")
PASS_THROUGH = (
    "Dropout",
    "Identity",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Cast",
    "Transpose",
)
# put between weights and their use by exporters
WEIGHT_WRAPPERS = ("Identity", "Transpose", "Cast")


@dataclass(frozen=True)
class HeadWeights:
    """Weights of a linear head: outputs = pooled maps @ matrix.T + bias."""

    matrix: Array  # (output, unit)
    bias: Array  # (output,)


@dataclass(frozen=True)
class HeadReader:
    """Reader of the linear head of a model."""

    document: Document
    graph: Graph

    def read(self, value: str) -> HeadWeights | None:
        """Follow the nodes from ``value`` to the output, and return the weights of the linear map.

        None where other nodes lie between. It is not verified here that the head is exact: that the
        pooling covers the whole map, for example.
        """
        weights: HeadWeights | None = None
        for node, source in self._chain(value):
            operator = operator_of(node)
            if operator in POOLS or operator in PASS_THROUGH:
                continue
            if weights is None:
                weights = self._linear(node, source)
            elif operator == "Add":
                weights = self._add(weights, node, source)
            else:
                return None
            if weights is None:
                return None
        return weights

    def _chain(self, value: str) -> Iterator[tuple[NodeProto, str]]:
        """Yield the nodes that follow a value, each with its source, up to a model output.

        The chain breaks off where a value has no user or several.
        """
        outputs = {output.name for output in self.graph.proto.output}
        while value not in outputs:
            users = self.graph.users.get(value, [])
            if len(users) != 1:
                return
            node = self.graph.nodes[users[0]]
            yield node, value
            value = node.output[0]

    def _linear(self, node: NodeProto, source: str) -> HeadWeights | None:
        """Return the weights of a Gemm, MatMul or 1x1 convolution of ``source``, else None."""
        if len(node.input) < 2 or node.input[0] != source:
            return None
        weight = self._constant(node.input[1])
        bias = self._bias(node)
        if weight is None or bias is None:
            return None
        attributes = {
            item.name: helper.get_attribute_value(item) for item in node.attribute
        }
        operator = operator_of(node)
        if operator == "Gemm":
            return _gemm_weights(weight, bias, attributes)
        if operator == "MatMul" and weight.ndim == 2:
            return _weights(weight.T, np.zeros(1))
        if operator == "Conv":
            return _pointwise_weights(weight, bias, attributes)
        return None

    def _bias(self, node: NodeProto) -> Array | None:
        """Return the third input, 0 where it is left out; None where it is not constant."""
        if len(node.input) > 2 and node.input[2]:
            return self._constant(node.input[2])
        return np.zeros(1)

    def _add(
        self, weights: HeadWeights, node: NodeProto, source: str
    ) -> HeadWeights | None:
        """Add the constant summand of an Add node to the bias; None where it has none."""
        first, second = node.input
        summand = self._constant(second if first == source else first)
        if summand is None or summand.size not in (1, len(weights.bias)):
            return None
        return replace(weights, bias=weights.bias + summand.reshape(-1))

    def _constant(self, value: str) -> Array | None:
        """Return the array of a weight, wrapping nodes applied; None where it is not constant."""
        if value in self.graph.initializers:
            return self.document.array(self.graph.initializers[value])
        index = self.graph.producers.get(value)
        node = None if index is None else self.graph.nodes[index]
        if node is None or operator_of(node) not in WEIGHT_WRAPPERS:
            return None
        array = self._constant(node.input[0])
        if array is None or operator_of(node) != "Transpose":
            return array
        order = list(node.attribute[0].ints) if node.attribute else None
        return np.transpose(array, order)


def _gemm_weights(
    weight: Array, bias: Array, attributes: Mapping[str, Any]
) -> HeadWeights | None:
    """Return the weights of alpha * input @ weight + beta * bias, the input not transposed."""
    if attributes.get("transA"):
        return None
    matrix = weight if attributes.get("transB") else weight.T
    alpha = attributes.get("alpha", 1.0)
    beta = attributes.get("beta", 1.0)
    return _weights(alpha * matrix, beta * bias)


def _pointwise_weights(
    weight: Array, bias: Array, attributes: Mapping[str, Any]
) -> HeadWeights | None:
    """Return the weights of a convolution with a 1x1 kernel and a single group."""
    if weight.shape[2:] != (1, 1) or attributes.get("group", 1) != 1:
        return None
    return _weights(weight[:, :, 0, 0], bias)


def _weights(matrix: Array, bias: Array) -> HeadWeights:
    """Return weights with a contiguous matrix and one bias per output."""
    biases = np.broadcast_to(bias.reshape(-1), (len(matrix),)).copy()
    return HeadWeights(np.ascontiguousarray(matrix), biases)
