"""Contributions through a linear head: exact; with the head's bias they sum to the logit."""

from __future__ import annotations

import torch
from torch import Tensor

from nd_plugin.contracts.split_models import LinearHead, SplitModel
from nd_plugin.errors import ModelFailed, UnitsNotFound
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.explain.layer_pass import LayerPass
from nd_plugin.explain.question import Contributions, Question
from nd_plugin.explain.targets import select
from nd_plugin.receptive_fields.layout import Layout, from_maps

TOLERANCE = 1e-3  # of the largest output: admissible error of a head's own sum, TF32 included


def linear_contributions(
    question: Question, cuts: LayerCuts, layer_pass: LayerPass
) -> Contributions | None:
    """Return w_n * x_n of each cell; None if no linear head follows the layer."""
    head = find_head(question, cuts)
    if head is None:
        return None
    layout = cuts.cut(question).layout
    if not _agrees(head, layout, layer_pass):
        # the weights have changed since it was verified
        cuts.forget_head(question)
        head = find_head(question, cuts)
        if head is None or not _agrees(head, layout, layer_pass):
            return None
    return _through_head(question, head, layout, layer_pass)


def find_head(question: Question, cuts: LayerCuts) -> LinearHead | None:
    """Return the verified linear head behind a layer, or None."""
    if (
        question.at_input
        or not isinstance(question.model, SplitModel)
        or not _is_images(question)
    ):
        return None
    try:
        return cuts.head(question)
    except (ModelFailed, UnitsNotFound):
        # fails on noise or no units: gradients may still exist
        return None


def _is_images(question: Question) -> bool:
    if len(question.inputs) != 1:
        return False
    images = question.inputs[0]
    return isinstance(images, Tensor) and images.dim() == 4


def _agrees(head: LinearHead, layout: Layout, layer_pass: LayerPass) -> bool:
    """Return whether the head reproduces the outputs of this forward pass."""
    outputs = layer_pass.outputs
    if not isinstance(outputs, Tensor):
        return False
    pooled = layout.maps(layer_pass.values[0]).mean((2, 3))
    predicted = pooled @ head.weight.T + head.bias
    if predicted.shape != outputs.shape:
        return False
    largest = float(outputs.abs().max()) if outputs.numel() else 0.0
    return torch.allclose(predicted, outputs, rtol=0, atol=TOLERANCE * largest)


def _through_head(
    question: Question, head: LinearHead, layout: Layout, layer_pass: LayerPass
) -> Contributions:
    """Weight each cell: the mean over a map of w_n * x_n is the unit's contribution."""
    value = layer_pass.values[0]
    maps = layout.maps(value)
    cells = maps.shape[2:].numel()
    outputs = layer_pass.outputs
    output_numbers = torch.arange(outputs.shape[1], device=outputs.device)
    # (image,)
    selected = select(output_numbers.expand(outputs.shape), question.target)
    weight_per_cell = (head.weight[selected] / cells)[:, :, None, None]
    if question.multiply:
        contributions = maps * weight_per_cell
    else:
        contributions = weight_per_cell.expand(maps.shape)
    in_layer_shape = from_maps(layout, contributions, value.shape)
    return Contributions("linear", (in_layer_shape,), bias=head.bias[selected])
