"""What each unit of a layer contributes to an output: the paper's section 3.10, in the layer's own shape.

Four kinds: ``linear``, w_n * x_n where a linear head follows, whose sum and the head's bias are the output itself;
``gradient``, activation times gradient; ``ablation``, what the output loses without the unit; ``activation``, which is
no contribution, but what the masks are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from captum._utils.common import _expand_target
from torch import Tensor

from nd_plugin.errors import BadInput, ModelFailed, UnitsNotFound
from nd_plugin.geometry import Geometry
from nd_plugin.layout import Layout
from nd_plugin.rest import LinearHead, Rest, SplitModel, TracedModel, axes_of, from_maps
from nd_plugin.targets import Target, select, target_of
from nd_plugin.types import Model

KINDS = ("linear", "gradient", "ablation", "activation")
AT_ONCE = 32  # units ablated in one pass through the rest
LINEAR = 1e-3  # of the largest output: how far a head's own sum may be from it, TF32 included


@dataclass(frozen=True, eq=False)
class Question:
    """Whose contributions to what: everything that `attribute` was asked."""

    model: Model
    layer: Any
    inputs: tuple[Any, ...]  # additional forward arguments included
    target: Target = None
    at_input: bool = False
    multiply: bool = True  # by the activations
    grad_kwargs: dict[str, Any] = field(default_factory=dict)
    device_ids: Sequence[int] | None = None

    @property
    def images(self) -> int:
        """How many there are."""
        return next((len(item) for item in self.inputs if isinstance(item, Tensor) and item.dim()), 1)

    def only(self, image: int) -> Question:
        """The same of one image."""
        inputs = tuple(
            item[image : image + 1] if isinstance(item, Tensor) and item.dim() and len(item) == self.images else item
            for item in self.inputs
        )
        return replace(self, inputs=inputs, target=target_of(self.target, image))


@dataclass(frozen=True, eq=False)
class Contributions:
    """Of one layer, in its own shape."""

    kind: str
    tensors: tuple[Tensor, ...]
    several: bool = False  # the layer gives a tuple, and so does `attribute`
    bias: Tensor | None = None  # (image,), of a linear head


@dataclass(frozen=True, eq=False)
class Cut:
    """What is known of a layer: where its units lie."""

    name: str
    layout: Layout
    geometry: Geometry


class Cuts:
    """The cuts of one model and the heads behind them, each found once; a head is checked again whenever it is used."""

    def __init__(self) -> None:
        self._cuts: dict[Any, Cut] = {}
        self._heads: dict[Any, LinearHead | None] = {}

    def of(self, question: Question) -> Cut:
        """The cut that a question is about. Raises UnitsNotFound, BadInput."""
        key = _key(question)
        if key not in self._cuts:
            model = question.model
            if not isinstance(model, SplitModel):
                raise BadInput(f"the backend {model.backend!r} cannot cut a model at a layer")
            with model.rest(question.layer, question.inputs) as rest:
                self._cuts[key] = Cut(rest.name, rest.layout, rest.geometry)
        return self._cuts[key]

    def head(self, question: Question) -> LinearHead | None:
        """The linear head behind it. Raises ModelFailed where the model takes no noise."""
        key = _key(question)
        if key not in self._heads:
            assert isinstance(question.model, SplitModel)
            self._heads[key] = question.model.linear_head(question.layer, question.inputs)
        return self._heads[key]

    def forget(self, question: Question) -> None:
        """The weights have changed."""
        self._heads.pop(_key(question), None)


def _key(question: Question) -> tuple[Any, ...]:
    layer = question.layer if isinstance(question.layer, str) else id(question.layer)
    return layer, *(tuple(item.shape[1:]) if isinstance(item, Tensor) else None for item in question.inputs)


def contribute(question: Question, kind: str, cuts: Cuts) -> Contributions:
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


def possible(question: Question, cuts: Cuts) -> list[str]:
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


def _linear(question: Question, cuts: Cuts) -> Contributions | None:
    head = _head(question, cuts)
    if head is None:
        return None
    layout = cuts.of(question).layout
    value, output = _seen(question)
    found = _linear_of(question, head, layout, value, output)
    if found is None:  # the weights have changed since
        cuts.forget(question)
        head = _head(question, cuts)
        found = _linear_of(question, head, layout, value, output) if head else None
    return found


def _head(question: Question, cuts: Cuts) -> LinearHead | None:
    one = len(question.inputs) == 1 and isinstance(question.inputs[0], Tensor) and question.inputs[0].dim() == 4
    if not one or question.at_input or not isinstance(question.model, SplitModel):
        return None
    try:
        return cuts.head(question)
    except (ModelFailed, UnitsNotFound):  # it takes no noise, or has units laid out otherwise: it may have gradients
        return None


def _linear_of(
    question: Question, head: LinearHead, layout: Layout, value: Tensor, output: Any
) -> Contributions | None:
    """w_n * x_n, cell by cell; None where the sum is not the output after all."""
    maps = layout.maps(value)
    if not isinstance(output, Tensor):
        return None
    said = maps.mean((2, 3)) @ head.weight.T + head.bias
    if said.shape != output.shape or not torch.allclose(said, output, rtol=0, atol=LINEAR * _largest(output)):
        return None
    numbers = torch.arange(output.shape[1], device=output.device).expand(output.shape)
    chosen = select(numbers, question.target)  # which output each image is asked about
    weight = (head.weight[chosen] / maps.shape[2:].numel())[:, :, None, None]
    whole = maps * weight if question.multiply else weight.expand(maps.shape)
    return Contributions("linear", (from_maps(layout, whole, value.shape),), bias=head.bias[chosen])


def _largest(output: Tensor) -> float:
    return float(output.abs().max()) if output.numel() else 0.0


def _gradient(question: Question, _: Cuts) -> Contributions:
    model = question.model
    assert isinstance(model, TracedModel)
    trace = model.trace(
        question.layer, question.inputs, at_input=question.at_input, gradients=True, device_ids=question.device_ids
    )
    with torch.inference_mode(False), torch.enable_grad():
        outputs = torch.unbind(select(trace.output, question.target))
    values = [tensor for part in trace.values for tensor in part]
    gradients = iter(torch.autograd.grad(outputs, values, **question.grad_kwargs))
    parts = [[(tensor.detach(), next(gradients)) for tensor in part] for part in trace.values]
    device = parts[0][0][0].device
    tensors = tuple(
        torch.cat([(value * gradient if question.multiply else gradient).to(device) for value, gradient in pairs])
        for pairs in zip(*parts, strict=True)
    )
    return Contributions("gradient", tensors, trace.several)


def _ablation(question: Question, cuts: Cuts) -> Contributions:
    """What the output loses when a unit is 0 everywhere, shared out over its cells by the size of their activation."""
    cut = cuts.of(question)
    value, output = _seen(question)
    images, units = axes_of(cut.layout)
    size = by_unit(value, cut.layout).abs()
    kept = select(output, question.target)
    with rest_of(question) as rest, torch.no_grad():
        losses = torch.stack(
            [
                _losses(rest, question.only(image), value.narrow(images, image, 1), kept[image])
                for image in range(len(kept))
            ]
        )
    share = size / size.sum(2, keepdim=True).clamp_min(torch.finfo(size.dtype).tiny)
    spread = (share * losses[:, :, None]).view(value.movedim((images, units), (0, 1)).shape)
    return Contributions("ablation", (spread.movedim((0, 1), (images, units)),))


def by_unit(value: Tensor, layout: Layout) -> Tensor:
    """(image, unit, cell) of a tensor in a layer's own shape; a class token is a cell here."""
    first = value.movedim(axes_of(layout), (0, 1))
    return first.flatten(2) if first.dim() > 2 else first[:, :, None]


def _losses(rest: Rest, question: Question, value: Tensor, kept: Tensor) -> Tensor:
    """(unit,) for one image; a unit that is 0 everywhere already costs nothing to leave out."""
    images, units = axes_of(rest.layout)
    alive = by_unit(value, rest.layout)[0].any(1).nonzero()[:, 0]
    losses = torch.zeros(value.shape[units], dtype=kept.dtype, device=kept.device)
    for some in torch.split(alive, AT_ONCE) if len(alive) else ():
        rows = value.repeat_interleave(len(some), images)
        rows.movedim((images, units), (0, 1))[torch.arange(len(some)), some] = 0
        outputs = rest(rows, *question.inputs)
        losses[some] = kept - select(outputs, _expand_target(question.target, len(some)))
    return losses


def ablated(rest: Rest, question: Question, units: Sequence[int]) -> Tensor:
    """(image,): the output when some units are 0 together."""
    with torch.no_grad():
        value = rest.layer(*question.inputs)
        value.index_fill_(axes_of(rest.layout)[1], torch.tensor(units, dtype=torch.long, device=value.device), 0)
        return select(rest(value, *question.inputs), question.target)


def rest_of(question: Question) -> AbstractContextManager[Rest]:
    """The rest of the model that a question is about."""
    assert isinstance(question.model, SplitModel)
    return question.model.rest(question.layer, question.inputs)


def _activation(question: Question, _: Cuts) -> Contributions:
    model = question.model
    if isinstance(model, TracedModel):
        trace = model.trace(question.layer, question.inputs, at_input=question.at_input, device_ids=question.device_ids)
        joined = tuple(
            torch.cat([tensor.to(pair[0].device) for tensor in pair]) for pair in zip(*trace.values, strict=True)
        )
        return Contributions("activation", joined, trace.several)
    if isinstance(model, SplitModel):
        with rest_of(question) as rest:
            return Contributions("activation", (rest.layer(*question.inputs),))
    images = question.inputs[0]
    with model.probe([question.layer], tuple(images.shape[2:])) as probe:
        return Contributions("activation", (probe(images)[probe.layers[0]],))


def _seen(question: Question) -> tuple[Tensor, Any]:
    """The layer's output and the model's, in one pass where the model can."""
    model = question.model
    if isinstance(model, TracedModel):
        trace = model.trace(question.layer, question.inputs, device_ids=question.device_ids)
        return torch.cat([part[0].to(trace.values[0][0].device) for part in trace.values]), trace.output
    assert isinstance(model, SplitModel)
    with rest_of(question) as rest, torch.no_grad():
        return rest.layer(*question.inputs), model.outputs(*question.inputs)


_HOW: dict[str, Callable[[Question, Cuts], Contributions | None]] = {
    "linear": _linear,
    "gradient": _gradient,
    "ablation": _ablation,
    "activation": _activation,
}
