"""`LayerDissection`: Network Dissection as a Captum layer attribution."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from nd_plugin.captum_api.progress import TqdmProgress
from nd_plugin.captum_api.unit_attribution import is_model
from nd_plugin.captum_api.unit_explanation import UnitExplanation
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.provenance import Settings
from nd_plugin.engine import run
from nd_plugin.errors import BadInput
from nd_plugin.plugins.host import announce
from nd_plugin.plugins.opening import open_concepts, open_model
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.dissection import Dissection
from nd_plugin.resuming.checkpoint import CheckpointFolder


class LayerDissection(UnitExplanation):
    r"""Names the units of a layer by the concepts of a densely labelled probe data set.

    Network Dissection (Zhou, Bau, Oliva, Torralba, TPAMI 2018, https://arxiv.org/abs/1711.05611): each unit's top
    activations are taken as a segmentation and scored by IoU against every concept; a unit with IoU > 0.04 is a
    detector of its best concept.

    Args:
        forward_func (callable, str or nd_plugin.Model): The model: an ``nn.Module``, a forward function, a text such
            as ``"torchvision:resnet18"``, or a model that `open_model` gave.
        layer (torch.nn.Module, str, or a list of either): The layer or layers, as modules or by dotted name; None where
            it is set later (TCAV sets it). A module that runs several times in one forward pass is chosen by
            ``"name#1"``, an entry of a tuple, list or dict that a layer returns by ``"name[1]"`` or ``"name[key]"``.
        device_ids (list[int]): In which order devices take their parts of a batch, where ``forward_func`` is a function
            that applies a DataParallel model. A DataParallel model itself is unwrapped, and runs on one device.
        multiply_by_inputs (bool): Whether attributions hold the activation as a factor. False gives the weights of
            ``"linear"`` and the gradients of ``"gradient"``, as TCAV asks for.

    Attributes:
        dissection: What the last `dissect` gave; may be set to a Dissection, a list of them or the folder of a run.
        contribution: Which kind of contribution the last `attribute` or `explain` took.

    Examples::

        >>> model = efficientnet_lite0()
        >>> found = LayerDissection(model, "_blocks.15").dissect("shapes")
        >>> found.unique_detectors
        >>> units = LayerDissection(model, "_swish#1")
        >>> units.dissection = "runs/last-night"
        >>> units.explain(images)
    """

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
        checkpoint: str | Path | None = None,
        strict: bool = False,
        top_images: int = 50,
        preprocess: Preprocess | None = None,
        show_progress: bool = False,
    ) -> Dissection | list[Dissection] | list[list[Dissection]]:
        r"""Dissect the layer on a concept set.

        Args:
            concept_set: ``"broden:ROOT"``, ``"masks:ROOT"``, ``"shapes"``, what an installed plugin claims, or an
                object with the protocol `ConceptSet`.
            quantile: τ, the fraction of locations above a unit's threshold (paper section 2.1); several at the cost
                of one forward pass.
            min_iou: A unit whose best IoU is above this is a detector.
            anchor: ``"rf"``, interpolants at the receptive fields' centres, or ``"cell"``, spread evenly.
            mask_size: ``None`` (Broden's masks as they are, else half the input), ``"native"``, N or ``"HxW"``.
            batch_size: Images per forward pass; None chooses by device.
            workers: Processes beside this one, which decode images, and on a CPU count masks; None chooses by cores.
            limit: Look at the first images only.
            memory: Bytes for the maps kept during the pass, 1 GiB by default; more go to a temporary file.
            checkpoint: A folder in which the state is kept while this runs. An interrupted dissection that is found
                there is continued; the folder is removed at the end.
            strict: Stop at the first image that cannot be read, instead of naming and skipping it.
            top_images: How many of its most activating images are kept for each unit.
            preprocess: How images are brought to the model; None takes the model's own metadata, else ImageNet's.
            show_progress: Show a progress bar on stderr.

        Returns:
            A Dissection; for a list of layers a list of them, in that order; for several quantiles a list in place of
            each. Also kept as ``self.dissection``.

        Raises:
            BadInput: Of its kinds, LayerNotFound, LayerAmbiguous, UnitsNotFound, ConceptSetInvalid, ModelNotFound.
            RunFailed: Of its kinds, ModelFailed, NonFiniteActivation, Unreadable.
            Unavailable: A backend or device that this machine does not have.
        """
        several = isinstance(self.layer, list | tuple)
        layers = list(self.layer) if several else [self.layer]
        if not layers:
            raise BadInput("no layer to dissect: the list of layers is empty")
        opened = self.forward_func if is_model(self.forward_func) else open_model(self.forward_func)
        several_quantiles = isinstance(quantile, Sequence) and not isinstance(quantile, str)
        quantiles: list[Any] = list(quantile) if several_quantiles else [quantile]  # type: ignore[arg-type]
        if not quantiles:
            raise BadInput("no quantile: the list is empty")
        feed = Feed.of(
            open_concepts(concept_set),
            preprocess or opened.preprocess,
            Settings(
                quantiles[0],
                min_iou,
                anchor,
                "auto" if mask_size is None else str(mask_size),
                limit,
                strict,
                top_images,
            ),
            opened.device,
            batch_size,
            workers,
            memory,
        )
        keeping = (
            CheckpointFolder(Path(checkpoint), feed, quantiles) if checkpoint is not None else None
        )
        keep = keeping.keep if keeping else run.start_fresh
        kept = keeping.watched() if keeping else nullcontext()
        with kept, TqdmProgress(disable=not show_progress) as progress:
            found = run.run(opened, layers, feed, progress, quantiles=quantiles, keep=keep)
        if keeping:
            keeping.remove()
        for dissection in found:
            announce(dissection)
        each = len(found) // len(layers)
        by_layer = [found[start : start + each] for start in range(0, len(found), each)]
        nested = by_layer if several_quantiles else found
        self.dissection = nested if several else nested[0]
        return self.dissection
