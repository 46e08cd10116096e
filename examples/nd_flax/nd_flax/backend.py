"""Backend for Flax models: traced for their layers, compiled for the maps of some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flax
import jax
import torch
from torch import Tensor

from nd_flax import texts
from nd_flax.listing import describe
from nd_flax.naming import Target, resolve
from nd_flax.passes import Passes, noise
from nd_flax.probe import FlaxProbe
from nd_flax.programs import Network, network_of
from nd_flax.recording import Entry
from nd_flax.split_model import FlaxSplit, find_head
from nd_flax.survey import Size, Survey
from nd_flax.tensors import choose_device
from nd_flax.weights import precision_of, weights_fingerprint
from nd_plugin import (
    BadInput,
    Identity,
    LayerDescription,
    LayerNotFound,
    LinearHead,
    Measurement,
    ModelOptions,
    NDError,
    Placement,
    Preprocess,
    Response,
    Trace,
    fingerprint,
    perturb,
)

FLOAT32 = "float32"
VERSIONS = f"flax {flax.__version__}, jax {jax.__version__}"


class FlaxBackend:
    """Backend ``flax``."""

    def open(self, model: Any, options: ModelOptions) -> FlaxModel:
        """Open a text, an nnx module or a bound Linen module.

        Raises ModelNotFound, BadInput, Unavailable.
        """
        if options.input is not None or options.feeds or options.custom_ops:
            raise BadInput(
                "--input, --feed and --custom-op-library are options of ONNX files only"
            )
        opened = _open(model, options)
        if options.precision == FLOAT32 != opened.compute_precision:
            raise BadInput(
                f"{opened.identity.name} computes in {opened.compute_precision}, as its weights "
                "and the dtype of its modules say; leave out --precision"
            )
        return opened


def _open(model: Any, options: ModelOptions) -> FlaxModel:
    if isinstance(model, str):
        choose_device(options.device)  # before the weights are read
        loaded = texts.load(model, options.weights)
        weights = "" if options.weights is None else f", weights {options.weights}"
        return FlaxModel(
            loaded.network,
            f"{model}{weights}",
            Passes(loaded.network, choose_device(options.device)),
            loaded.notes,
            loaded.text,
        )
    if options.weights is not None:
        raise BadInput(
            "weights are loaded only into models named by a text; load them into this module "
            "yourself (nnx.update, model.bind)"
        )
    network = network_of(model)
    if network is None:
        raise BadInput(f"a {type(model).__name__} is no Flax module")
    kind = type(model)
    device = choose_device(options.device, network.arrays())
    source = f"{kind.__module__}.{kind.__qualname__}"
    return FlaxModel(network, source, Passes(network, device))


@dataclass(frozen=True, eq=False)
class FlaxModel:
    """Opened Flax model."""

    network: Network
    source: str
    passes: Passes
    opening_notes: tuple[str, ...] = ()
    spec: str = ""  # text that names it, with all options; "" for objects
    backend: str = "flax"

    @cached_property
    def identity(self) -> Identity:
        """Identity, with a fingerprint of weights and statistics."""
        name = type(self.network.module).__name__
        weights = weights_fingerprint(self.network.arrays())
        return Identity(name, self.source, VERSIONS, weights)

    @cached_property
    def structure(self) -> str:
        """Fingerprint of all operations; "" where the model does not run at its own size."""
        try:
            operations = self._survey(self.preprocess.size).operations
        except NDError:
            return ""
        return fingerprint([operations.encode()])

    @cached_property
    def preprocess(self) -> Preprocess:
        """Preprocessing that the model's attribute states, else ImageNet's, assumed."""
        return texts.preprocess_of(self.network.module)

    @property
    def device(self) -> torch.device:
        """Device that images are moved to and maps are returned on."""
        return self.passes.device.tensors

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the weights, on training and on precision."""
        return (
            *self.opening_notes,
            "run in evaluation mode (no dropout, running statistics), in the full precision of its "
            "number types",
        )

    @property
    def precision(self) -> str:
        """Number types of the weights; "" where there are none."""
        return precision_of(self.network.arrays())

    @cached_property
    def compute_precision(self) -> str:
        """Number types that are multiplied, the most frequent first.

        The weights' own, unless modules have a ``dtype``, or the model does not run at its size.
        """
        try:
            return self._survey(self.preprocess.size).multiplied_types
        except NDError:
            return self.precision

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """List what all modules return, as they run; ``#`` numbers the runs of a reused one."""
        survey = self._survey(size)
        unplaced = survey.unplaced()
        measurements = self._measure(survey, unplaced, size)
        descriptions: list[LayerDescription] = []
        for surveyed in survey.runs:
            descriptions += describe(surveyed, survey, measurements)
        return descriptions

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Size) -> Iterator[FlaxProbe]:
        """Open a probe on layers, given by name or as modules of the model.

        Raises LayerNotFound, LayerAmbiguous, UnitsNotFound, ModelFailed.
        """
        survey = self._survey(size)
        targets = [self._target(layer, survey) for layer in layers]
        entries = {target.name: survey.entry_of(target) for target in targets}
        placements = self._place(targets, survey, size)
        probe = FlaxProbe(self.passes.outputs, entries, placements)
        probe.examine(noise(size, self.preprocess.channels).to(self.device))
        yield probe

    def outputs(self, *inputs: Any) -> Any:
        """Return the model's outputs for preprocessed images, differentiable by torch."""
        return self.passes.model_outputs(_only_images(inputs))

    @contextmanager
    def rest(self, layer: Any, inputs: Sequence[Any]) -> Iterator[FlaxSplit]:
        """Split the model at a layer, for images of the size of ``inputs``."""
        height, width = _only_images(inputs).shape[2:]
        size = (int(height), int(width))
        survey = self._survey(size)
        target = self._target(layer, survey)
        entry = survey.entry_of(target)
        placement = self._place([target], survey, size)[target.name]
        yield FlaxSplit(
            target.name, placement.layout, placement.geometry, entry, self.passes
        )

    def trace(
        self,
        layer: Any,
        inputs: Sequence[Any],
        *,
        at_input: bool = False,
        gradients: bool = False,
        device_ids: Sequence[int] | None = None,
    ) -> Trace:
        """Run the model on images and record a layer's output. Raises BadInput for its input."""
        if at_input:
            raise BadInput(
                "of a Flax layer only the output can be taken; leave out attribute_to_layer_input"
            )
        images = _only_images(inputs)
        with self.rest(layer, inputs) as split:
            with torch.no_grad():
                value = split.layer(images)
            if gradients:
                value.requires_grad_()
            with torch.set_grad_enabled(gradients):
                output = split(value, images)
        return Trace(split.name, output, ((value,),), several=False)

    def linear_head(self, layer: Any, inputs: Sequence[Any]) -> LinearHead | None:
        """Return the linear head behind a layer, verified on noise; None where there is none."""
        images = _only_images(inputs)
        height, width = images.shape[2:]
        with self.rest(layer, inputs) as split:
            return find_head(
                split, noise((height, width), images.shape[1]).to(images)
            )

    def _survey(self, size: Size) -> Survey:
        return self.passes.survey(size, self.preprocess.channels)

    def _target(self, layer: Any, survey: Survey) -> Target:
        paths = dict.fromkeys(surveyed.run.path for surveyed in survey.runs)
        model = type(self.network.module).__name__
        if isinstance(layer, str):
            return resolve(layer, paths, model)
        path = self.network.path_of(layer)
        if path is None:
            raise LayerNotFound(
                f"{type(layer).__name__} is not a module of {model}; pass one of its own modules, "
                "or its dotted path"
            )
        return resolve(path, paths, model)

    def _place(
        self, targets: Sequence[Target], survey: Survey, size: Size
    ) -> dict[str, Placement]:
        entry_of = {target: survey.entry_of(target) for target in targets}
        measurements = self._measure(survey, tuple(entry_of.values()), size)
        return {
            target.name: survey.place(target, measurements.get(entry))
            for target, entry in entry_of.items()
        }

    def _measure(
        self, survey: Survey, entries: Sequence[Entry], size: Size
    ) -> dict[Entry, Measurement]:
        """Measure arrays on perturbed images; those that do not change with them are left out."""
        if not entries:
            return {}
        (image, _) = noise(size, self.preprocess.channels).to(self.device)
        images = perturb(image)
        try:
            outputs = self.passes.outputs(tuple(entries), images.images)
        except (
            NDError
        ):  # a model for batches of two: what is derived is then not verified
            return {}
        measurements: dict[Entry, Measurement] = {}
        for entry, output in zip(entries, outputs, strict=True):
            response = Response.of_pair(output, survey.array(entry).shape)
            if response is not None and not response.is_zero:
                measurements[entry] = Measurement(response, images)
        return measurements


def _only_images(inputs: Sequence[Any]) -> Tensor:
    """Return the images, which have to be the only input. Raises BadInput."""
    if (
        len(inputs) != 1
        or not isinstance(inputs[0], Tensor)
        or inputs[0].dim() != 4
    ):
        raise BadInput(
            "a Flax model takes one tensor of images (image, channel, row, column)"
        )
    return inputs[0]
