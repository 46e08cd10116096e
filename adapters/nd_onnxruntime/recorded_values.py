"""Recorded values of a survey: shapes, types, and the numbers that small tensors hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import AttributeProto, helper

from nd_onnxruntime.document import Document
from nd_onnxruntime.graph import Graph, values_used_by
from nd_onnxruntime.operators import operator_of

Array = npt.NDArray[Any]

# Elements of the largest tensor whose numbers are recorded. Shapes, axes, amounts of padding and
# indices of a Gather, from which positions are derived, are smaller; weights and maps are larger.
MAX_VALUE_ELEMENTS = 4096
SHAPE_OPERATORS = ("Shape", "Size")
# its second output, the mask, is the same for all images, or random
DROPOUT = "Dropout"
NUMBER_TYPES = {  # attributes of a Constant node that are numbers, and their types
    AttributeProto.INT: np.int64,
    AttributeProto.INTS: np.int64,
    AttributeProto.FLOAT: np.float32,
    AttributeProto.FLOATS: np.float32,
}


@dataclass
class RecordedValues:
    """Shapes, types and numbers of values, by name."""

    shapes: dict[str, torch.Size] = field(default_factory=dict)
    is_float: dict[str, bool] = field(default_factory=dict)  # of outputs of nodes
    small_values: dict[str, Array] = field(default_factory=dict)
    # of values whose numbers cannot be read: bfloat16
    unread_types: dict[str, str] = field(default_factory=dict)

    def add_constant(self, name: str, array: Array) -> None:
        """Record a constant of the model or a feed."""
        self.shapes[name] = torch.Size(array.shape)
        if array.size <= MAX_VALUE_ELEMENTS:
            self.small_values[name] = array

    def add_image(self, name: str, array: Array) -> None:
        """Record the shape of the image input, whose pixels are noise."""
        self.shapes[name] = torch.Size(array.shape)

    def add_output(
        self, name: str, array: Array, *, depends_on_pixels: bool
    ) -> None:
        """Record an output of a node; numbers that other images would change are left out."""
        self.shapes[name] = torch.Size(array.shape)
        self.is_float[name] = array.dtype.kind == "f"
        if array.size <= MAX_VALUE_ELEMENTS and not depends_on_pixels:
            self.small_values[name] = array

    def add_unread(self, name: str, shape: torch.Size, element_type: str) -> None:
        """Record an output of a node whose numbers cannot be read."""
        self.shapes[name] = shape
        self.is_float[name] = False
        self.unread_types[name] = element_type


def record_constants(document: Document, graph: Graph) -> RecordedValues:
    """Record the weights and constants of a graph; strings and sparse tensors are left out."""
    recorded = RecordedValues()
    for name, tensor in graph.initializers.items():
        shape = torch.Size(tensor.dims)
        recorded.shapes[name] = shape
        if shape.numel() <= MAX_VALUE_ELEMENTS:
            recorded.small_values[name] = document.array(tensor)
    for node in graph.nodes:
        if operator_of(node) == "Constant":
            for attribute in node.attribute:
                if attribute.type in NUMBER_TYPES:
                    recorded.add_constant(node.output[0], _numbers(attribute))
    return recorded


def _numbers(attribute: AttributeProto) -> Array:
    """Return the number or numbers of an attribute, as the Constant node outputs them."""
    numbers = helper.get_attribute_value(attribute)
    return np.array(numbers, NUMBER_TYPES[attribute.type])


def values_of_pixels(
    graph: Graph, node_indices: Sequence[int], image_name: str
) -> set[str]:
    """Return the values that depend on an image's pixels, not only on its shape.

    ``node_indices`` are in topological order. Shapes are assumed to be independent of pixels.
    """
    values = {image_name}
    for index in node_indices:
        node = graph.nodes[index]
        if operator_of(node) in SHAPE_OPERATORS:
            continue
        if not values.isdisjoint(values_used_by(node)):
            is_dropout = operator_of(node) == DROPOUT
            values.update(node.output[:1] if is_dropout else node.output)
    return values
