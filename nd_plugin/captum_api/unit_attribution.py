"""The part of `LayerDissection` that Captum knows: `attribute`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from captum._utils.common import (
    _format_additional_forward_args,
    _format_output,
    _format_tensor_into_tuples,
)
from captum.attr import LayerAttribution
from captum.log import log_usage
from torch import Tensor, nn

from nd_plugin.contracts.models import Model
from nd_plugin.contracts.split_models import SplitModel
from nd_plugin.errors import BadInput
from nd_plugin.explain.contributions import contribute
from nd_plugin.explain.cuts import LayerCuts
from nd_plugin.explain.question import Contributions, Question
from nd_plugin.explain.targets import Target
from nd_plugin.explain.unit_masks import active_cells, check_mask, thresholds
from nd_plugin.plugins.opening import open_model
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.receptive_fields.layout import from_maps
from nd_plugin.results.dissection import Dissection
from nd_plugin.results.run_folder import load_run

LayerName = str | nn.Module


Found = Dissection | list[Dissection] | list[list[Dissection]]


Attributions = Tensor | tuple[Tensor, ...]


class UnitAttribution(LayerAttribution):  # type: ignore[misc]  # captum is not typed
    """Contributions of a layer's units to an output, where a dissection of the layer may say which count."""

    def __init__(
        self,
        forward_func: Callable[..., Any] | str | Model,
        layer: LayerName | Sequence[LayerName] | None,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs
        self._dissection: Found | None = None
        self._known: tuple[Any, Model, LayerCuts] | None = None
        self.contribution: str | list[str] | None = None

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions hold the activation as a factor; without it they are the weights or gradients."""
        return self._multiply_by_inputs

    @property
    def dissection(self) -> Found | None:
        """What the last `dissect` gave, or what was set: a Dissection, a list of them, or the folder of a run."""
        return self._dissection

    @dissection.setter
    def dissection(self, found: Found | str | Path | None) -> None:
        if isinstance(found, str | Path):
            loaded = load_run(found)
            found = loaded[0] if len(loaded) == 1 else loaded
        self._dissection = found

    @log_usage(part_of_slo=False)  # type: ignore[untyped-decorator]
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        target: Target = None,
        additional_forward_args: object | None = None,
        attribute_to_layer_input: bool = False,
        *,
        contribution: str = "auto",
        mask: str = "none",
        image_quantile: float = 0.2,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Attributions | list[Attributions]:
        r"""Contributions of the layer's units to the target (paper, section 3.10), in the layer's own shape.

        The model runs in evaluation mode. The result does not depend on a dissection unless ``mask`` asks for it.

        Args:
            inputs (Tensor or tuple[Tensor, ...]): What the forward function takes; dimension 0 are the examples.
            target (int, tuple, Tensor, or list, optional): Which output, in every form that Captum takes. Where the
                model gives a dict or tuple of tensors, the target begins with a key: ``"out"`` or ``("out", 3)``.
                Default: None
            additional_forward_args (Any, optional): Further arguments of the forward function.
                Default: None
            attribute_to_layer_input (bool, optional): Attribute to what the layer gets rather than to what it gives.
                Default: False
            contribution (str, optional): Which kind; what ``"auto"`` took is kept as ``self.contribution``.

                - ``"linear"``: w_n * x_n, exact, where global average pooling and a linear map follow the layer (this
                  is verified). Over all units and cells it sums to the output less the head's bias.
                - ``"gradient"``: activation times gradient, as LayerGradientXActivation.
                - ``"ablation"``: what the output loses when the unit is 0 everywhere, shared out over the unit's cells
                  by the size of their activation. One pass through the rest of the model for each unit and image.
                - ``"activation"``: the layer's output itself, as LayerActivation.
                - ``"auto"``: the first of these that the model allows.

                Default: "auto"
            mask (str, optional): ``"dissection"`` keeps the cells above the unit's threshold, S_k > T_k; ``"image"``
                those above the image's own, the top ``image_quantile`` of its map; ``"none"`` keeps all.
                Default: "none"
            image_quantile (float, optional): For ``mask="image"``.
                Default: 0.2
            grad_kwargs (dict, optional): Further arguments of torch.autograd.grad.
                Default: None

        Returns:
            *Tensor* or *tuple[Tensor, ...]* or list of **attributions**:
            - **attributions** (*Tensor*, *tuple[Tensor, ...]*, or *list*):
                        In the shape of the layer's output (or input): a tuple where the layer gives several tensors, a
                        list for a list of layers.

        Raises:
            BadInput: A contribution that this model does not allow (the message lists those it does), a mask without a
                dissection; of its kinds, LayerNotFound, LayerAmbiguous, UnitsNotFound.
            AssertionError: A target that does not fit the output, as everywhere in Captum.

        Examples::

            >>> net = torchvision.models.resnet18()
            >>> units = LayerDissection(net, net.layer4)
            >>> attributions = units.attribute(images, target=3)  # Nx512x7x7
            >>> units.contribution
            'linear'
        """
        check_mask(mask)
        several = isinstance(self.layer, list | tuple)
        layers = list(self.layer) if several else [self.layer]
        arguments = arguments_of(inputs, additional_forward_args)
        kinds, results = [], []
        for layer in layers:
            question = self._question(
                layer, arguments, target, attribute_to_layer_input, grad_kwargs
            )
            found = contribute(question, contribution, self._opened()[1])
            if mask != "none":
                found = self._masked(found, question, mask, image_quantile)
            kinds.append(found.kind)
            results.append(_format_output(found.several, found.tensors))
        self.contribution = kinds if several else kinds[0]
        return results if several else results[0]

    def _opened(self) -> tuple[Model, LayerCuts]:
        """The model, opened once for as long as it is the same object."""
        if self._known is None or self._known[0] is not self.forward_func:
            opened = (
                self.forward_func if is_model(self.forward_func) else open_model(self.forward_func)
            )
            self._known = self.forward_func, opened, LayerCuts()
        return self._known[1], self._known[2]

    def _question(
        self,
        layer: LayerName | None,
        arguments: tuple[Any, ...],
        target: Target,
        at_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Question:
        if layer is None:
            raise BadInput("no layer: set .layer to a module or a name")
        return Question(
            self._opened()[0],
            layer,
            arguments,
            target,
            at_input,
            self._multiply_by_inputs,
            grad_kwargs or {},
            self.device_ids,
        )

    def _masked(
        self, found: Contributions, question: Question, mask: str, quantile: float
    ) -> Contributions:
        """Contributions where the unit is active, 0 elsewhere."""
        if question.at_input or found.several:
            raise BadInput("masks are of what a layer gives, as one tensor")
        cuts = self._opened()[1]
        (whole,) = found.tensors
        with torch.no_grad():
            value = contribute(question, "activation", cuts).tensors[0]
        if not isinstance(question.model, SplitModel):
            return Contributions(
                found.kind,
                (whole * active_cells(value, self._levels(question, value, mask, quantile)),),
            )
        layout = cuts.of(question).layout
        maps = layout.maps(value)
        kept = active_cells(maps, self._levels(question, maps, mask, quantile))
        return Contributions(found.kind, (whole * from_maps(layout, kept, value.shape),))

    def _levels(self, question: Question, maps: Tensor, mask: str, quantile: float) -> Tensor:
        if mask == "none":
            raise BadInput("mask 'none' has no threshold: choose 'dissection' or 'image'")
        found = (
            torch.from_numpy(self._dissection_of(question).thresholds)
            if mask == "dissection"
            else None
        )
        return thresholds(maps, mask, quantile, found)

    @contextmanager
    def _probed(self, question: Question) -> Iterator[tuple[Tensor, Geometry, str]]:
        """Maps, geometry and name of a layer, of a model that may offer nothing else."""
        images = question.inputs[0]
        with torch.no_grad(), question.model.probe([question.layer], size_of(images)) as probe:
            name = probe.layers[0]
            yield probe(images)[name], probe.geometries[name], name

    def _dissection_of(self, question: Question) -> Dissection:
        """The dissection of the layer that a question is about. Raises BadInput."""
        if self._dissection is None:
            raise BadInput(
                "no dissection: run dissect, or set .dissection to a saved one (or to its run's folder)"
            )
        name = self._name(question)
        known = list(_flat(self._dissection))
        found = next((one for one in known if one.layer == name), None)
        if found is None:
            raise BadInput(
                f"no dissection of layer {name!r}: those at hand are of {', '.join(d.layer for d in known)}"
            )
        return found

    def _name(self, question: Question) -> str:
        if isinstance(question.model, SplitModel):
            return self._opened()[1].of(question).name
        with question.model.probe([question.layer], size_of(question.inputs[0])) as probe:
            return probe.layers[0]


def arguments_of(inputs: Any, additional_forward_args: Any) -> tuple[Any, ...]:
    """What the forward function is called with."""
    return *_format_tensor_into_tuples(inputs), *(
        _format_additional_forward_args(additional_forward_args) or ()
    )


def is_model(candidate: Any) -> bool:
    """Whether something is a model that a backend has opened."""
    return (
        hasattr(candidate, "probe")
        and hasattr(candidate, "preprocess")
        and hasattr(candidate, "identity")
    )


def size_of(images: Tensor) -> tuple[int, int]:
    """Height and width in pixels."""
    return images.shape[-2], images.shape[-1]


def _flat(found: Any) -> Iterator[Dissection]:
    if isinstance(found, Dissection):
        yield found
    else:
        for one in found:
            yield from _flat(one)
