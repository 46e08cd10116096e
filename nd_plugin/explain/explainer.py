"""From a question and a dissection to explanations: ranking, names, masks, and the check of truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nd_plugin.contracts.split_models import Rest, SplitModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.ablation import ablated, by_unit
from nd_plugin.explain.contributions import contribute, possible
from nd_plugin.explain.cuts import LayerCut, LayerCuts, rest_of
from nd_plugin.explain.explanation import Check, Explanation, Explanations, Pixels, RankedUnit
from nd_plugin.explain.question import Contributions, Question
from nd_plugin.explain.targets import Target, chosen_output, select
from nd_plugin.explain.unit_masks import active_pixels, thresholds
from nd_plugin.preprocess import Preprocess
from nd_plugin.report.layer_report import UnitScore
from nd_plugin.results.dissection import Dissection

SLACK = 5.0  # grey levels that a pixel may lie beyond black or white: noise was added to it


Classes = Sequence[str] | Mapping[int, str]


@dataclass(frozen=True)
class Wanted:
    """How to explain."""

    top_k: int = 5
    detectors_only: bool = False
    contribution: str = "auto"
    mask: str = "image"
    image_quantile: float = 0.2
    classes: Classes | None = None
    preprocess: Preprocess | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What one forward pass gave: everything but the units' names."""

    question: Question
    cut: LayerCut
    contributions: Contributions
    whole: Tensor  # (image, unit) each unit's contribution as a whole
    maps: Tensor  # (image, unit, row, column)
    outputs: Tensor  # (image,) of the target
    predicted: (
        Tensor | None
    )  # (image,) the class with the largest output; None where outputs are no classes


def explain(
    question: Question, dissection: Dissection, wanted: Wanted, cuts: LayerCuts
) -> Explanations:
    """One explanation for each image. Raises BadInput for what this model does not allow."""
    if not isinstance(question.model, SplitModel):
        raise BadInput(
            f"the backend {question.model.backend!r} gives activations alone: no unit can be held responsible for an "
            f"output; possible is attribute(…, contribution='activation')"
        )
    seen = _look(question, wanted, cuts)
    if dissection.units != seen.maps.shape[1]:
        raise BadInput(
            f"the dissection has {dissection.units} units, and layer {seen.cut.name!r} {seen.maps.shape[1]}"
        )
    scores = list(dissection.unit_scores())
    above = thresholds(
        seen.maps, wanted.mask, wanted.image_quantile, torch.from_numpy(dissection.thresholds)
    )
    notes = _notes(question, dissection)
    with rest_of(seen.question) as rest:
        return Explanations(
            [
                _explained(rest, seen, image, scores, above, wanted, notes)
                for image in range(len(seen.outputs))
            ]
        )


def _look(question: Question, wanted: Wanted, cuts: LayerCuts) -> Seen:
    assert isinstance(question.model, SplitModel)
    with torch.no_grad():
        raw = question.model.outputs(*question.inputs)
    predicted = _predicted(raw, question.target)
    if question.target is None and predicted is not None:
        question = replace(question, target=predicted)
    if wanted.contribution == "activation":
        raise BadInput(
            f"an activation explains no output; possible are {', '.join(possible(question, cuts)[:-1])}"
        )
    found = contribute(question, wanted.contribution, cuts)
    cut = cuts.of(question)
    whole = by_unit(found.tensors[0], cut.layout).sum(2)
    activations = contribute(question, "activation", cuts).tensors[0]
    return Seen(
        question,
        cut,
        found,
        whole,
        cut.layout.maps(activations),
        select(raw, question.target).detach(),
        predicted,
    )


def _predicted(raw: Any, target: Target) -> Tensor | None:
    """The class with the largest output, where the model gives one tensor (image, class)."""
    if not isinstance(raw, Tensor) and (len(raw) != 1 or target is not None):
        return None
    tensor, _ = chosen_output(raw, None)
    return tensor.argmax(1) if tensor.dim() == 2 and tensor.shape[1] > 1 else None


def _notes(question: Question, dissection: Dissection) -> tuple[str, ...]:
    made, now = dissection.provenance.model.fingerprint, question.model.identity.fingerprint
    if made and now and made != now:
        return (
            f"the units were named in a model with other weights (fingerprint {made}, and this one has {now})",
        )
    return ()


def _explained(
    rest: Rest,
    seen: Seen,
    image: int,
    scores: Sequence[UnitScore],
    above: Tensor,
    wanted: Wanted,
    notes: tuple[str, ...],
) -> Explanation:
    """Of one image."""
    order = seen.whole[image].argsort(descending=True, stable=True).tolist()
    best = [unit for unit in order if scores[unit].detector or not wanted.detectors_only][
        : wanted.top_k
    ]
    question = seen.question.only(image)
    target = _one(question.target)
    output, bias = float(seen.outputs[image]), seen.contributions.bias
    predicted = None if seen.predicted is None else int(seen.predicted[image])
    return Explanation(
        layer=seen.cut.name,
        image=pixels(question.inputs[0][0], wanted.preprocess or question.model.preprocess),
        target=target,
        name=class_name(target, wanted.classes),
        predicted="" if predicted is None else class_name(predicted, wanted.classes),
        output=output,
        bias=None if bias is None else float(bias[image]),
        contribution=seen.contributions.kind,
        mask=wanted.mask,
        units=tuple(_ranked(seen, image, best, scores, above)),
        check=Check(
            float(seen.whole[image][best].sum()), output - float(ablated(rest, question, best)[0])
        ),
        notes=notes,
    )


def _ranked(
    seen: Seen, image: int, best: Sequence[int], scores: Sequence[UnitScore], above: Tensor
) -> list[RankedUnit]:
    size = tuple(seen.question.inputs[0].shape[-2:])
    maps, levels = seen.maps[image : image + 1, best], above[image : image + 1, best]
    masks = active_pixels(maps, levels, seen.cut.geometry, (size[0], size[1]))[0].cpu().numpy()
    output = float(seen.outputs[image])
    contributed = seen.whole[image].tolist()
    return [
        RankedUnit(
            unit=unit,
            concept=scores[unit].concept if scores[unit].iou else "",
            category=scores[unit].category if scores[unit].iou else "",
            iou=scores[unit].iou,
            detector=scores[unit].detector,
            contribution=contributed[unit],
            share=contributed[unit] / output if output else 0.0,
            mask=mask,
        )
        for unit, mask in zip(best, masks, strict=True)
    ]


def _one(target: Target) -> Any:
    """The target of a batch of one, as a plain value."""
    if isinstance(target, Tensor):
        return int(target.flatten()[0])
    return target[0] if isinstance(target, list) else target


def class_name(target: Any, classes: Classes | None) -> str:
    """How a target is called."""
    if classes is None or not isinstance(target, int):
        return (
            f"class {target}"
            if isinstance(target, int)
            else "output"
            if target is None
            else str(target)
        )
    try:
        return str(classes[target])
    except (KeyError, IndexError) as error:
        raise BadInput(f"class {target} has no name: {len(classes)} names are given") from error


def pixels(image: Tensor, how: Preprocess) -> Pixels:
    """An image as it was before it was prepared for the model: (row, column, channel).

    One that was prepared otherwise is stretched from its smallest value to its largest.
    """
    if image.dim() != 3:
        raise BadInput(
            f"an image of shape {tuple(image.shape)} cannot be shown: (channel, row, column) can"
        )
    image = image.cpu()
    if len(image) == 3:
        values = how.pixel_values(image)
        if values.min() >= -SLACK and values.max() <= 255 + SLACK:
            return np.ascontiguousarray(how.denormalise(image).permute(1, 2, 0).numpy())
    grey = (
        image.detach().float() if len(image) == 3 else image[:1].detach().float().expand(3, -1, -1)
    )
    stretched = (grey - grey.min()) / (grey.max() - grey.min()).clamp_min(1e-12)
    return np.ascontiguousarray((stretched * 255).round().byte().permute(1, 2, 0).numpy())
