"""State of a `LayerDissection`: a layer of an opened model, with its dissection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from captum.attr import LayerAttribution
from torch import Tensor

from nd_plugin.captum_api import unit_explanation
from nd_plugin.captum_api.dissection_lookup import Dissections, load_dissections
from nd_plugin.captum_api.opened_model import (
    ForwardFunction,
    LayerName,
    OpenedModel,
)
from nd_plugin.errors import BadInput
from nd_plugin.explain.question import Question
from nd_plugin.explain.targets import Target
from nd_plugin.explain.unit_masks import check_mask


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
        self,
        layer: LayerName | None,
        inputs: tuple[Any, ...],
        target: Target = None,
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

    def segment(
        self,
        inputs: Tensor,
        units: int | Sequence[int],
        *,
        mask: str = "dissection",
        image_quantile: float = 0.2,
    ) -> Tensor:
        """Compute boolean masks (image, unit, row, column) of units at the images' resolution.

        ``mask="dissection"`` is the paper's M_k = S_k > T_k (section 2.2), ``"image"`` the top
        ``image_quantile`` of the image's own map (section 3.10). Raises BadInput for unknown units.
        """
        check_mask(mask)
        unit_list = [units] if isinstance(units, int) else list(units)
        question = self._question(self.layer, (inputs,))
        return unit_explanation.segment_layer(
            question, unit_list, mask, image_quantile, self.dissection
        )

    def to_input(self, attributions: Tensor, inputs: Tensor) -> Tensor:
        """Interpolate attributions at the images' resolution: (image, unit, row, column).

        Values are anchored at the centres of receptive fields (section 2.2), unlike those of
        `interpolate`. Attributions may be summed over units before, with ``keepdim=True``.
        """
        question = self._question(self.layer, (inputs,))
        return unit_explanation.upsample_attributions(
            question, self._opened.cuts, attributions
        )

    def to_forward(self) -> Callable[..., Tensor]:
        """Return the model as a forward function for Captum's other methods.

        Raises BadInput where the backend exposes activations only.
        """
        return unit_explanation.forward_function(self._opened.model)
