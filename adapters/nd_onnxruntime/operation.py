"""Operations: nodes of a graph with the shapes, positions and values of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from onnx import NodeProto, helper
from torch import Tensor

from nd_plugin import Positions

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Operation:
    """Node with all that is known of its inputs and outputs, for one of its outputs."""

    node: NodeProto
    input_shapes: Sequence[torch.Size | None]
    input_positions: Sequence[Positions | None]  # None: not derived from the image
    # of small inputs; None: large, or of the pixels
    input_values: Sequence[Values | None]
    output_shapes: Sequence[torch.Size | None]
    output_index: int  # of the output whose positions are derived
    in_blocks: bool = False  # the output is kept in blocks of channels

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
    def shape(self) -> torch.Size:
        """Shape of the output, which is known to be a tensor."""
        shape = self.output_shapes[self.output_index]
        assert shape is not None
        return shape

    @property
    def source(self) -> Positions:
        """Positions of the first input, which is known to have them."""
        positions = self.input_positions[0]
        assert positions is not None
        return positions

    @property
    def known_positions(self) -> list[Positions]:
        """Positions of all inputs that have them."""
        return [
            positions for positions in self.input_positions if positions is not None
        ]

    def move(self, change: Callable[[Tensor], Tensor]) -> Positions:
        """Apply an operation that moves elements to each coordinate of the first input."""
        return self.source.moved(change, self.shape)


Rule = Callable[[Operation], Positions | None]  # positions of the output
