"""Contributions through a linear head: exact, with their bias the logit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.split_models import LinearHead, SplitModel
from nd_plugin.errors import ModelFailed, UnitsNotFound
from nd_plugin.explain.cuts import LayerCuts, layer_and_outputs
from nd_plugin.explain.question import Contributions, Question
from nd_plugin.explain.targets import select
from nd_plugin.receptive_fields.layout import Layout, from_maps

LINEAR = 1e-3  # of the largest output: how far a head's own sum may be from it, TF32 included


def _linear(question: Question, cuts: LayerCuts) -> Contributions | None:
    head = _head(question, cuts)
    if head is None:
        return None
    layout = cuts.of(question).layout
    value, output = layer_and_outputs(question)
    found = _linear_of(question, head, layout, value, output)
    if found is None:  # the weights have changed since
        cuts.forget(question)
        head = _head(question, cuts)
        found = _linear_of(question, head, layout, value, output) if head else None
    return found


def _head(question: Question, cuts: LayerCuts) -> LinearHead | None:
    one = (
        len(question.inputs) == 1
        and isinstance(question.inputs[0], Tensor)
        and question.inputs[0].dim() == 4
    )
    if not one or question.at_input or not isinstance(question.model, SplitModel):
        return None
    try:
        return cuts.head(question)
    except (
        ModelFailed,
        UnitsNotFound,
    ):  # it takes no noise, or has units laid out otherwise: it may have gradients
        return None


def _linear_of(
    question: Question, head: LinearHead, layout: Layout, value: Tensor, output: Any
) -> Contributions | None:
    """w_n * x_n, cell by cell; None where the sum is not the output after all."""
    maps = layout.maps(value)
    if not isinstance(output, Tensor):
        return None
    said = maps.mean((2, 3)) @ head.weight.T + head.bias
    if said.shape != output.shape or not torch.allclose(
        said, output, rtol=0, atol=LINEAR * _largest(output)
    ):
        return None
    numbers = torch.arange(output.shape[1], device=output.device).expand(output.shape)
    chosen = select(numbers, question.target)  # which output each image is asked about
    weight = (head.weight[chosen] / maps.shape[2:].numel())[:, :, None, None]
    whole = maps * weight if question.multiply else weight.expand(maps.shape)
    return Contributions("linear", (from_maps(layout, whole, value.shape),), bias=head.bias[chosen])


def _largest(output: Tensor) -> float:
    return float(output.abs().max()) if output.numel() else 0.0
