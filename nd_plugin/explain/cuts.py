"""Splits of a model at its layers: layout, geometry and linear head, remembered by input shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nd_plugin.contracts.split_models import LinearHead, Rest, SplitModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.question import Question
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.receptive_fields.layout import MAPS, Layout, MapLayout


@dataclass(frozen=True, eq=False)
class LayerCut:
    """Name of a layer, layout of its output and geometry of its cells."""

    name: str
    layout: Layout
    geometry: Geometry


class LayerCuts:
    """Cuts of one model and linear heads behind them, determined once per layer and input shape.

    Opening a cut or verifying a head costs forward passes on noise. While a cut is open, opening it
    again is free.
    A head is compared with the model's outputs whenever it is used; see `explain.linear_head`.
    """

    def __init__(self) -> None:
        self._cuts: dict[Any, LayerCut] = {}
        self._heads: dict[Any, LinearHead | None] = {}
        self._open_rests: dict[Any, Rest] = {}

    def cut(self, question: Question) -> LayerCut:
        """Return the cut at a question's layer. Raises LayerNotFound, UnitsNotFound, …"""
        key = _key(question)
        if key not in self._cuts:
            if isinstance(question.model, SplitModel):
                with self.open(question):
                    pass
            else:
                self._cuts[key] = _probed_cut(question)
        return self._cuts[key]

    @contextmanager
    def open(self, question: Question) -> Iterator[Rest]:
        """Split the model at a question's layer for a while; its cut is remembered.

        Raises BadInput if the backend cannot split models, LayerNotFound, LayerAmbiguous,
        UnitsNotFound.
        """
        model = question.model
        if not isinstance(model, SplitModel):
            raise BadInput(
                f"the backend {model.backend!r} cannot split a model at a layer"
            )
        key = _key(question)
        if key in self._open_rests:
            yield self._open_rests[key]
            return
        with model.rest(question.layer, question.inputs) as rest:
            self._cuts[key] = LayerCut(rest.name, rest.layout, rest.geometry)
            self._open_rests[key] = rest
            try:
                yield rest
            finally:
                del self._open_rests[key]

    def head(self, question: Question) -> LinearHead | None:
        """Return the linear head behind a question's layer.

        Raises ModelFailed if the model fails on noise.
        """
        key = _key(question)
        if key not in self._heads:
            assert isinstance(question.model, SplitModel)
            self._heads[key] = question.model.linear_head(
                question.layer, question.inputs
            )
        return self._heads[key]

    def forget_head(self, question: Question) -> None:
        """Forget the head behind a question's layer, because the model's weights have changed."""
        self._heads.pop(_key(question), None)


def _key(question: Question) -> tuple[Any, ...]:
    """Return layer and shapes of the inputs for one image.

    A module itself is part of the key, not its id, which another module could be given later.
    """
    shapes = [
        tuple(item.shape[1:]) if isinstance(item, Tensor) else None
        for item in question.inputs
    ]
    return question.layer, *shapes


def _probed_cut(question: Question) -> LayerCut:
    """Return the cut at a layer of a model that exposes activation maps only."""
    images = question.inputs[0]
    with question.model.probe([question.layer], tuple(images.shape[2:])) as probe:
        (name,) = probe.layers
        return LayerCut(name, MapLayout(MAPS["NCHW"], None), probe.geometries[name])
