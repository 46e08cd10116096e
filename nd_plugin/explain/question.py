"""Questions about a model: which layer, which inputs, which output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from nd_plugin.contracts.models import Model
from nd_plugin.explain.targets import Target, target_of

KINDS = ("linear", "gradient", "ablation", "activation")


@dataclass(frozen=True, eq=False)
class Question:
    """Whose contributions to what: everything that `attribute` was asked."""

    model: Model
    layer: Any
    inputs: tuple[Any, ...]  # additional forward arguments included
    target: Target = None
    at_input: bool = False
    multiply: bool = True  # by the activations
    grad_kwargs: dict[str, Any] = field(default_factory=dict)
    device_ids: Sequence[int] | None = None

    @property
    def images(self) -> int:
        """How many there are."""
        return next(
            (len(item) for item in self.inputs if isinstance(item, Tensor) and item.dim()), 1
        )

    def only(self, image: int) -> Question:
        """The same of one image."""
        inputs = tuple(
            item[image : image + 1]
            if isinstance(item, Tensor) and item.dim() and len(item) == self.images
            else item
            for item in self.inputs
        )
        return replace(self, inputs=inputs, target=target_of(self.target, image))


@dataclass(frozen=True, eq=False)
class Contributions:
    """Of one layer, in its own shape."""

    kind: str
    tensors: tuple[Tensor, ...]
    several: bool = False  # the layer gives a tuple, and so does `attribute`
    bias: Tensor | None = None  # (image,), of a linear head
