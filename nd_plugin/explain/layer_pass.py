"""Forward pass of a question's inputs, shared where the layer's values or outputs are needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.split_models import SplitModel, Trace, TracedModel
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.explain.question import Question


class LayerPass:
    """Values of a layer and outputs of the model for a question's inputs, without gradients.

    Computed when first read, and once: in one forward pass where the model can be traced.
    """

    def __init__(self, question: Question, cuts: LayerCuts) -> None:
        self._question = question
        self._cuts = cuts

    @cached_property
    def values(self) -> tuple[Tensor, ...]:
        """Tensors that the layer returns, in its own shape, or receives, for ``at_input``."""
        question = self._question
        if isinstance(question.model, TracedModel):
            return join_devices(self._trace.values)
        with torch.no_grad():
            if isinstance(question.model, SplitModel):
                with self._cuts.open(question) as rest:
                    return (rest.layer(*question.inputs),)
            return (_probed_maps(question),)

    @cached_property
    def outputs(self) -> Any:
        """Outputs of the model, as it returns them."""
        model = self._question.model
        if isinstance(model, TracedModel):
            return self._trace.output
        assert isinstance(model, SplitModel)
        with torch.no_grad():
            return model.outputs(*self._question.inputs)

    @property
    def several(self) -> bool:
        """Whether the layer returns a tuple or list of tensors."""
        return isinstance(self._question.model, TracedModel) and self._trace.several

    @cached_property
    def _trace(self) -> Trace:
        return trace(self._question, gradients=False)


def trace(question: Question, *, gradients: bool) -> Trace:
    """Run the model on a question's inputs and take the values of its layer."""
    assert isinstance(question.model, TracedModel)
    return question.model.trace(
        question.layer,
        question.inputs,
        at_input=question.at_input,
        gradients=gradients,
        device_ids=question.device_ids,
    )


def join_devices(values: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """Concatenate values of several devices, each for its share of images, on the first device."""
    first_device = values[0][0].device
    joined = []
    for same_tensor in zip(*values, strict=True):
        joined.append(
            torch.cat([tensor.to(first_device) for tensor in same_tensor])
        )
    return tuple(joined)


def _probed_maps(question: Question) -> Tensor:
    images = question.inputs[0]
    with question.model.probe([question.layer], tuple(images.shape[2:])) as probe:
        return probe(images)[probe.layers[0]]
