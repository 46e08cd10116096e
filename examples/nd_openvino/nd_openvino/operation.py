"""Operations of a graph with the shapes and positions of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin import Positions


@dataclass(frozen=True)
class Operation:
    """Operation with all that is known of its inputs and outputs, for one of its outputs."""

    kind: str  # OpenVINO's type, such as "Convolution"
    attributes: Mapping[str, Any]
    input_shapes: Sequence[torch.Size | None]
    input_positions: Sequence[Positions | None]  # None: not derived from the image
    constants: Sequence[npt.NDArray[Any] | None]  # of small constant inputs
    output_shapes: Sequence[torch.Size | None]
    output_index: int  # of the output whose positions are derived

    def integers(self, index: int) -> list[int]:
        """Return the integers of a constant input. Raises LookupError where it is not constant."""
        values = self.constants[index]
        if values is None:
            raise LookupError(f"input {index} of {self.kind} is not constant")
        return [int(value) for value in np.reshape(values, -1)]

    def input_shape(self, index: int) -> torch.Size:
        """Return the shape of an input. Raises LookupError where it is unknown."""
        shape = self.input_shapes[index]
        if shape is None:
            raise LookupError(
                f"the shape of input {index} of {self.kind} is unknown"
            )
        return shape

    @property
    def shape(self) -> torch.Size:
        """Shape of the output. Raises LookupError where it is unknown."""
        shape = self.output_shapes[self.output_index]
        if shape is None:
            raise LookupError(f"the shape of a {self.kind} is unknown")
        return shape

    @property
    def source(self) -> Positions:
        """Positions of the first input. Raises LookupError where it has none."""
        positions = self.input_positions[0]
        if positions is None:
            raise LookupError(
                f"the positions of input 0 of {self.kind} are unknown"
            )
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
