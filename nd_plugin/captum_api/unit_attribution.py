"""Attributions of a layer's units, masked or not."""

from __future__ import annotations

import torch
from torch import Tensor

from nd_plugin.captum_api.dissection_lookup import (
    Dissections,
    dissection_of_layer,
    list_dissections,
)
from nd_plugin.errors import BadInput
from nd_plugin.explain.contributions import contribute
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.explain.layer_pass import LayerPass
from nd_plugin.explain.question import Contributions, Question
from nd_plugin.explain.unit_masks import active_cells, choose_thresholds
from nd_plugin.receptive_fields.layout import from_maps


def attribute_layer(
    question: Question,
    cuts: LayerCuts,
    contribution: str,
    mask: str,
    image_quantile: float,
    dissections: Dissections | None,
) -> Contributions:
    """Compute contributions of a layer, set to 0 outside the mask unless that is ``"none"``."""
    layer_pass = LayerPass(question, cuts)
    contributions = contribute(question, contribution, cuts, layer_pass)
    if mask == "none":
        return contributions
    if question.at_input or contributions.several:
        raise BadInput(
            "masks are defined on a layer's output, and on a single tensor"
        )
    cut = cuts.cut(question)
    (value,) = layer_pass.values
    maps = cut.layout.maps(value)
    unit_thresholds = layer_thresholds(
        maps, mask, image_quantile, dissections, cut.name
    )
    active = from_maps(cut.layout, active_cells(maps, unit_thresholds), value.shape)
    return Contributions(contributions.kind, (contributions.tensors[0] * active,))


def layer_thresholds(
    maps: Tensor,
    mask: str,
    image_quantile: float,
    dissections: Dissections | None,
    layer_name: str,
) -> Tensor:
    """Return thresholds (image, unit) of a layer's maps, by the kind of mask. Raises BadInput."""
    if mask != "dissection":
        return choose_thresholds(maps, mask, image_quantile, None)
    dissection = dissection_of_layer(list_dissections(dissections), layer_name)
    return choose_thresholds(
        maps, mask, image_quantile, torch.from_numpy(dissection.thresholds)
    )
