"""Models with a choice of precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from nd_torch.arithmetic import Arithmetic
from nd_torch.layer_hook import replace_tensors
from nd_torch.naming import find_leaves


class Computing(ABC):
    """Methods by which `TorchModel`, a dataclass, computes in a chosen precision."""

    device: torch.device
    chosen_precision: str | None
    opening_notes: tuple[str, ...]

    @property
    @abstractmethod
    def precision(self) -> str:
        """Number types of the weights; "" where there are none that can be seen."""

    @property
    def arithmetic(self) -> Arithmetic:
        """Arithmetic of the passes. Raises BadInput, Unavailable for what the device has not."""
        return Arithmetic(self.device, self.precision, self.chosen_precision)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on how the model was opened, and on what it computes in."""
        return (*self.opening_notes, *self.arithmetic.notes)

    @property
    def compute_precision(self) -> str:
        """Precision of the passes: as chosen, or that of the weights or of a live autocast."""
        return self.arithmetic.precision

    def in_precision(self, precision: str | None) -> Self:
        """Return the same model, computing in a precision.

        Raises BadInput, Unavailable for what the device has not.
        """
        # raises here, and not in the first pass
        Arithmetic(self.device, self.precision, precision)
        model: Any = self
        changed: Self = replace(model, chosen_precision=precision)
        return changed

    def computing(self) -> AbstractContextManager[None]:
        """Return a context in which operations have the precision of the model's passes."""
        return self.arithmetic.active(sets_autocast_aside=False)


def widened(output: Any, arithmetic: Arithmetic) -> Any:
    """Return a model's output with its tensors in float32 where the pass cast to half precision."""
    if not arithmetic.casts:
        return output
    replacements: dict[int, Tensor] = {}
    for leaf in find_leaves(output).values():
        if isinstance(leaf, Tensor):
            replacements[id(leaf)] = arithmetic.widened(leaf)
    return replace_tensors(output, replacements)
