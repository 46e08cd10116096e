"""Blocked values: maps that ONNX Runtime keeps in blocks of 8 or 16 channels, and their real ones.

A file that ONNX Runtime optimised at its highest level and saved has operators of the domain
``com.microsoft.nchwc``. Their values have the shape (image, unit, row, column), but neighbouring
numbers belong to the units of one block, and zeros fill up the last block. They are exposed behind
an appended ReorderOutput, which puts them in order and drops the filling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from onnx import NodeProto, TensorProto, helper

from nd_onnxruntime.document import Document
from nd_onnxruntime.exposed_value import ExposedValue
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.operators import (
    BLOCKED,
    BLOCKED_CONVOLUTION,
    BLOCKED_GLOBAL_POOLS,
    BLOCKED_POOLS,
    BLOCKED_UPSAMPLE,
    ELEMENTWISE,
    MICROSOFT,
    REORDER_INPUT,
    REORDER_OUTPUT,
    operator_of,
)
from nd_onnxruntime.sessions import CPU_DEVICE, open_session

UNBLOCKED = (
    "kept by ONNX Runtime in blocks of channels, put in order by an appended ReorderOutput; such "
    "a file is made for processors like the one that it was optimised on"
)
PER_UNIT = (  # operators whose first input and output have the same units
    *ELEMENTWISE,
    # to (image, block, row, column, unit of the block) and back, around a product that broadcasts
    "Reshape",
    *BLOCKED_POOLS,
    *BLOCKED_GLOBAL_POOLS,
    BLOCKED_UPSAMPLE,
)
MAP_AXES = 4
SUMMAND = 3  # index of the input that a blocked convolution adds to its result


@dataclass(frozen=True)
class BlockedValues:
    """Values of a graph that are kept in blocks of channels."""

    document: Document
    graph: Graph

    @cached_property
    def names(self) -> set[str]:
        """Names of the blocked values."""
        names = set[str]()
        for node in self.graph.nodes:
            if self._is_blocked(node, names):
                names.update(value for value in node.output if value)
        return names

    def expose(
        self, value: str, shapes: Mapping[str, torch.Size]
    ) -> ExposedValue | None:
        """Expose blocked maps in order; None for others, as those with an axis for blocks."""
        if value not in self.names or len(shapes[value]) != MAP_AXES:
            return None
        name = f"{value}_in_order"
        channels = self.channels(value, shapes)
        order = helper.make_node(
            "ReorderOutput",
            [value],
            [name],
            name=name,
            domain=BLOCKED,
            channels=channels,
        )
        stored_units = shapes[value][1]
        restoring = _restoring(name, value, stored_units - channels)
        return ExposedValue(name, (order,), UNBLOCKED, restoring, channels)

    def channels(self, value: str, shapes: Mapping[str, torch.Size]) -> int:
        """Return the number of units of a blocked value, without those that fill the last block.

        It is stated where blocks begin or end. Between two convolutions it is not: there, filters
        of zeros at the end fill the block.
        """
        connected = self._connected(value)
        stated: list[int] = []
        for name in connected:
            stated += self._stated_channels(name, shapes)
        if stated:
            return max(stated)
        counted: list[int] = []
        for name in connected:
            counted += self._counted_channels(name)
        return max(counted, default=shapes[value][1])

    def _is_blocked(self, node: NodeProto, blocked: set[str]) -> bool:
        operator = operator_of(node)
        if node.domain == BLOCKED:
            return operator != REORDER_OUTPUT
        passes_blocks = operator in ("Concat", "Reshape") or operator in ELEMENTWISE
        return passes_blocks and not blocked.isdisjoint(node.input)

    def _connected(self, value: str) -> list[str]:
        """Return the blocked values that have the same units as ``value``, itself included."""
        connected = [value]
        for name in connected:
            for neighbour in self._neighbours(name):
                if neighbour in self.names and neighbour not in connected:
                    connected.append(neighbour)
        return connected

    def _neighbours(self, value: str) -> Iterator[str]:
        nodes = [
            self.graph.nodes[index] for index in self.graph.users.get(value, ())
        ]
        nodes.append(self.graph.nodes[self.graph.producers[value]])
        for node in nodes:
            same_units = _values_of_same_units(node)
            if value in same_units:
                yield from same_units

    def _stated_channels(
        self, value: str, shapes: Mapping[str, torch.Size]
    ) -> Iterator[int]:
        """Yield the counts of units that the ends of a blocked value state."""
        for index in self.graph.users.get(value, ()):
            user = self.graph.nodes[index]
            if operator_of(user) == REORDER_OUTPUT:
                yield _integer(user, "channels")
        producer = self.graph.nodes[self.graph.producers[value]]
        if operator_of(producer) == REORDER_INPUT:
            channel_axis = 3 if _integer(producer, "channels_last") else 1
            yield shapes[producer.input[0]][channel_axis]
        if (
            operator_of(producer) == "Concat"
        ):  # blocks are joined where they are full
            yield shapes[value][1]

    def _counted_channels(self, value: str) -> Iterator[int]:
        """Yield the number of filters up to the last one that is not zero, of a convolution."""
        producer = self.graph.nodes[self.graph.producers[value]]
        weight = producer.input[1] if len(producer.input) > 1 else ""
        is_convolution = operator_of(producer) == BLOCKED_CONVOLUTION
        if not is_convolution or weight not in self.graph.initializers:
            return
        filters = self.document.array(self.graph.initializers[weight])
        block = block_size()
        # filters are stored block by block, those of one block interleaved
        interleaved = filters.reshape(len(filters) // block, -1, block)
        in_use = np.flatnonzero((interleaved != 0).any(1))
        if len(in_use):
            yield int(in_use[-1]) + 1


def _restoring(name: str, value: str, filling: int) -> tuple[NodeProto, ...]:
    """Return the nodes that fill the last block up with zeros and bring maps into blocks."""
    amounts = [0, 0, 0, 0, 0, filling, 0, 0]
    pads = helper.make_node(
        "Constant",
        [],
        [f"{name}_pads"],
        value=helper.make_tensor("pads", TensorProto.INT64, [8], amounts),
    )
    pad = helper.make_node(
        "Pad", [name, f"{name}_pads"], [f"{name}_filled"], domain=MICROSOFT
    )
    blocks = helper.make_node(
        "ReorderInput",
        [f"{name}_filled"],
        [value],
        name=f"{name}_back",
        domain=BLOCKED,
    )
    return (pads, pad, blocks)


def _values_of_same_units(node: NodeProto) -> list[str]:
    """Return the inputs and outputs of a node that have the same units."""
    operator = operator_of(node)
    if operator in PER_UNIT:
        return [*node.input, *node.output]
    if operator == BLOCKED_CONVOLUTION:
        return [*node.input[SUMMAND : SUMMAND + 1], *node.output]
    return []


def _integer(node: NodeProto, name: str) -> int:
    for attribute in node.attribute:
        if attribute.name == name:
            return int(attribute.i)
    return 0


@lru_cache
def block_size() -> int:
    """Return the number of channels in a block, which ONNX Runtime chooses by the processor."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 1, 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("ReorderInput", ["x"], ["y"], domain=BLOCKED)
    graph = helper.make_graph([node], "blocks", [x], [y])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(BLOCKED, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = open_session(Document("blocks", model, {}), CPU_DEVICE)
    output = session.run(None, {"x": np.zeros((1, 4, 1, 1), np.float32)})[0]
    return int(output.shape[1])
