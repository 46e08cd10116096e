"""Operations: nodes of a graph with the shapes, positions and values of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from onnx import NodeProto, helper

from nd_plugin import Positions

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Operation:
    """Node with all that is known of its inputs and outputs."""

    node: NodeProto
    input_shapes: Sequence[torch.Size | None]
    input_positions: Sequence[Positions | None]  # None: not derived from the image
    input_values: Sequence[Values | None]  # of small inputs
    output_shapes: Sequence[torch.Size | None]

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return the value of an attribute, text decoded."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def integers(self, index: int, attribute: str = "") -> list[int] | None:
        """Return the integers of an input or, as in earlier opsets, of an attribute, else None."""
        value = self.input_values[index] if index < len(self.input_values) else None
        if value is not None:
            return [int(number) for number in value.reshape(-1)]
        numbers = self.attribute(attribute)
        return None if numbers is None else [int(number) for number in numbers]

    def input_shape(self, index: int) -> torch.Size:
        """Return the shape of an input that is known to be a tensor."""
        shape = self.input_shapes[index]
        assert shape is not None
        return shape

    @property
    def source(self) -> Positions | None:
        """Positions of the first input."""
        return self.input_positions[0] if self.input_positions else None


# from an operation, the positions of its first input and the shape of its output to the positions
# of that output
Rule = Callable[[Operation, Positions, torch.Size], Positions | None]
