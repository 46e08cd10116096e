"""Explanations from a question and a dissection: ranking, concepts, masks and ablation check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nd_plugin.contracts.split_models import Rest, SplitModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.ablation import by_unit, output_without, value_of_image
from nd_plugin.explain.class_names import Classes, name_predictions, name_targets
from nd_plugin.explain.contributions import check_kind, contribute, possible
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.explain.displayed_image import (
    check_normalised,
    displayed_pixels,
    notes_on_values,
)
from nd_plugin.explain.explanation import Explanation, Explanations
from nd_plugin.explain.layer_pass import LayerPass
from nd_plugin.explain.question import Contributions, Question, notes_on_dissection
from nd_plugin.explain.targets import find_predicted_classes, plain_target, select
from nd_plugin.explain.unit_masks import active_pixels, choose_thresholds
from nd_plugin.preprocess import Preprocess
from nd_plugin.report.explanation_record import Check, MaskPixels, RankedUnit
from nd_plugin.report.layer_report import UnitScore
from nd_plugin.results.dissection import Dissection


@dataclass(frozen=True)
class ExplainSettings:
    """Options of an explanation."""

    top_k: int = 5  # units to name, at least 1
    detectors_only: bool = False  # leave out units whose IoU is not above min_iou
    contribution_kind: str = "auto"  # or linear, gradient, ablation
    # above a quantile of the image's map; or dissection, above T_k
    mask_kind: str = "image"
    image_quantile: float = 0.2  # fraction of cells, for mask_kind "image"
    classes: Classes | None = None  # names of the model's classes
    preprocess: Preprocess | None = None  # to undo for display; None: the model's
    # on each image; none for inputs that are no pictures
    image_notes: Sequence[tuple[str, ...]] = ()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Values of a batch of images, computed together, that its explanations are made of."""

    question: Question  # its target: the predicted classes if none was given
    rest: Rest
    value: Tensor  # the layer's output, in its own shape
    maps: Tensor  # the layer's output as (image, unit, row, column)
    unit_thresholds: Tensor  # (image, unit), of the masks
    target_outputs: Tensor  # (image,)
    target_names: Sequence[str]  # of each image
    # of each image; "" if the output is not one of classes
    predicted_names: Sequence[str]
    contributions: Contributions
    unit_contributions: Tensor  # (image, unit), summed over the unit's cells


def explain(
    question: Question,
    dissection: Dissection,
    settings: ExplainSettings,
    cuts: LayerCuts,
) -> Explanations:
    """Explain each image by the units of a layer.

    Raises BadInput for a kind of contribution that the model does not allow, a dissection of a
    layer with another number of units, an image_quantile outside (0, 1) and a target class that
    has no name among those given; AssertionError or IndexError, as Captum does, for a target that
    does not fit the outputs; and what `LayerCuts.open` raises.
    """
    if not isinstance(question.model, SplitModel):
        raise BadInput(
            f"the backend {question.model.backend!r} exposes activations only; contributions "
            f"cannot be computed: use attribute(…, contribution='activation')"
        )
    _check_explains(question, settings.contribution_kind, cuts)
    preprocess = settings.preprocess or question.model.preprocess
    check_normalised(question.inputs[0], preprocess)
    with cuts.open(question) as rest:
        explainer = _Explainer(
            evaluation=_evaluate(question, dissection, settings, cuts, rest),
            dissection=dissection,
            scores=list(dissection.unit_scores()),
            settings=settings,
            notes=notes_on_dissection(question, dissection),
        )
        image_indices = range(len(explainer.evaluation.target_outputs))
        return Explanations(list(map(explainer.explanation, image_indices)))


def _check_explains(question: Question, kind: str, cuts: LayerCuts) -> None:
    """Raise BadInput for an unknown kind of contribution, and for activations."""
    check_kind(kind)
    if kind == "activation":
        kinds = [name for name in possible(question, cuts) if name != "activation"]
        raise BadInput(
            f"contribution 'activation' does not explain an output; possible are {', '.join(kinds)}"
        )


def _evaluate(
    question: Question,
    dissection: Dissection,
    settings: ExplainSettings,
    cuts: LayerCuts,
    rest: Rest,
) -> Evaluation:
    """Evaluate a batch of images; compute contributions last, since they cost the most.

    They take many forward passes (ablation), a second one with gradients, or none (linear).
    """
    layer_pass = LayerPass(question, cuts)
    # A model is split at layers of a single tensor only.
    (value,) = layer_pass.values
    maps = rest.layout.maps(value)
    _check_units(dissection, rest.name, units=maps.shape[1])
    unit_thresholds = choose_thresholds(
        maps,
        settings.mask_kind,
        settings.image_quantile,
        torch.from_numpy(dissection.thresholds),
    )
    model_outputs = layer_pass.outputs
    predicted_classes = find_predicted_classes(model_outputs, question.target)
    has_target = question.target is not None
    if not has_target and predicted_classes is not None:
        question = replace(question, target=predicted_classes)
    target_outputs = select(model_outputs, question.target).detach()
    image_count = len(target_outputs)
    predicted_names = name_predictions(
        predicted_classes, settings.classes, image_count
    )
    target_names = predicted_names
    if has_target or predicted_classes is None:
        target_names = name_targets(
            question.target, model_outputs, settings.classes, image_count
        )
    contributions = contribute(
        question, settings.contribution_kind, cuts, layer_pass
    )
    return Evaluation(
        question=question,
        rest=rest,
        value=value,
        maps=maps,
        unit_thresholds=unit_thresholds,
        target_outputs=target_outputs,
        target_names=target_names,
        predicted_names=predicted_names,
        contributions=contributions,
        unit_contributions=by_unit(contributions.tensors[0], rest.layout).sum(2),
    )


def _check_units(dissection: Dissection, layer_name: str, units: int) -> None:
    if dissection.units != units:
        raise BadInput(
            f"the dissection has {dissection.units} units, "
            f"and layer {layer_name!r} has {units}"
        )


@dataclass(frozen=True, eq=False)
class _Explainer:
    """Builder of the explanation of each image of an evaluated batch."""

    evaluation: Evaluation
    dissection: Dissection
    scores: Sequence[UnitScore]  # of each unit
    settings: ExplainSettings
    notes: tuple[str, ...]  # on all images

    def explanation(self, image_index: int) -> Explanation:
        """Return the explanation of one image."""
        evaluation = self.evaluation
        question = evaluation.question.for_image(image_index)
        preprocess = self.settings.preprocess or question.model.preprocess
        bias = evaluation.contributions.bias
        image = question.inputs[0][0]
        top_units = self._top_units(image_index)
        return Explanation(
            layer=evaluation.rest.name,
            image=displayed_pixels(image, preprocess),
            target=plain_target(question.target),
            name=evaluation.target_names[image_index],
            predicted=evaluation.predicted_names[image_index],
            output=float(evaluation.target_outputs[image_index]),
            bias=None if bias is None else float(bias[image_index]),
            absolute_sum=self._absolute_sum(image_index),
            contribution=evaluation.contributions.kind,
            mask=self.settings.mask_kind,
            units=self._ranked_units(image_index, top_units),
            check=self._check(image_index, question, top_units),
            notes=self._notes_on(image_index, image, preprocess),
            dissection=self.dissection,
        )

    def _notes_on(
        self, image_index: int, image: Tensor, preprocess: Preprocess
    ) -> tuple[str, ...]:
        """Return the notes on one image; what two sources say is noted once."""
        image_notes = self.settings.image_notes
        on_picture = image_notes[image_index] if image_notes else ()
        on_values = notes_on_values(image, preprocess)
        return tuple(dict.fromkeys((*on_picture, *self.notes, *on_values)))

    def _absolute_sum(self, image_index: int) -> float:
        """Return the sum of the absolute contributions of all units, in double precision."""
        contributions = self.evaluation.unit_contributions[image_index]
        return float(contributions.abs().double().sum())

    def _top_units(self, image_index: int) -> list[int]:
        """Return the units that contribute most, in descending order; equal ones by number."""
        contributions = self.evaluation.unit_contributions[image_index]
        units = contributions.argsort(descending=True, stable=True).tolist()
        if self.settings.detectors_only:
            units = [unit for unit in units if self.scores[unit].detector]
        return units[: self.settings.top_k]

    def _check(
        self, image_index: int, question: Question, units: Sequence[int]
    ) -> Check:
        """Compare the units' contributions with the decrease of the output without them."""
        evaluation = self.evaluation
        rest = evaluation.rest
        value = value_of_image(evaluation.value, rest.layout, image_index)
        expected_decrease = evaluation.unit_contributions[image_index][units].sum()
        output = float(evaluation.target_outputs[image_index])
        measured_decrease = output - output_without(rest, question, value, units)
        return Check(predicted=float(expected_decrease), measured=measured_decrease)

    def _ranked_units(
        self, image_index: int, units: Sequence[int]
    ) -> tuple[RankedUnit, ...]:
        absolute_sum = self._absolute_sum(image_index)
        contributions = self.evaluation.unit_contributions[image_index].tolist()
        masks = self._masks(image_index, units)
        ranked_units = []
        for unit, mask in zip(units, masks, strict=True):
            score = self.scores[unit]
            # With IoU 0 the best concept is merely the first of all: the masks overlap none.
            overlaps_concept = score.iou > 0
            ranked_unit = RankedUnit(
                unit=unit,
                concept=score.concept if overlaps_concept else "",
                category=score.category if overlaps_concept else "",
                iou=score.iou,
                detector=score.detector,
                contribution=contributions[unit],
                share=contributions[unit] / absolute_sum if absolute_sum else 0.0,
                mask=mask,
            )
            ranked_units.append(ranked_unit)
        return tuple(ranked_units)

    def _masks(
        self, image_index: int, units: Sequence[int]
    ) -> Sequence[MaskPixels]:
        """Compute the units' masks in one image, (row, column) of the model's input each."""
        evaluation = self.evaluation
        images = evaluation.question.inputs[0]
        rows, columns = images.shape[-2:]
        masks = active_pixels(
            evaluation.maps[image_index, units][None],
            evaluation.unit_thresholds[image_index, units][None],
            evaluation.rest.geometry,
            (rows, columns),
        )
        return list(masks[0].cpu().numpy())
