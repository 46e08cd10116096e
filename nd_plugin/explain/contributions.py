"""Contributions of a layer's units to an output (paper, section 3.10), in the layer's own shape.

- ``linear``: w_n * x_n where a linear head follows; with the head's bias they sum to the output.
- ``gradient``: activation times gradient.
- ``ablation``: decrease of the output without the unit.
- ``activation``: not a contribution, but what masks are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

import torch
from torch import Tensor

from nd_plugin.contracts.precision import computing
from nd_plugin.contracts.split_models import SplitModel, TracedModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.ablation import ablation_contributions
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.explain.layer_pass import LayerPass, join_devices, trace
from nd_plugin.explain.linear_head import find_head, linear_contributions
from nd_plugin.explain.question import KINDS, Contributions, Question
from nd_plugin.explain.targets import select

AUTO = ("linear", "gradient", "ablation")  # in order of preference


def contribute(
    question: Question,
    kind: str,
    cuts: LayerCuts,
    layer_pass: LayerPass | None = None,
) -> Contributions:
    """Compute contributions of a kind; ``auto`` is the first of `AUTO` that is possible.

    ``layer_pass`` is the forward pass of the question's inputs, if the caller needs it too.
    Raises BadInput for a kind that the model does not allow; the message lists those that it does.
    """
    check_kind(kind)
    if layer_pass is None:
        layer_pass = LayerPass(question, cuts)
    obstacle = ""
    for candidate in AUTO if kind == "auto" else (kind,):
        obstacle = _obstacle(question, candidate)
        if obstacle:
            continue
        contributions = _compute(question, candidate, cuts, layer_pass)
        if contributions is not None:
            return contributions
        obstacle = (
            "no global average pooling and linear map directly behind the layer"
        )
    raise BadInput(
        f"contribution {kind!r} is not possible for layer {question.layer!r} of this model "
        f"({question.model.backend}): {obstacle}; "
        f"possible are {', '.join(possible(question, cuts))}"
    )


def check_kind(kind: str) -> None:
    """Raise BadInput for an unknown kind of contribution."""
    if kind not in ("auto", *KINDS):
        raise BadInput(f"contribution {kind!r} is none of auto, {', '.join(KINDS)}")


def _compute(
    question: Question, kind: str, cuts: LayerCuts, layer_pass: LayerPass
) -> Contributions | None:
    """Compute contributions of one kind; None for ``linear`` without a linear head."""
    if kind == "linear":
        return linear_contributions(question, cuts, layer_pass)
    if kind == "gradient":
        return _gradient_contributions(question)
    if kind == "ablation":
        return ablation_contributions(question, cuts, layer_pass)
    return Contributions("activation", layer_pass.values, layer_pass.several)


def possible(question: Question, cuts: LayerCuts) -> list[str]:
    """List the kinds of contribution that a question's model and layer allow."""
    kinds = [kind for kind in KINDS if not _obstacle(question, kind)]
    if "linear" in kinds and find_head(question, cuts) is None:
        kinds.remove("linear")
    return kinds


def _obstacle(question: Question, kind: str) -> str:
    """Return the reason why a kind is impossible for any output, or ""."""
    traced = isinstance(question.model, TracedModel)
    if kind == "gradient":
        return "" if traced else "the model has no gradients"
    if not question.multiply and kind != "linear":
        return f"{kind} has no factor beside the activation, as multiply_by_inputs=False asks for"
    if question.at_input:
        possible_at_input = traced and kind == "activation"
        return (
            ""
            if possible_at_input
            else "units are defined on a layer's output, not its input"
        )
    if kind in ("linear", "ablation") and not isinstance(
        question.model, SplitModel
    ):
        return "the backend exposes activations only"
    return ""


def _gradient_contributions(question: Question) -> Contributions:
    """Multiply activations by gradients, which is a first-order approximation."""
    traced = trace(question, gradients=True)
    with torch.inference_mode(False), torch.enable_grad():
        outputs = torch.unbind(select(traced.output, question.target))
    values = list(chain.from_iterable(traced.values))
    with computing(question.model):
        gradients = iter(
            torch.autograd.grad(outputs, values, **question.grad_kwargs)
        )
    contributions: list[list[Tensor]] = []
    for device_values in traced.values:
        device_gradients = list(islice(gradients, len(device_values)))
        if question.multiply:
            contributions.append(_products(device_values, device_gradients))
        else:
            contributions.append(device_gradients)
    return Contributions("gradient", join_devices(contributions), traced.several)


def _products(
    values: Sequence[Tensor], gradients: Sequence[Tensor]
) -> list[Tensor]:
    return [
        value.detach() * gradient
        for value, gradient in zip(values, gradients, strict=True)
    ]
