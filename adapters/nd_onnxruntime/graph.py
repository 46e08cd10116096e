"""Graphs of ONNX models: which node computes a value, which nodes use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from nd_onnxruntime.operators import operator_of
from nd_onnxruntime.proto import bodies


@dataclass(frozen=True)
class Graph:
    """Top level of a model's graph; a node is identified by its index in topological order."""

    model: ModelProto

    @property
    def proto(self) -> GraphProto:
        """Protobuf message of the graph."""
        return self.model.graph

    @cached_property
    def nodes(self) -> Sequence[NodeProto]:
        """Nodes in topological order.

        The format demands that order of the file, but some tools write another: then it is sorted.
        """
        listed = list(self.proto.node)
        dependencies = _dependencies(listed)
        if _is_topological(dependencies):
            return listed
        order = TopologicalSorter(dependencies).static_order()
        return [listed[index] for index in order]

    @cached_property
    def producers(self) -> dict[str, int]:
        """Node that computes each value."""
        return _producers(self.nodes)

    @cached_property
    def users(self) -> dict[str, list[int]]:
        """Nodes that use each value, in their bodies too."""
        users: dict[str, list[int]] = {}
        for index, node in enumerate(self.nodes):
            for value in dict.fromkeys(values_used_by(node)):
                users.setdefault(value, []).append(index)
        return users

    @cached_property
    def initializers(self) -> dict[str, TensorProto]:
        """Weights and other constants by name, tensors of Constant nodes included."""
        tensors = {tensor.name: tensor for tensor in self.proto.initializer}
        for node in self.nodes:
            is_constant = (
                operator_of(node) == "Constant" and len(node.attribute) > 0
            )
            if is_constant and node.attribute[0].name == "value":
                tensors[node.output[0]] = node.attribute[0].t
        return tensors

    @cached_property
    def inputs(self) -> Sequence[ValueInfoProto]:
        """Inputs that have to be fed: up to IR version 3, files list initializers as inputs too."""
        graph = self.proto
        stored = {tensor.name for tensor in graph.initializer}
        stored |= {sparse.values.name for sparse in graph.sparse_initializer}
        return tuple(value for value in graph.input if value.name not in stored)

    def ancestors(
        self, values: Iterable[str], available: Set[str] = frozenset()
    ) -> set[int]:
        """Return the nodes needed to compute ``values``, when the ``available`` ones are given."""
        nodes = set[int]()
        pending = list(values)
        while pending:
            value = pending.pop()
            index = self.producers.get(value)
            if index is None or index in nodes or value in available:
                continue
            nodes.add(index)
            pending.extend(values_used_by(self.nodes[index]))
        return nodes

    def descendants(self, value: str) -> set[int]:
        """Return the nodes that depend on ``value``."""
        nodes = set[int]()
        pending = list(self.users.get(value, ()))
        while pending:
            index = pending.pop()
            if index in nodes:
                continue
            nodes.add(index)
            for output in self.nodes[index].output:
                pending.extend(self.users.get(output, ()))
        return nodes

    def first_output(self, index: int) -> str:
        """Return the first value that a node computes; optional outputs may be left out."""
        outputs = self.nodes[index].output
        return next(str(value) for value in outputs if value)

    def values_in_bodies(self) -> dict[str, int]:
        """Return the values inside bodies of If, Loop and Scan, and the node of each."""
        inner: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            for value in _values_inside(node):
                inner[value] = index
        return inner


def values_used_by(node: NodeProto) -> Iterator[str]:
    """Yield the values that a node needs, those that its bodies take from outside included."""
    yield from (value for value in node.input if value)
    for body in bodies(node):
        defined = _defined_in(body)
        for inner in body.node:
            yield from (
                value for value in values_used_by(inner) if value not in defined
            )
        yield from (
            value.name for value in body.output if value.name not in defined
        )


def _defined_in(body: GraphProto) -> set[str]:
    """Return the names that a body defines itself: inputs, weights, outputs of its nodes."""
    names = {value.name for value in body.input}
    names.update(tensor.name for tensor in body.initializer)
    for node in body.node:
        names.update(node.output)
    return names


def _values_inside(node: NodeProto) -> Iterator[str]:
    for body in bodies(node):
        for inner in body.node:
            yield from inner.output
            yield from _values_inside(inner)


def _producers(nodes: Iterable[NodeProto]) -> dict[str, int]:
    producers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for value in node.output:
            if value:  # optional outputs that are left out have no name
                producers[value] = index
    return producers


def _dependencies(nodes: Sequence[NodeProto]) -> dict[int, set[int]]:
    """Return, for each node, the nodes whose outputs it uses."""
    producers = _producers(nodes)
    dependencies: dict[int, set[int]] = {}
    for index, node in enumerate(nodes):
        used = values_used_by(node)
        dependencies[index] = {
            producers[value] for value in used if value in producers
        }
    return dependencies


def _is_topological(dependencies: Mapping[int, Set[int]]) -> bool:
    """Return whether every node depends on nodes of lower index only."""
    return all(
        max(needed, default=-1) < index for index, needed in dependencies.items()
    )
