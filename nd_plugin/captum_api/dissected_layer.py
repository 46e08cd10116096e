"""State of a `LayerDissection`: a layer of an opened model, with its dissection."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from nd_plugin.captum_api import unit_explanation
from nd_plugin.captum_api.dissection_lookup import (
    Dissections,
    list_dissections,
    load_dissections,
    recorded_whites,
)
from nd_plugin.captum_api.layer_attribution import LayerAttribution
from nd_plugin.captum_api.opened_model import (
    ForwardFunction,
    LayerName,
    OpenedModel,
    forward_arguments,
    layer_description,
    model_description,
)
from nd_plugin.captum_api.pictures import (
    Notes,
    Picture,
    list_pictures,
    preprocess_pictures,
)
from nd_plugin.errors import BadInput
from nd_plugin.explain.displayed_image import (
    check_is_batch,
    check_normalised,
    describe_pixel_values,
)
from nd_plugin.explain.question import Question
from nd_plugin.explain.targets import Target
from nd_plugin.explain.unit_masks import check_mask
from nd_plugin.preprocess import Preprocess


class DissectedLayer(LayerAttribution):
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

    def _record_kinds(self, kinds: list[str]) -> None:
        """Record the kinds of contributions: of a single layer, its first."""
        if self._has_several_layers:
            self.contribution = kinds
        else:
            self.contribution = kinds[0] if kinds else None

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

    def _preprocessed(
        self,
        inputs: Any,
        additional_forward_args: Any,
        preprocess: Preprocess | None,
    ) -> tuple[Any, Preprocess | None, list[Notes]]:
        """Preprocess pictures, by default as those that the layer was dissected on.

        Returns inputs for the model, their preprocessing if it is known, and notes on each picture.
        Inputs that are no pictures are returned as they are, without notes. Raises BadInput for a
        tensor of pixels.
        """
        pictures = list_pictures(inputs)
        if pictures is None:
            common = preprocess or self._common_preprocess()
            images = inputs[0] if isinstance(inputs, tuple) else inputs
            check_is_batch(images)
            if common is not None:
                # before the model fails on them
                check_normalised(images, common)
            return inputs, preprocess, []
        if preprocess is None:
            further_arguments = forward_arguments((), additional_forward_args)
            preprocess = unit_explanation.dissected_preprocess(
                self._question(self.layer, further_arguments),
                self._opened.cuts,
                self.dissection,
            )
        device = self._opened.model.device
        tensor, notes = preprocess_pictures(
            pictures, preprocess, device, recorded_whites(self.dissection)
        )
        return tensor, preprocess, notes

    def _common_preprocess(self) -> Preprocess | None:
        """Return the preprocessing of all dissections, or the model's; None if they differ."""
        dissections = self.dissection
        candidates = [] if dissections is None else list_dissections(dissections)
        return unit_explanation.common_preprocess(candidates, self._opened.model)

    def _warn_of_pixels(self, arguments: tuple[Any, ...]) -> None:
        """Warn of images (image, 3, row, column) that are pixels and not normalised."""
        images = arguments[0] if arguments else None
        if not isinstance(images, Tensor) or images.dim() != 4:
            return
        preprocess = self._common_preprocess()
        if images.shape[1] != 3 or preprocess is None:
            return
        description = describe_pixel_values(images, preprocess)
        if description:
            warnings.warn(description, UserWarning, stacklevel=4)

    def __repr__(self) -> str:
        model = model_description(self.forward_func)
        layers = [
            layer_description(self.forward_func, layer) for layer in self._layers
        ]
        listing = ", ".join(layers)
        layer_text = f"[{listing}]" if self._has_several_layers else listing
        dissection = self.dissection
        dissection_text = (
            "not dissected" if dissection is None else repr(dissection)
        )
        return f"{type(self).__name__}({model}, {layer_text}, {dissection_text})"

    def segment(
        self,
        inputs: Tensor | Picture | Sequence[Picture],
        units: int | Sequence[int],
        *,
        mask: str = "dissection",
        image_quantile: float = 0.2,
        preprocess: Preprocess | None = None,
    ) -> Tensor:
        """Compute boolean masks (image, unit, row, column) of units at the images' resolution.

        ``mask="dissection"`` is the paper's M_k = S_k > T_k (section 2.2), ``"image"`` the top
        ``image_quantile`` of the image's own map (section 3.10). Inputs and ``preprocess`` are as
        in `explain`; what it notes on pictures is a warning here.
        Raises BadInput for unknown units, and for a tensor of pixels.
        """
        check_mask(mask)
        unit_list = [units] if isinstance(units, int) else list(units)
        images, _, notes = self._preprocessed(inputs, None, preprocess)
        for note in dict.fromkeys(chain.from_iterable(notes)):
            warnings.warn(note, UserWarning, stacklevel=2)
        question = self._question(self.layer, (images,))
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
