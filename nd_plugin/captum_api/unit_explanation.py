"""What follows from attributions and a dissection: explanations, masks, and attributions where Captum wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from nd_plugin.captum_api.unit_attribution import UnitAttribution, arguments_of, size_of
from nd_plugin.contracts.split_models import SplitModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.explainer import Classes, Wanted, explain
from nd_plugin.explain.explanation import Explanations
from nd_plugin.explain.targets import Target, chosen_output
from nd_plugin.explain.unit_masks import active_pixels, check_mask
from nd_plugin.method.upsampling import upsample
from nd_plugin.preprocess import Preprocess
from nd_plugin.results.dissection import Dissection


class UnitExplanation(UnitAttribution):
    """Attributions with names and places."""

    def explain(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        target: Target = None,
        additional_forward_args: object | None = None,
        *,
        top_k: int = 5,
        detectors_only: bool = False,
        contribution: str = "auto",
        mask: str = "image",
        image_quantile: float = 0.2,
        classes: Classes | None = None,
        preprocess: Preprocess | None = None,
    ) -> Explanations:
        r"""Why this answer: the units that contribute most, and what they detect (paper, section 3.10).

        Needs a dissection of the layer: `dissect` gives one, or ``self.dissection`` is set to a saved one.

        Args:
            inputs: Preprocessed images (image, channel, row, column), as the model takes them.
            target: Which output to explain, as in `attribute`; None: for each image the class that the model chose.
            additional_forward_args: As in `attribute`.
            top_k: How many units are named.
            detectors_only: Rank detectors alone, leaving out units whose best concept is below ``min_iou``.
            contribution: As in `attribute`; all but ``"activation"``.
            mask: Which mask is shown: ``"image"``, the top ``image_quantile`` of the image's own map (the paper's
                figures), or ``"dissection"``, S_k > T_k. Units are ranked by their whole contribution.
            image_quantile: For ``mask="image"``.
            classes: Names of the model's classes.
            preprocess: How the images were prepared, so that they can be shown; None: as the dissection's were.

        Returns:
            One `Explanation` for each image, which shows itself in terminals and notebooks.

        Raises:
            BadInput: No dissection of this layer, or a contribution that this model does not allow.
        """
        if mask not in ("image", "dissection"):
            raise BadInput(f"mask {mask!r} is neither 'image' nor 'dissection'")
        if top_k < 1:
            raise BadInput(f"top_k {top_k} names no unit")
        if isinstance(self.layer, list | tuple):
            raise BadInput("one layer is explained at a time: set .layer to it")
        arguments = arguments_of(inputs, additional_forward_args)
        question = self._question(self.layer, arguments, target)
        found = self._dissection_of(question)
        how = preprocess or preprocess_of(found)
        wanted = Wanted(top_k, detectors_only, contribution, mask, image_quantile, classes, how)
        explanations = explain(question, found, wanted, self._opened()[1])
        self.contribution = explanations[0].contribution if len(explanations) else None
        return explanations

    def segment(
        self,
        inputs: Tensor,
        units: int | Sequence[int],
        *,
        mask: str = "dissection",
        image_quantile: float = 0.2,
    ) -> Tensor:
        """Where units are active: boolean masks (image, unit, row, column) in the images' own resolution.

        ``mask="dissection"`` is the paper's M_k = S_k > T_k (section 2.2), ``"image"`` the top ``image_quantile`` of
        the image's own map (section 3.10). Raises BadInput for units that the layer has not.
        """
        check_mask(mask)
        question = self._question(self.layer, (inputs,), None)
        chosen = [units] if isinstance(units, int) else list(units)
        with self._probed(question) as (maps, geometry, name):
            strange = [unit for unit in chosen if not 0 <= unit < maps.shape[1]]
            if strange:
                raise BadInput(
                    f"no unit {strange[0]}: layer {name!r} has {maps.shape[1]}, numbered from 0"
                )
            levels = self._levels(question, maps, mask, image_quantile)
            return active_pixels(maps[:, chosen], levels[:, chosen], geometry, size_of(inputs))

    def to_input(self, attributions: Tensor, inputs: Tensor) -> Tensor:
        """Attributions of the layer at the images' resolution, (image, unit, row, column).

        The cells' values stand at the centres of their receptive fields (paper, section 2.2), not where
        `interpolate` would put them. Attributions may have been summed over units before, with ``keepdim=True``.
        """
        model, cuts = self._opened()
        if isinstance(model, SplitModel):
            cut = cuts.of(self._question(self.layer, (inputs,), None))
            maps, geometry = cut.layout.maps(attributions), cut.geometry
        else:
            with self._probed(self._question(self.layer, (inputs,), None)) as (_, geometry, _):
                maps = attributions
        return upsample(maps.detach().float(), geometry, size_of(inputs), size_of(inputs))

    def as_explanation(self, **options: Any) -> Callable[..., Any]:
        """A function from images to attributions of the images' own shape, as captum.metrics ask for.

        It takes what `attribute` takes, with ``options`` as defaults: contributions are summed over units, brought to
        the images' resolution, and shared out so that their sum stays about what it was. A tuple gives a tuple.
        """

        def explanation(inputs: Any, *arguments: Any, **more: Any) -> Any:
            (images,) = inputs if isinstance(inputs, tuple) else (inputs,)
            attributions = self.attribute(images, *arguments, **{**options, **more})
            spread = self.to_input(attributions, images).sum(1, keepdim=True)
            cells = attributions[0].numel() / attributions.shape[1]
            shared = (
                (spread * cells / images[0].numel()).expand_as(images).to(images.dtype).contiguous()
            )
            return (shared,) if isinstance(inputs, tuple) else shared

        return explanation

    def to_forward(self) -> Callable[..., Tensor]:
        """The model as a forward function for Captum's other methods, whatever it was opened from.

        Raises BadInput where the backend gives activations alone.
        """
        model = self._opened()[0]
        if not isinstance(model, SplitModel):
            raise BadInput(f"the backend {model.backend!r} gives activations alone, and no outputs")

        def forward(*inputs: Any) -> Tensor:
            return chosen_output(model.outputs(*inputs), None)[0]

        return forward


def preprocess_of(dissection: Dissection) -> Preprocess | None:
    """How the dissection's images were prepared; None where that is not known."""
    known = {
        key: value
        for key, value in dissection.provenance.preprocess.items()
        if key in Preprocess.__dataclass_fields__
    }
    return Preprocess(**known) if known.keys() >= {"size", "mean", "std"} else None
