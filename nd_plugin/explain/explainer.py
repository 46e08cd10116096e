"""Explanations from a question and a dissection: ranking, concepts, masks and ablation check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.split_models import Rest, SplitModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.ablation import by_unit, output_without, value_of_image
from nd_plugin.explain.contributions import contribute, possible
from nd_plugin.explain.cuts import LayerCut, LayerCuts
from nd_plugin.explain.displayed_image import displayed_pixels
from nd_plugin.explain.explanation import Explanation, Explanations
from nd_plugin.explain.layer_pass import LayerPass
from nd_plugin.explain.question import Contributions, Question
from nd_plugin.explain.targets import Target, chosen_output, plain_target, select
from nd_plugin.explain.unit_masks import active_pixels, thresholds
from nd_plugin.preprocess import Preprocess
from nd_plugin.report.explanation_record import Check, MaskPixels, RankedUnit
from nd_plugin.report.layer_report import UnitScore
from nd_plugin.results.dissection import Dissection

Classes = Sequence[str] | Mapping[int, str]


@dataclass(frozen=True)
class ExplainSettings:
    """Options of an explanation."""

    top_k: int = 5
    detectors_only: bool = False
    contribution: str = "auto"
    mask: str = "image"
    image_quantile: float = 0.2
    classes: Classes | None = None
    preprocess: Preprocess | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Contributions, activation maps and outputs of a batch of images, before units are named."""

    question: Question
    cut: LayerCut
    contributions: Contributions
    unit_contributions: Tensor  # (image, unit), summed over the unit's cells
    value: Tensor  # the layer's output, in its own shape
    maps: Tensor  # (image, unit, row, column)
    outputs: Tensor  # (image,) of the target
    predicted: (
        Tensor | None
    )  # (image,) class with the largest output; None without classes


def explain(
    question: Question,
    dissection: Dissection,
    settings: ExplainSettings,
    cuts: LayerCuts,
) -> Explanations:
    """Explain each image. Raises BadInput for what the model or the dissection does not allow."""
    if not isinstance(question.model, SplitModel):
        raise BadInput(
            f"the backend {question.model.backend!r} exposes activations only; contributions "
            f"cannot be computed: use attribute(…, contribution='activation')"
        )
    with cuts.open(question) as rest:
        evaluation = _evaluate(question, settings.contribution, cuts)
        layer_units = evaluation.maps.shape[1]
        if dissection.units != layer_units:
            raise BadInput(
                f"the dissection has {dissection.units} units, "
                f"and layer {evaluation.cut.name!r} has {layer_units}"
            )
        unit_thresholds = thresholds(
            evaluation.maps,
            settings.mask,
            settings.image_quantile,
            torch.from_numpy(dissection.thresholds),
        )
        explainer = _Explainer(
            rest,
            evaluation,
            list(dissection.unit_scores()),
            unit_thresholds,
            settings,
            _notes(question, dissection),
        )
        images = range(len(evaluation.outputs))
        return Explanations([explainer.explanation(image) for image in images])


def _evaluate(question: Question, kind: str, cuts: LayerCuts) -> Evaluation:
    """Run the model once on the images, and compute contributions of a kind."""
    if kind == "activation":
        kinds = [name for name in possible(question, cuts) if name != "activation"]
        raise BadInput(
            f"contribution 'activation' does not explain an output; possible are {', '.join(kinds)}"
        )
    layer_pass = LayerPass(question, cuts)
    predicted = _predicted_classes(layer_pass.outputs, question.target)
    if question.target is None and predicted is not None:
        question = replace(question, target=predicted)
    contributions = contribute(question, kind, cuts, layer_pass)
    cut = cuts.cut(question)
    value = layer_pass.values[0]
    return Evaluation(
        question=question,
        cut=cut,
        contributions=contributions,
        unit_contributions=by_unit(contributions.tensors[0], cut.layout).sum(2),
        value=value,
        maps=cut.layout.maps(value),
        outputs=select(layer_pass.outputs, question.target).detach(),
        predicted=predicted,
    )


def _predicted_classes(outputs: Any, target: Target) -> Tensor | None:
    """Return the class with the largest output, (image,), of a single tensor (image, class)."""
    if not isinstance(outputs, Tensor) and (len(outputs) != 1 or target is not None):
        return None
    logits, _ = chosen_output(outputs, None)
    if logits.dim() != 2 or logits.shape[1] < 2:
        return None
    return logits.argmax(1)


def _notes(question: Question, dissection: Dissection) -> tuple[str, ...]:
    dissected = dissection.provenance.model.fingerprint
    explained = question.model.identity.fingerprint
    if not dissected or not explained or dissected == explained:
        return ()
    return (
        f"the dissection is of a model with other weights "
        f"(fingerprint {dissected}; this model has {explained})",
    )


@dataclass(frozen=True, eq=False)
class _Explainer:
    """Builder of the explanation of each image of an evaluated batch."""

    rest: Rest
    evaluation: Evaluation
    scores: Sequence[UnitScore]
    thresholds: Tensor  # (image, unit)
    settings: ExplainSettings
    notes: tuple[str, ...]

    def explanation(self, image: int) -> Explanation:
        evaluation = self.evaluation
        question = evaluation.question.for_image(image)
        preprocess = self.settings.preprocess or question.model.preprocess
        target = plain_target(question.target)
        bias = evaluation.contributions.bias
        top_units = self._top_units(image)
        return Explanation(
            layer=evaluation.cut.name,
            image=displayed_pixels(question.inputs[0][0], preprocess),
            target=target,
            name=class_name(target, self.settings.classes),
            predicted=self._predicted_name(image),
            output=float(evaluation.outputs[image]),
            bias=None if bias is None else float(bias[image]),
            contribution=evaluation.contributions.kind,
            mask=self.settings.mask,
            units=self._ranked_units(image, top_units),
            check=self._check(image, question, top_units),
            notes=self.notes,
        )

    def _top_units(self, image: int) -> list[int]:
        contributions = self.evaluation.unit_contributions[image]
        units = contributions.argsort(descending=True, stable=True).tolist()
        if self.settings.detectors_only:
            units = [unit for unit in units if self.scores[unit].detector]
        return units[: self.settings.top_k]

    def _predicted_name(self, image: int) -> str:
        predicted = self.evaluation.predicted
        if predicted is None:
            return ""
        return class_name(int(predicted[image]), self.settings.classes)

    def _check(self, image: int, question: Question, units: Sequence[int]) -> Check:
        evaluation = self.evaluation
        value = value_of_image(evaluation.value, evaluation.cut.layout, image)
        output = float(evaluation.outputs[image])
        return Check(
            predicted=float(evaluation.unit_contributions[image][units].sum()),
            measured=output - output_without(self.rest, question, value, units),
        )

    def _ranked_units(self, image: int, units: Sequence[int]) -> tuple[RankedUnit, ...]:
        output = float(self.evaluation.outputs[image])
        contributions = self.evaluation.unit_contributions[image].tolist()
        ranked_units = []
        for unit, mask in zip(units, self._masks(image, units), strict=True):
            score = self.scores[unit]
            ranked_unit = RankedUnit(
                unit=unit,
                concept=score.concept if score.iou else "",
                category=score.category if score.iou else "",
                iou=score.iou,
                detector=score.detector,
                contribution=contributions[unit],
                share=contributions[unit] / output if output else 0.0,
                mask=mask,
            )
            ranked_units.append(ranked_unit)
        return tuple(ranked_units)

    def _masks(self, image: int, units: Sequence[int]) -> Sequence[MaskPixels]:
        """Compute the units' masks in one image, (row, column) each."""
        images = self.evaluation.question.inputs[0]
        rows, columns = images.shape[-2:]
        masks = active_pixels(
            self.evaluation.maps[image, units][None],
            self.thresholds[image, units][None],
            self.evaluation.cut.geometry,
            (rows, columns),
        )
        return list(masks[0].cpu().numpy())


def class_name(target: Any, classes: Classes | None) -> str:
    """Return the name of a target: its class's, if it is an index and classes have names."""
    if target is None:
        return "output"
    if not isinstance(target, int):
        return str(target)
    if classes is None:
        return f"class {target}"
    try:
        return str(classes[target])
    except (KeyError, IndexError) as error:
        raise BadInput(
            f"class {target} has no name: {len(classes)} names were given"
        ) from error
