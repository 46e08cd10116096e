"""Walks over ONNX protobuf messages: graphs inside nodes, tensors of a graph."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs inside a node: branches of an If, the body of a Loop or Scan."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def tensors_of(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield every tensor stored in a graph: initializers and attributes, bodies included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from _attribute_tensors(node)
        for body in bodies(node):
            yield from tensors_of(body)


def external_tensors(graph: GraphProto) -> list[TensorProto]:
    """List the tensors whose values are stored in files beside the model."""
    external = TensorProto.EXTERNAL
    return [
        tensor for tensor in tensors_of(graph) if tensor.data_location == external
    ]


def _attribute_tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        for tensor in (attribute.t, *attribute.tensors):
            if tensor.ByteSize():  # an attribute of another type has an empty `t`
                yield tensor
