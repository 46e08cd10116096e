"""A model's graph: who makes which value of what, and the part of it that some values need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from nd_onnxruntime.document import bodies


@dataclass(frozen=True)
class Graph:
    """The top level of a model; nodes are known by their number in an order in which they can run."""

    model: ModelProto

    @property
    def proto(self) -> GraphProto:
        """The graph's own message."""
        return self.model.graph

    @cached_property
    def nodes(self) -> Sequence[NodeProto]:
        """All nodes, each behind those that it needs: some tools leave a file in another order."""
        listed = list(self.proto.node)
        makers = {value: number for number, node in enumerate(listed) for value in node.output if value}
        needs = {
            number: {makers[value] for value in used_by(node) if value in makers} for number, node in enumerate(listed)
        }
        if all(before < number for number, befores in needs.items() for before in befores):
            return listed
        return [listed[number] for number in TopologicalSorter(needs).static_order()]

    @cached_property
    def makers(self) -> dict[str, int]:
        """Which node makes a value."""
        return {value: number for number, node in enumerate(self.nodes) for value in node.output if value}

    @cached_property
    def users(self) -> dict[str, list[int]]:
        """Which nodes use a value, inside their bodies too."""
        found: dict[str, list[int]] = {}
        for number, node in enumerate(self.nodes):
            for value in dict.fromkeys(used_by(node)):
                found.setdefault(value, []).append(number)
        return found

    @cached_property
    def initializers(self) -> dict[str, TensorProto]:
        """Weights and other constants, those in Constant nodes too."""
        found = {tensor.name: tensor for tensor in self.proto.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                found[node.output[0]] = node.attribute[0].t
        return found

    @cached_property
    def inputs(self) -> Sequence[ValueInfoProto]:
        """What has to be fed: up to IR version 3 initializers are listed as inputs too, and are none."""
        own = {tensor.name for tensor in self.proto.initializer}
        own.update(sparse.values.name for sparse in self.proto.sparse_initializer)
        return tuple(value for value in self.proto.input if value.name not in own)

    def ancestors(self, values: Iterable[str], given: Set[str] = frozenset()) -> set[int]:
        """The nodes that ``values`` need, where the values ``given`` are there already."""
        found, left = set[int](), list(values)
        while left:
            value = left.pop()
            number = self.makers.get(value)
            if number is not None and value not in given and number not in found:
                found.add(number)
                left += used_by(self.nodes[number])
        return found

    def descendants(self, value: str) -> set[int]:
        """The nodes that need ``value``."""
        found, left = set[int](), list(self.users.get(value, ()))
        while left:
            number = left.pop()
            if number not in found:
                found.add(number)
                left += [user for output in self.nodes[number].output for user in self.users.get(output, ())]
        return found

    def inner_values(self) -> dict[str, int]:
        """Values inside the bodies of If, Loop and Scan, and the node that holds each."""
        return {value: number for number, node in enumerate(self.nodes) for value in _made_inside(node)}


def used_by(node: NodeProto) -> Iterator[str]:
    """The values that a node needs; what its bodies take from around them counts."""
    yield from (value for value in node.input if value)
    for body in bodies(node):
        own = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
        own.update(output for inner in body.node for output in inner.output)
        yield from (value for inner in body.node for value in used_by(inner) if value not in own)
        yield from (value.name for value in body.output if value.name not in own)


def _made_inside(node: NodeProto) -> Iterator[str]:
    for body in bodies(node):
        for inner in body.node:
            yield from inner.output
            yield from _made_inside(inner)


def part_of(
    graph: Graph,
    outputs: Sequence[str],
    inputs: Sequence[ValueInfoProto],
    extra: Sequence[NodeProto] = (),
    lead: Sequence[NodeProto] = (),
) -> ModelProto:
    """The model that computes ``outputs`` from ``inputs`` and no more, ``lead`` nodes first and ``extra`` nodes last.

    IR version, opsets and metadata are carried over. The outputs have no type: ONNX Runtime infers it. What the file
    says of the shapes of inner values is left out, for it may hold for a batch of one only.
    """
    made = {value for node in extra for value in node.output}
    given = {value.name for value in inputs} | {value for node in lead for value in node.output}
    wanted = {value for value in outputs if value not in made}
    wanted |= {value for node in (*lead, *extra) for value in used_by(node)} - made
    kept = [graph.nodes[number] for number in sorted(graph.ancestors(wanted, given))]
    used = {value for node in (*lead, *kept, *extra) for value in used_by(node)} | wanted
    part = ModelProto(ir_version=graph.model.ir_version, producer_name=graph.model.producer_name)
    part.opset_import.extend(graph.model.opset_import)
    part.metadata_props.extend(graph.model.metadata_props)
    part.graph.name = graph.proto.name or "part"
    part.graph.node.extend((*lead, *kept, *extra))
    taken = set[str]()
    for node in part.graph.node:
        if node.name in taken:
            node.name = ""  # ONNX Runtime takes no two nodes of one name
        taken.add(node.name)
    part.graph.initializer.extend(t for t in graph.proto.initializer if t.name in used and t.name not in given)
    part.graph.sparse_initializer.extend(s for s in graph.proto.sparse_initializer if s.values.name in used)
    part.graph.input.extend(value for value in inputs if value.name in used)
    part.graph.output.extend(ValueInfoProto(name=value) for value in dict.fromkeys(outputs))
    return part
