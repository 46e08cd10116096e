"""`LayerDissection`: Network Dissection as a Captum layer attribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from captum._utils.common import _format_output
from captum.log import log_usage
from torch import Tensor

from nd_plugin.captum_api import unit_explanation
from nd_plugin.captum_api.dissected_layer import DissectedLayer
from nd_plugin.captum_api.dissection_lookup import Dissections
from nd_plugin.captum_api.dissection_run import quantile_tuple, run_dissection
from nd_plugin.captum_api.opened_model import forward_arguments
from nd_plugin.captum_api.pictures import Picture
from nd_plugin.captum_api.unit_attribution import attribute_layer
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.precision import in_precision
from nd_plugin.contracts.provenance import PICTURE_BUDGET, Settings
from nd_plugin.errors import BadInput
from nd_plugin.explain.class_names import Classes, class_numbers
from nd_plugin.explain.explainer import ExplainSettings
from nd_plugin.explain.explanation import Explanations
from nd_plugin.explain.targets import Target
from nd_plugin.explain.unit_masks import check_mask
from nd_plugin.plugins.opening import open_concepts
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.batches import Feed

Attributions = Tensor | tuple[Tensor, ...]


class LayerDissection(DissectedLayer):
    r"""Network Dissection of a layer: names its units by concepts of a densely labelled data set.

    Network Dissection (Zhou, Bau, Oliva, Torralba, TPAMI 2018, https://arxiv.org/abs/1711.05611):
    each unit's top activations are taken as a segmentation and scored by IoU against every concept;
    a unit with IoU > 0.04 is a detector of its best concept.

    Args:
        forward_func (callable, str or nd_plugin.Model): An ``nn.Module``, a forward function, a
            spec such as ``"torchvision:resnet18"``, or a result of `open_model`.
        layer (torch.nn.Module, str, or a list of either): Layer or layers, as modules or by dotted
            name; None where it is set later (TCAV sets it). A module that runs several times in one
            forward pass is chosen by ``"name#1"``, an entry of a tuple, list or dict that a layer
            returns by ``"name[1]"`` or ``"name[key]"``.
        device_ids (list[int]): Order in which devices take their share of a batch, where
            ``forward_func`` is a function that applies a DataParallel model. A DataParallel model
            itself is unwrapped, and runs on one device.
        multiply_by_inputs (bool): Whether attributions hold the activation as a factor. False gives
            the weights of ``"linear"`` and the gradients of ``"gradient"``, as TCAV asks for.

    Attributes:
        dissection: Result of the last `dissect`; may be set to a Dissection, list or run's folder.
        contribution: Kind of contribution that the last `attribute` or `explain` used.

    Examples::

        >>> units = LayerDissection(efficientnet_lite0(), "_swish#1")
        >>> units.dissect("shapes").unique_detectors
        >>> units.dissection = "runs/last-night"
        >>> units.explain("photo.jpg").plot()
    """

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
        r"""Compute contributions of the layer's units to the target (paper, section 3.10).

        The model runs in evaluation mode. Only ``mask="dissection"`` needs a dissection.

        Args:
            inputs: Inputs of the forward function; dimension 0 are the examples.
            target: Output to attribute, in every form that Captum takes. Where the model returns a
                dict or tuple of tensors, the target starts with a key: ``"out"``, ``("out", 3)``.
            additional_forward_args: Further arguments of the forward function.
            attribute_to_layer_input: Attribute to the layer's input instead of its output.
            contribution: Kind of contribution; ``"auto"``, the first of these that is possible:

                - ``"linear"``: w_n * x_n, exact, where global average pooling and a linear map
                  follow the layer (this is verified). Sums to the output less the head's bias.
                - ``"gradient"``: activation times gradient, as LayerGradientXActivation.
                - ``"ablation"``: decrease of the output when the unit is 0 everywhere, distributed
                  over its cells by the magnitude of their activation. One pass through the layers
                  behind for each unit and image.
                - ``"activation"``: the layer's output itself, as LayerActivation; never automatic.
            mask: ``"dissection"`` keeps the cells with S_k > T_k, ``"image"`` those in the top
                ``image_quantile`` of the image's own map; ``"none"`` keeps all.
            image_quantile: Fraction of cells for ``mask="image"``.
            grad_kwargs: Further arguments of torch.autograd.grad.

        Returns:
            Attributions in the shape of the layer's output (or input); a tuple where the layer
            returns several tensors, a list of these for a list of layers.

        Raises:
            BadInput: A contribution that this model does not allow (the message lists those it
                does), a mask without a dissection, LayerNotFound, LayerAmbiguous, UnitsNotFound.
            AssertionError: A target that does not fit the output, as everywhere in Captum.
        """
        check_mask(mask)
        arguments = forward_arguments(inputs, additional_forward_args)
        self._warn_of_pixels(arguments)
        kinds = []
        attributions = []
        for layer in self._layers:
            question = replace(
                self._question(layer, arguments, target),
                at_input=attribute_to_layer_input,
                grad_kwargs=grad_kwargs or {},
            )
            contributions = attribute_layer(
                question,
                self._opened.cuts,
                contribution,
                mask,
                image_quantile,
                self.dissection,
            )
            kinds.append(contributions.kind)
            attributions.append(
                _format_output(contributions.several, contributions.tensors)
            )
        self._record_kinds(kinds)
        return attributions if self._has_several_layers else attributions[0]

    def dissect(
        self,
        concept_set: str | ConceptSet,
        *,
        quantile: float | Sequence[float] = 0.005,
        min_iou: float = 0.04,
        anchor: str = "rf",
        mask_size: str | int | None = None,
        batch_size: int | None = None,
        workers: int | None = None,
        limit: int | None = None,
        memory: int | None = None,
        device_memory: int | None = None,
        checkpoint: str | Path | None = None,
        strict: bool = False,
        top_images: int = 50,
        pictures: bool | int = True,
        picture_budget: int = PICTURE_BUDGET,
        max_pixels: int | None = None,
        folds: int = 0,
        permutations: int = 0,
        seed: int = 0,
        verify_data: bool = False,
        preprocess: Preprocess | None = None,
        precision: str | None = None,
        show_progress: bool = False,
    ) -> Dissections:
        r"""Dissect the layer on a concept set.

        Args:
            concept_set: ``"broden:ROOT"``, ``"shapes"``, any plugin's spec, or a `ConceptSet`.
            quantile: τ, fraction of locations above a unit's threshold (section 2.1); or several.
            min_iou: A unit whose best IoU is above this is a detector.
            anchor: Cells at ``"rf"``, receptive fields' centres, or ``"cell"``, spread evenly.
            mask_size: ``"native"``, N or ``"HxW"``; None: Broden's own, else half the input.
            batch_size: Images per forward pass; None chooses by device.
            workers: Processes that decode images; None chooses by cores and device.
            limit: Number of images to use, from the first; None uses all.
            memory: Bytes for maps stored during the pass (1 GiB); more go to a temporary file.
            device_memory: Bytes of a GPU for maps and annotations (40 % of what is free).
            checkpoint: Folder for the state of the run, from which an interrupted one continues.
            strict: Fail for unreadable images, and for layers that vary from run to run.
            top_images: Number of most activating images recorded for each unit.
            pictures: Number of these with pictures and masks in the result; True: 15, False: 0.
            picture_budget: Bytes of a layer's pictures; beyond it, fewer images have any.
            max_pixels: Most pixels of an image or mask; None: ND_MAX_PIXELS, else 179 million.
            folds: Number of random parts of the images that are counted apart, for intervals.
            permutations: Permutations of annotations, for the level of chance; drawn by ``seed``.
            verify_data: Hash images and masks first; a checkpoint is of the same contents only.
            precision: As in `ModelOptions`: ``"float32"`` (None), ``"tf32"``, ``"float16"`` …
            preprocess: Preprocessing of images; None: the model's own metadata, else ImageNet's.
            show_progress: Show a progress bar on stderr.

        Returns:
            A Dissection (also ``self.dissection``); a list for several layers, or quantiles.

        Raises:
            BadInput: Of its kind (LayerNotFound, ConceptSetInvalid, …); RunFailed; Unavailable.
        """
        model = in_precision(self._reopened().model, precision)
        settings = Settings(
            quantiles=quantile_tuple(quantile),
            min_iou=min_iou,
            anchor=anchor,
            mask_size="auto" if mask_size is None else str(mask_size),
            limit=limit,
            strict=strict,
            top_images=top_images,
            pictures=pictures,
            picture_budget=picture_budget,
            max_pixels=max_pixels,
            folds=folds,
            permutations=permutations,
            seed=seed,
            verify_data=verify_data,
        )
        concepts = open_concepts(concept_set)
        inputs = (concepts, preprocess or model.preprocess, settings, model.device)
        loading = (batch_size, workers, memory)
        feed = Feed.of(*inputs, *loading, device_memory=device_memory)
        by_layer = run_dissection(
            model, self._layers, feed, quantile, checkpoint, show_progress
        )
        self.dissection = by_layer if self._has_several_layers else by_layer[0]
        return self.dissection

    def explain(
        self,
        inputs: Tensor | tuple[Tensor, ...] | Picture | Sequence[Picture],
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
        r"""Explain outputs by the units that contribute most and their concepts (section 3.10).

        Needs a dissection of the layer: run `dissect`, or set ``self.dissection`` to a saved one.

        Args:
            inputs: Preprocessed images (image, channel, row, column), as the model takes them; or
                pictures, which are preprocessed like the images of the dissection: a path, a PIL
                image, uint8 pixels (an array (row, column, channel), a tensor (channel, row,
                column)), a batch of pixels, or a list of any of these.
            target: As in `attribute`, or a name of ``classes``; None: each image's predicted class.
            additional_forward_args: As in `attribute`.
            top_k: Number of units to name, ranked by their contribution over all cells.
            detectors_only: Leave out units whose best concept is below ``min_iou``.
            contribution: As in `attribute`; all but ``"activation"``.
            mask: Mask to show: ``"image"``, the top ``image_quantile`` of the image's own map (the
                paper's figures), or ``"dissection"``, S_k > T_k.
            image_quantile: Fraction of cells for ``mask="image"``.
            classes: Names of the model's classes.
            preprocess: Preprocessing of pictures, undone for display; None: the dissection's.

        Raises:
            BadInput: No dissection of this layer, a contribution that this model does not allow, or
                a tensor of pixels such as 0 … 255 in floats.
        """
        if self._has_several_layers:
            raise BadInput(
                "explain takes one layer at a time: set .layer to one of them"
            )
        model_inputs, preprocess, notes = self._preprocessed(
            inputs, additional_forward_args, preprocess
        )
        arguments = forward_arguments(model_inputs, additional_forward_args)
        target = class_numbers(target, classes)
        question = self._question(self.layer, arguments, target)
        settings = ExplainSettings(
            top_k=top_k,
            detectors_only=detectors_only,
            contribution_kind=contribution,
            mask_kind=mask,
            image_quantile=image_quantile,
            classes=classes,
            preprocess=preprocess,
            image_notes=notes,
        )
        explanations = unit_explanation.explain_layer(
            question, self._opened.cuts, settings, self.dissection
        )
        kinds = [explanation.contribution for explanation in explanations]
        self._record_kinds(kinds)
        return explanations

    def as_explanation(self, **options: Any) -> Callable[..., Any]:
        """Return a function from images to attributions of their shape, for captum.metrics.

        It takes the arguments of `attribute`, with ``options`` as defaults. Contributions are
        summed over units and distributed over pixels; their sum is preserved approximately.
        """
        return unit_explanation.image_attributions(
            self.attribute, self.to_input, options
        )
