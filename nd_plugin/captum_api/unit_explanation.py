"""Explanations, masks and input-sized attributions of an opened layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nd_plugin.captum_api.dissection_lookup import (
    Dissections,
    dissection_of_layer,
    list_dissections,
)
from nd_plugin.captum_api.opened_model import size_of
from nd_plugin.captum_api.unit_attribution import layer_thresholds
from nd_plugin.contracts.models import Model
from nd_plugin.contracts.split_models import SplitModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.explain.displayed_image import preprocess_of
from nd_plugin.explain.explainer import ExplainSettings, explain
from nd_plugin.explain.explanation import Explanations
from nd_plugin.explain.question import Question
from nd_plugin.explain.targets import chosen_output
from nd_plugin.explain.unit_masks import active_pixels
from nd_plugin.method.upsampling import upsample
from nd_plugin.preprocess import Preprocess
from nd_plugin.results.dissection import Dissection


def explain_layer(
    question: Question,
    cuts: LayerCuts,
    settings: ExplainSettings,
    dissections: Dissections | None,
) -> Explanations:
    """Explain each image by the units of a layer and the dissection of that layer."""
    if settings.mask_kind not in ("image", "dissection"):
        raise BadInput(
            f"mask {settings.mask_kind!r} is neither 'image' nor 'dissection'"
        )
    if settings.top_k < 1:
        raise BadInput(f"top_k is {settings.top_k}; it must be at least 1")
    candidates = list_dissections(dissections)
    with ExitStack() as stack:
        if isinstance(question.model, SplitModel):
            stack.enter_context(cuts.open(question))  # once for all that follows
        dissection = dissection_of_layer(candidates, cuts.cut(question).name)
        preprocess = settings.preprocess or preprocess_of(dissection)
        return explain(
            question, dissection, replace(settings, preprocess=preprocess), cuts
        )


def common_preprocess(
    dissections: Sequence[Dissection], model: Model
) -> Preprocess | None:
    """Return the preprocessing that all dissections record, or the model's own for none.

    Returns None if they differ.
    """
    recorded = {preprocess_of(dissection) for dissection in dissections}
    if len(recorded) > 1:
        return None
    preprocess = recorded.pop() if recorded else None
    return preprocess or model.preprocess


def dissected_preprocess(
    question: Question, cuts: LayerCuts, dissections: Dissections | None
) -> Preprocess:
    """Return the preprocessing of the images that a question's layer was dissected on.

    The question has no images yet: its inputs are the further arguments of the forward function.
    Returns the model's own preprocessing where none is recorded, or nothing is dissected. Raises
    BadInput if other layers are dissected, and on images of different sizes.
    """
    candidates = [] if dissections is None else list_dissections(dissections)
    common = common_preprocess(candidates, question.model)
    if common is not None:
        return common
    # Dissections of several layers on images of different sizes: the layer's name decides.
    name = ""
    for dissection in candidates:
        preprocess = preprocess_of(dissection) or question.model.preprocess
        image = torch.zeros(1, 3, *preprocess.size, device=question.model.device)
        with_image = replace(question, inputs=(image, *question.inputs))
        name = cuts.cut(with_image).name
        if name == dissection.layer:
            return preprocess
    dissection = dissection_of_layer(candidates, name)
    return preprocess_of(dissection) or question.model.preprocess


def segment_layer(
    question: Question,
    units: Sequence[int],
    mask: str,
    image_quantile: float,
    dissections: Dissections | None,
) -> Tensor:
    """Compute masks (image, unit, row, column) of units from a probe's maps, as `dissect`."""
    images = question.inputs[0]
    with (
        torch.no_grad(),
        question.model.probe([question.layer], size_of(images)) as probe,
    ):
        name = probe.layers[0]
        maps = probe(images)[name]
        geometry = probe.geometries[name]
    for unit in units:
        if not 0 <= unit < maps.shape[1]:
            raise BadInput(
                f"no unit {unit}: layer {name!r} has {maps.shape[1]} units, numbered from 0"
            )
    unit_thresholds = layer_thresholds(
        maps, mask, image_quantile, dissections, name
    )
    return active_pixels(
        maps[:, units], unit_thresholds[:, units], geometry, size_of(images)
    )


def upsample_attributions(
    question: Question, cuts: LayerCuts, attributions: Tensor
) -> Tensor:
    """Interpolate a layer's attributions at the resolution of the question's images."""
    images = question.inputs[0]
    cut = cuts.cut(question)
    maps = cut.layout.maps(attributions).detach().float()
    return upsample(maps, cut.geometry, size_of(images), size_of(images))


def image_attributions(
    attribute: Callable[..., Any],
    to_input: Callable[..., Tensor],
    options: dict[str, Any],
) -> Callable[..., Any]:
    """Return a function from images to attributions of their shape.

    ``options`` are defaults for the arguments of ``attribute``.
    """

    def explanation(inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(inputs, tuple):
            (images,) = inputs
            return (explanation(images, *arguments, **keywords),)
        attributions = attribute(inputs, *arguments, **{**options, **keywords})
        upsampled = to_input(attributions, inputs).sum(1, keepdim=True)
        cells = attributions[0].numel() / attributions.shape[1]
        distributed = upsampled * cells / inputs[0].numel()
        return distributed.expand_as(inputs).to(inputs.dtype).contiguous()

    return explanation


def forward_function(model: Model) -> Callable[..., Tensor]:
    """Return a model as a function from inputs to its output tensor.

    Raises BadInput for a model that exposes activations only.
    """
    if not isinstance(model, SplitModel):
        raise BadInput(
            f"the backend {model.backend!r} exposes activations only; it computes no outputs"
        )

    def forward(*inputs: Any) -> Tensor:
        tensor, _ = chosen_output(model.outputs(*inputs), None)
        return tensor

    return forward
