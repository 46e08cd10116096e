"""Contributions by ablation: decrease of the output when a unit is set to 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from captum._utils.common import _expand_target
from torch import Tensor

from nd_plugin.contracts.split_models import Rest
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.explain.layer_pass import LayerPass
from nd_plugin.explain.question import Contributions, Question
from nd_plugin.explain.targets import select
from nd_plugin.receptive_fields.layout import Layout, axes_of

UNITS_PER_PASS = 32  # units ablated in one pass through the layers behind


def ablation_contributions(
    question: Question, cuts: LayerCuts, layer_pass: LayerPass
) -> Contributions:
    """Measure each unit's loss of output when it is 0 everywhere.

    A unit's loss is distributed over its cells in proportion to the magnitude of their activations.
    """
    with cuts.open(question) as rest, torch.no_grad():
        (value,) = layer_pass.values[:1]
        layout = rest.layout
        outputs = select(layer_pass.outputs, question.target)
        magnitudes = by_unit(value, layout).abs()
        losses = outputs.new_zeros(magnitudes.shape[:2])
        for image, output in enumerate(outputs):
            image_value = value_of_image(value, layout, image)
            losses[image] = _losses(rest, question.for_image(image), image_value, output)
        smallest = torch.finfo(magnitudes.dtype).tiny
        shares = magnitudes / magnitudes.sum(2, keepdim=True).clamp_min(smallest)
        contributions = _in_layer_shape(shares * losses[:, :, None], value, layout)
    return Contributions("ablation", (contributions,))


def by_unit(value: Tensor, layout: Layout) -> Tensor:
    """Return a layer's output as (image, unit, cell); a class token counts as a cell here."""
    units_second = value.movedim(axes_of(layout), (0, 1))
    return units_second.flatten(2) if units_second.dim() > 2 else units_second[:, :, None]


def _in_layer_shape(cells: Tensor, value: Tensor, layout: Layout) -> Tensor:
    """Return (image, unit, cell) in the shape of ``value``: the inverse of `by_unit`."""
    units_second = value.movedim(axes_of(layout), (0, 1))
    return cells.view(units_second.shape).movedim((0, 1), axes_of(layout))


def value_of_image(value: Tensor, layout: Layout, image: int) -> Tensor:
    """Return one image of a layer's output, as a batch of one."""
    image_axis, _ = axes_of(layout)
    return value.narrow(image_axis, image, 1)


def _losses(rest: Rest, question: Question, value: Tensor, output: Tensor) -> Tensor:
    """Measure each unit's loss, (unit,), for one image.

    Units that are 0 everywhere lose nothing and are not run.
    """
    image_axis, unit_axis = axes_of(rest.layout)
    losses = torch.zeros(value.shape[unit_axis], dtype=output.dtype, device=output.device)
    active_units = by_unit(value, rest.layout)[0].any(1).nonzero()[:, 0]
    if not len(active_units):
        return losses
    for units in torch.split(active_units, UNITS_PER_PASS):
        copies = value.repeat_interleave(len(units), image_axis)
        copies.movedim((image_axis, unit_axis), (0, 1))[torch.arange(len(units)), units] = 0
        outputs = rest(copies, *question.inputs)
        targets = _expand_target(question.target, len(units))
        losses[units] = output - select(outputs, targets)
    return losses


def output_without(rest: Rest, question: Question, value: Tensor, units: Sequence[int]) -> float:
    """Return the target's output for one image, with units of the layer's value set to 0."""
    _, unit_axis = axes_of(rest.layout)
    unit_index = torch.tensor(units, dtype=torch.long, device=value.device)
    with torch.no_grad():
        ablated = value.index_fill(unit_axis, unit_index, 0)
        return float(select(rest(ablated, *question.inputs), question.target)[0])
