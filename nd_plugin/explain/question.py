"""Questions about a model: contributions of a layer to an output, for some inputs.

Notes tell what of a dissection does not fit a question: its weights or its precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from nd_plugin.contracts.models import Model
from nd_plugin.contracts.precision import computed_precision
from nd_plugin.explain.displayed_image import preprocess_of
from nd_plugin.explain.targets import Target, target_of
from nd_plugin.results.dissection import Dissection

KINDS = ("linear", "gradient", "ablation", "activation")


@dataclass(frozen=True, eq=False)
class Question:
    """Model, layer, inputs and target of an attribution, with its options."""

    model: Model
    layer: Any
    inputs: tuple[Any, ...]  # additional forward arguments included
    target: Target = None
    at_input: bool = False  # attribute to the layer's input instead of its output
    multiply: bool = True  # by the activations
    grad_kwargs: dict[str, Any] = field(default_factory=dict)
    device_ids: Sequence[int] | None = None

    @property
    def image_count(self) -> int:
        """Length of the first tensor among the inputs; 1 if there is none."""
        for item in self.inputs:
            if isinstance(item, Tensor) and item.dim():
                return len(item)
        return 1

    def for_image(self, image_index: int) -> Question:
        """Return the same question about one image: a batch of one."""
        inputs = tuple(self._input_of(item, image_index) for item in self.inputs)
        target = target_of(self.target, image_index)
        return replace(self, inputs=inputs, target=target)

    def _input_of(self, item: Any, image_index: int) -> Any:
        if not isinstance(item, Tensor) or not item.dim():
            return item
        if len(item) != self.image_count:
            return item
        return item[image_index : image_index + 1]


@dataclass(frozen=True, eq=False)
class Contributions:
    """Contributions of a layer's units, in the layer's own shape."""

    kind: str
    tensors: tuple[Tensor, ...]
    several: bool = False  # the layer returns a tuple, and so does `attribute`
    bias: Tensor | None = None  # (image,), of a linear head


def notes_on_dissection(
    question: Question, dissection: Dissection
) -> tuple[str, ...]:
    """Note an assumed preprocessing, a model with other weights, and another precision."""
    preprocess = preprocess_of(dissection)
    notes = preprocess.notes if preprocess else ()
    return (
        *notes,
        *_on_weights(question, dissection),
        *_on_precision(question, dissection),
    )


def _on_weights(question: Question, dissection: Dissection) -> Iterator[str]:
    """Yield a note on other weights; a fingerprint "" is unknown."""
    dissected = dissection.provenance.model.fingerprint
    explained = question.model.identity.fingerprint
    if dissected and explained and dissected != explained:
        yield (
            f"the dissection is of a model with other weights "
            f"(fingerprint {dissected}; this model has {explained})"
        )


def _on_precision(question: Question, dissection: Dissection) -> Iterator[str]:
    """Yield a note on another precision; "" is not recorded."""
    dissected = dissection.provenance.precision
    explained = computed_precision(question.model)
    if dissected and explained and dissected != explained:
        yield (
            f"the dissection was computed in {dissected}, and this explanation in {explained}: "
            "activations and thresholds differ by their rounding"
        )
