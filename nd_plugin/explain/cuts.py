"""Models cut at a layer, remembered for inputs of one shape."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nd_plugin.contracts.split_models import LinearHead, Rest, SplitModel, TracedModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.question import Question
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.receptive_fields.layout import Layout


@dataclass(frozen=True, eq=False)
class LayerCut:
    """What is known of a layer: where its units lie."""

    name: str
    layout: Layout
    geometry: Geometry


class LayerCuts:
    """The cuts of one model and the heads behind them, each found once; a head is checked again whenever it is used."""

    def __init__(self) -> None:
        self._cuts: dict[Any, LayerCut] = {}
        self._heads: dict[Any, LinearHead | None] = {}

    def of(self, question: Question) -> LayerCut:
        """The cut that a question is about. Raises UnitsNotFound, BadInput."""
        key = _key(question)
        if key not in self._cuts:
            model = question.model
            if not isinstance(model, SplitModel):
                raise BadInput(f"the backend {model.backend!r} cannot cut a model at a layer")
            with model.rest(question.layer, question.inputs) as rest:
                self._cuts[key] = LayerCut(rest.name, rest.layout, rest.geometry)
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
    return layer, *(
        tuple(item.shape[1:]) if isinstance(item, Tensor) else None for item in question.inputs
    )


def rest_of(question: Question) -> AbstractContextManager[Rest]:
    """The rest of the model that a question is about."""
    assert isinstance(question.model, SplitModel)
    return question.model.rest(question.layer, question.inputs)


def layer_and_outputs(question: Question) -> tuple[Tensor, Any]:
    """The layer's output and the model's, in one pass where the model can."""
    model = question.model
    if isinstance(model, TracedModel):
        trace = model.trace(question.layer, question.inputs, device_ids=question.device_ids)
        return torch.cat(
            [part[0].to(trace.values[0][0].device) for part in trace.values]
        ), trace.output
    assert isinstance(model, SplitModel)
    with rest_of(question) as rest, torch.no_grad():
        return rest.layer(*question.inputs), model.outputs(*question.inputs)
