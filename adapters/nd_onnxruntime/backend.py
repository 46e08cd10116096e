"""Backend for ONNX models on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from onnx import ModelProto
from torch import Tensor

from nd_onnxruntime.damage import check_order, reading
from nd_onnxruntime.document import model_bytes, parse
from nd_onnxruntime.feeding import find_feeds
from nd_onnxruntime.first_operations import follow_image
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.identity import identify
from nd_onnxruntime.image_input import Size, find_image_input
from nd_onnxruntime.listing import Listing
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.naming import Layer, LayerNames
from nd_onnxruntime.precision import (
    TF32,
    check_choice,
    compute_precision,
    precision_notes,
    precision_of,
)
from nd_onnxruntime.preprocessing import preprocess_of
from nd_onnxruntime.probe import OnnxProbe, open_probe
from nd_onnxruntime.sessions import SessionDevice, choose_device
from nd_onnxruntime.split_model import SplitAtLayer, only_images
from nd_onnxruntime.splitter import Splitter
from nd_onnxruntime.trial import try_out
from nd_plugin import (
    BadInput,
    Identity,
    LayerDescription,
    LinearHead,
    Model,
    ModelOptions,
    Preprocess,
)


class OnnxBackend:
    """Backend ``onnxruntime``."""

    def open(self, model: Any, options: ModelOptions) -> Model:
        """Open a file or an ``onnx.ModelProto``. Raises ModelNotFound, BadInput, Unavailable."""
        if options.weights is not None:
            raise BadInput("an ONNX file holds its weights; leave out --weights")
        device = choose_device(options.device)
        with reading(_name_of(model)):
            opened = self._read(model, options, device)
        return opened.in_precision(options.precision)

    def _read(
        self, model: Any, options: ModelOptions, device: SessionDevice
    ) -> OnnxModel:
        """Read a file, and what it says of its images."""
        content = model_bytes(model)
        document = parse(model, content)
        graph = Graph(document.model)
        check_order(document.source, lambda: graph.nodes)
        try_out(document.source, document.model)
        image, operations = follow_image(
            document, graph, find_image_input(graph, options.input)
        )
        feeds = find_feeds(graph, image, options.feeds)
        return OnnxModel(
            identity=identify(document, content, image, feeds, device.provider),
            preprocess=preprocess_of(document.model, image, operations),
            loaded=LoadedModel(
                document, image, feeds, device, tuple(options.custom_ops)
            ),
            opening_notes=_feed_notes(image.name, options.feeds),
        )


def _name_of(model: Any) -> str:
    return "the ModelProto" if isinstance(model, ModelProto) else str(model)


def _feed_notes(image_name: str, feeds: Mapping[str, str]) -> tuple[str, ...]:
    if not feeds:
        return ()
    listing = ", ".join(f"{name}={text}" for name, text in feeds.items())
    return (f"fed beside the image {image_name!r}: {listing}",)


@dataclass(frozen=True)
class OnnxModel:
    """Opened ONNX model; sessions are opened for each probe, on the subgraph that it needs."""

    identity: Identity
    preprocess: Preprocess
    loaded: LoadedModel
    backend: str = "onnxruntime"
    opening_notes: tuple[str, ...] = ()
    chosen_precision: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on feeds, and on weights that decide the precision."""
        on_precision = precision_notes(self.chosen_precision, self.precision)
        return (*self.opening_notes, *on_precision)

    @property
    def device(self) -> torch.device:
        """Device that images are moved to and maps are returned on."""
        return self.loaded.device.tensors

    @property
    def precision(self) -> str:
        """Number types of the weights; "" where the file has none."""
        return precision_of(self.loaded.graph.initializers.values())

    @property
    def compute_precision(self) -> str:
        """Precision that the session computes in."""
        return compute_precision(self.precision, self.loaded.device)

    def in_precision(self, precision: str | None) -> OnnxModel:
        """Return the same model, computing in a precision.

        Raises BadInput for one that the file has not, Unavailable for one that the device has not.
        """
        check_choice(precision, self.precision, self.loaded.device)
        device = replace(self.loaded.device, use_tf32=precision == TF32)
        loaded = replace(self.loaded, device=device)
        return replace(self, loaded=loaded, chosen_precision=precision)

    @cached_property
    def names(self) -> LayerNames:
        """Names of the layers."""
        return LayerNames(self.loaded.graph, self.loaded.image.name)

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """Describe every value that depends on the image, by layer name, in order."""
        image_size = self.loaded.image.check_size(size)
        with self._surveying():
            return Listing(self.loaded, self.names).descriptions(image_size)

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Size) -> Iterator[OnnxProbe]:
        """Open a probe on layers given by name, for images of a size."""
        image_size = self.loaded.image.check_size(size)
        with self._surveying():
            requested = [self._layer(layer) for layer in layers]
            probe = open_probe(self.loaded, requested, image_size)
        yield probe

    def outputs(self, *inputs: Any) -> Any:
        """Return the model's outputs for preprocessed images (image, channel, row, column)."""
        images = only_images(inputs)
        with self._surveying():
            whole_model = self._splitter.whole_model(self._size_of(images))
        return whole_model.outputs(images)

    @contextmanager
    def rest(self, layer: Any, inputs: Sequence[Any]) -> Iterator[SplitAtLayer]:
        """Split the model at a layer, for images of the size of ``inputs``."""
        size = self._size_of(only_images(inputs))
        with self._surveying():
            split = self._splitter.split(self._layer(layer), size)
        yield split

    def linear_head(self, layer: Any, inputs: Sequence[Any]) -> LinearHead | None:
        """Return the linear head behind a layer, verified on noise; None where there is none."""
        size = self._size_of(only_images(inputs))
        with self._surveying():
            split = self._splitter.split(self._layer(layer), size)
            return self._splitter.linear_head(split, size)

    def _surveying(self) -> AbstractContextManager[None]:
        """Return the border around what is found out of the graph. Raises ModelNotFound."""
        return reading(self.identity.source, "be run in parts")

    def _layer(self, layer: Any) -> Layer:
        if not isinstance(layer, str):
            raise BadInput(
                f"a layer of an ONNX model is given by its name, not as {type(layer).__name__}"
            )
        return self.names.layer(layer)

    @cached_property
    def _splitter(self) -> Splitter:
        return Splitter(self.loaded)

    def _size_of(self, images: Tensor) -> Size:
        """Return the size of images. Raises BadInput where the model takes another."""
        height, width = images.shape[2:]
        return self.loaded.image.check_size((height, width))
