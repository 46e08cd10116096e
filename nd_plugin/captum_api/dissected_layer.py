"""State of a `LayerDissection`: model, layer and dissection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from captum.attr import LayerAttribution

from nd_plugin.captum_api.dissection_lookup import Dissections, load_dissections
from nd_plugin.captum_api.opened_model import ForwardFunction, LayerName, OpenedModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.question import Question
from nd_plugin.explain.targets import Target


class DissectedLayer(LayerAttribution):  # type: ignore[misc]  # captum is not typed
    """Layer or layers of a model that is opened once, and their dissection."""

    def __init__(
        self,
        forward_func: ForwardFunction,
        layer: LayerName | Sequence[LayerName] | None,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self.contribution: str | list[str] | None = None
        self._multiply_by_inputs = multiply_by_inputs
        self._dissection: Dissections | None = None
        self._opened_model: OpenedModel | None = None

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions hold the activation as a factor, or are weights or gradients."""
        return self._multiply_by_inputs

    @property
    def dissection(self) -> Dissections | None:
        """Result of the last `dissect`, or what was set: a Dissection, a list, a run's folder."""
        return self._dissection

    @dissection.setter
    def dissection(self, dissection: Dissections | str | Path | None) -> None:
        if isinstance(dissection, str | Path):
            dissection = load_dissections(dissection)
        self._dissection = dissection

    @property
    def _opened(self) -> OpenedModel:
        """Model of ``forward_func``, opened once for as long as that is the same object."""
        opened = self._opened_model
        if opened is None or opened.forward_func is not self.forward_func:
            opened = OpenedModel(self.forward_func)
            self._opened_model = opened
        return opened

    def _reopened(self) -> OpenedModel:
        """Open the model, or open it again if it is a live module that may have changed since."""
        known_model = self._opened_model
        opened = self._opened
        if opened is known_model:
            opened.refresh()
        return opened

    @property
    def _layers(self) -> list[LayerName | None]:
        """Layer or layers, as a list."""
        return list(self.layer) if self._has_several_layers else [self.layer]

    @property
    def _has_several_layers(self) -> bool:
        return isinstance(self.layer, list | tuple)

    def _question(
        self, layer: LayerName | None, inputs: tuple[Any, ...], target: Target = None
    ) -> Question:
        """Ask for contributions of a layer. Raises BadInput if no layer is set."""
        if layer is None:
            raise BadInput("no layer: set .layer to a module or a name")
        return Question(
            self._opened.model,
            layer,
            inputs,
            target,
            multiply=self._multiply_by_inputs,
            device_ids=self.device_ids,
        )
