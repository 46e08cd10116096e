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
        # models are split at layers of a single tensor
        (value,) = layer_pass.values
        target_outputs = select(layer_pass.outputs, question.target)
        shares = _shares_of_cells(by_unit(value, rest.layout))
        losses = target_outputs.new_zeros(shares.shape[:2])
        for image_index, output in enumerate(target_outputs):
            image_value = value_of_image(value, rest.layout, image_index)
            losses[image_index] = _losses(
                rest, question.for_image(image_index), image_value, output
            )
        contributions = shares * losses[:, :, None]
    in_layer_shape = _in_layer_shape(contributions, value, rest.layout)
    return Contributions("ablation", (in_layer_shape,))


def _shares_of_cells(activations: Tensor) -> Tensor:
    """Return each cell's share of its unit's total magnitude; 0 for units that are 0 everywhere."""
    magnitudes = activations.abs()
    totals = magnitudes.sum(2, keepdim=True)
    smallest = torch.finfo(totals.dtype).tiny
    return magnitudes / totals.clamp_min(smallest)


def by_unit(value: Tensor, layout: Layout) -> Tensor:
    """Return a layer's output as (image, unit, cell); a class token counts as a cell here."""
    units_second = value.movedim(axes_of(layout), (0, 1))
    if units_second.dim() == 2:  # features: one cell
        return units_second[:, :, None]
    return units_second.flatten(2)


def _in_layer_shape(cells: Tensor, value: Tensor, layout: Layout) -> Tensor:
    """Return (image, unit, cell) in the shape of ``value``: the inverse of `by_unit`."""
    units_second = value.movedim(axes_of(layout), (0, 1))
    return cells.view(units_second.shape).movedim((0, 1), axes_of(layout))


def value_of_image(value: Tensor, layout: Layout, image_index: int) -> Tensor:
    """Return one image of a layer's output, as a batch of one."""
    image_axis, _ = axes_of(layout)
    return value.narrow(image_axis, image_index, 1)


def _losses(
    rest: Rest, question: Question, value: Tensor, output: Tensor
) -> Tensor:
    """Measure each unit's loss, (unit,), for one image.

    Units that are 0 everywhere lose nothing and are not run.
    """
    (activations,) = by_unit(value, rest.layout)
    losses = output.new_zeros(len(activations))
    is_active = activations.any(1)
    active_units = is_active.nonzero()[:, 0]
    if not len(active_units):
        return losses
    for units in torch.split(active_units, UNITS_PER_PASS):
        copies = _copies_without(value, units, rest.layout)
        outputs = rest(copies, *question.inputs)
        targets = _expand_target(question.target, len(units))
        losses[units] = output - select(outputs, targets)
    return losses


def _copies_without(value: Tensor, units: Tensor, layout: Layout) -> Tensor:
    """Copy one image's value for each unit, and set that unit to 0 in its copy."""
    image_axis, _ = axes_of(layout)
    copies = value.repeat_interleave(len(units), image_axis)
    by_copy_and_unit = copies.movedim(axes_of(layout), (0, 1))  # a view
    copy_index = torch.arange(len(units))
    by_copy_and_unit[copy_index, units] = 0
    return copies


def output_without(
    rest: Rest, question: Question, value: Tensor, units: Sequence[int]
) -> float:
    """Return the target's output for one image, with units of the layer's value set to 0."""
    _, unit_axis = axes_of(rest.layout)
    unit_index = torch.tensor(units, dtype=torch.long, device=value.device)
    with torch.no_grad():
        ablated = value.index_fill(unit_axis, unit_index, 0)
        return float(select(rest(ablated, *question.inputs), question.target)[0])
