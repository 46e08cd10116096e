"""What each unit of a layer contributes to an output: the paper's section 3.10, in the layer's own shape.

Four kinds: ``linear``, w_n * x_n where a linear head follows, whose sum and the head's bias are the output itself;
``gradient``, activation times gradient; ``ablation``, what the output loses without the unit; ``activation``, which is
no contribution, but what the masks are made of.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from nd_plugin.contracts.split_models import SplitModel, TracedModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.ablation import _ablation
from nd_plugin.explain.cuts import LayerCuts, rest_of
from nd_plugin.explain.linear_head import _head, _linear
from nd_plugin.explain.question import KINDS, Contributions, Question
from nd_plugin.explain.targets import select


def contribute(question: Question, kind: str, cuts: LayerCuts) -> Contributions:
    """The contributions of a kind; ``auto`` takes the first that the model allows: linear, gradient, ablation.

    Raises BadInput for a kind that this model does not allow, and says which it does.
    """
    if kind not in ("auto", *KINDS):
        raise BadInput(f"contribution {kind!r} is none of auto, {', '.join(KINDS)}")
    for candidate in KINDS[:3] if kind == "auto" else [kind]:
        obstacle = _obstacle(question, candidate)
        found = None if obstacle else _HOW[candidate](question, cuts)
        if found is not None:
            return found
    reason = f": {obstacle or 'no global average pooling and linear map follow the layer and nothing else'}"
    raise BadInput(
        f"contribution {kind!r} is not possible for layer {question.layer!r} of this model "
        f"({question.model.backend}){reason}; possible are {', '.join(possible(question, cuts))}"
    )


def possible(question: Question, cuts: LayerCuts) -> list[str]:
    """The kinds of contribution that a question's model and layer allow."""
    kinds = [kind for kind in KINDS if not _obstacle(question, kind)]
    return [kind for kind in kinds if kind != "linear" or _head(question, cuts) is not None]


def _obstacle(question: Question, kind: str) -> str:
    """Why a kind is out of the question, before anything is run."""
    if kind == "gradient":
        return "" if isinstance(question.model, TracedModel) else "the model has no gradients"
    if not question.multiply and kind != "linear":
        return f"{kind} has no factor beside the activation, as multiply_by_inputs=False asks for"
    if question.at_input:
        traced = isinstance(question.model, TracedModel) and kind == "activation"
        return "" if traced else "units are found in what a layer gives, not in what it gets"
    if kind in ("linear", "ablation") and not isinstance(question.model, SplitModel):
        return "its backend cannot run the rest of a model from a layer on"
    return ""


def _gradient(question: Question, _: LayerCuts) -> Contributions:
    model = question.model
    assert isinstance(model, TracedModel)
    trace = model.trace(
        question.layer,
        question.inputs,
        at_input=question.at_input,
        gradients=True,
        device_ids=question.device_ids,
    )
    with torch.inference_mode(False), torch.enable_grad():
        outputs = torch.unbind(select(trace.output, question.target))
    values = [tensor for part in trace.values for tensor in part]
    gradients = iter(torch.autograd.grad(outputs, values, **question.grad_kwargs))
    parts = [[(tensor.detach(), next(gradients)) for tensor in part] for part in trace.values]
    device = parts[0][0][0].device
    tensors = tuple(
        torch.cat(
            [
                (value * gradient if question.multiply else gradient).to(device)
                for value, gradient in pairs
            ]
        )
        for pairs in zip(*parts, strict=True)
    )
    return Contributions("gradient", tensors, trace.several)


def _activation(question: Question, _: LayerCuts) -> Contributions:
    model = question.model
    if isinstance(model, TracedModel):
        trace = model.trace(
            question.layer,
            question.inputs,
            at_input=question.at_input,
            device_ids=question.device_ids,
        )
        joined = tuple(
            torch.cat([tensor.to(pair[0].device) for tensor in pair])
            for pair in zip(*trace.values, strict=True)
        )
        return Contributions("activation", joined, trace.several)
    if isinstance(model, SplitModel):
        with rest_of(question) as rest:
            return Contributions("activation", (rest.layer(*question.inputs),))
    images = question.inputs[0]
    with model.probe([question.layer], tuple(images.shape[2:])) as probe:
        return Contributions("activation", (probe(images)[probe.layers[0]],))


_HOW: dict[str, Callable[[Question, LayerCuts], Contributions | None]] = {
    "linear": _linear,
    "gradient": _gradient,
    "ablation": _ablation,
    "activation": _activation,
}
