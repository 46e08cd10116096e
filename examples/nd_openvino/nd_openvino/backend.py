"""Backend for models that OpenVINO reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from openvino import Core

from nd_openvino.image_input import Size, find_image_input
from nd_openvino.loaded_model import CPU, LoadedModel
from nd_openvino.model_files import identify, open_core, path_of, read_model
from nd_openvino.placing import Layer, measure
from nd_openvino.preprocessing import preprocess_of
from nd_openvino.probe import OpenVinoProbe, open_probe
from nd_openvino.survey import Survey, survey
from nd_plugin import (
    BadInput,
    Identity,
    LayerDescription,
    LayerNotFound,
    Measurement,
    ModelOptions,
    NDError,
    Preprocess,
    Unavailable,
    nearest,
    split_axes,
)

TYPE_NAMES = {
    "f16": "float16",
    "f32": "float32",
    "f64": "float64",
    "bf16": "bfloat16",
    "i8": "int8",
    "u8": "uint8",
}
INDICES = ("i32", "i64")  # weights of these are not computed with
NAMES_SHOWN = 4  # where none is near
QUANTISED = "the model is quantised: values are rounded as it says, and computed with in float32"


class OpenVinoBackend:
    """Backend ``openvino``."""

    def open(self, model: Any, options: ModelOptions) -> OpenVinoModel:
        """Open ``openvino:FILE``, or an IR file. Raises ModelNotFound, BadInput, Unavailable."""
        if options.weights is not None:
            raise BadInput(
                "the weights of an OpenVINO model are beside its file; leave out --weights"
            )
        if options.feeds:
            raise BadInput(
                "the openvino backend feeds images only; leave out --feed"
            )
        path = path_of(model)
        core = open_core(options.custom_ops)
        device = choose_device(core, options.device)
        graph = read_model(core, path)
        image = find_image_input(graph, options.input)
        loaded = LoadedModel(str(path), core, graph, image, device)
        return OpenVinoModel(
            identify(path, graph, device), preprocess_of(graph, image), loaded
        )


def choose_device(core: Core, requested: str) -> str:
    """Return OpenVINO's name of a device; ``auto`` is the CPU, where maps are needed.

    Raises Unavailable for a device that OpenVINO does not have here.
    """
    name = CPU if requested == "auto" else requested.upper()
    devices = core.available_devices
    if name not in devices:
        raise Unavailable(
            f"device {requested!r} was asked for, but OpenVINO has {', '.join(devices)} here; use "
            "--device cpu"
        )
    return name


@dataclass(frozen=True)
class OpenVinoModel:
    """Opened model; the part that a probe needs is compiled for it."""

    identity: Identity
    preprocess: Preprocess
    loaded: LoadedModel
    backend: str = "openvino"

    @property
    def device(self) -> torch.device:
        """Device of images and maps: OpenVINO copies them itself where it uses another."""
        return torch.device("cpu")

    @property
    def notes(self) -> tuple[str, ...]:
        """Note on quantised models."""
        is_quantised = any(self._operations("FakeQuantize"))
        return (QUANTISED,) if is_quantised else ()

    @cached_property
    def precision(self) -> str:
        """Number types of the weights, that of most numbers first."""
        counts = Counter[str]()
        for operation in self._operations("Constant"):
            shape = operation.get_output_shape(0)
            element_type = operation.get_element_type().get_type_name()
            if len(shape) > 1 and element_type not in INDICES:
                name = TYPE_NAMES.get(element_type, element_type)
                counts[name] += int(operation.get_byte_size())
        return " and ".join(name for name, _ in counts.most_common())

    @property
    def compute_precision(self) -> str:
        """Precision of passes, whatever the types of the weights."""
        return "float32"

    def _operations(self, kind: str) -> Iterator[Any]:
        for operation in self.loaded.model.get_ops():
            if operation.get_type_name() == kind:
                yield operation

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """List every value of floats that depends on the image, in an order of computation."""
        surveyed = survey(self.loaded, size)
        layers = [
            Layer(value.name, value)
            for value in surveyed.values.values()
            if value.is_float
        ]
        unknown = [
            layer for layer in layers if layer.needs_measuring(surveyed, size)
        ]
        measurements = measure(self.loaded, unknown, surveyed, size)
        descriptions = []
        for layer in layers:
            measurement = measurements.get(layer.name)
            descriptions.append(_describe(layer, surveyed, size, measurement))
        return descriptions

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Size) -> Iterator[OpenVinoProbe]:
        """Open a probe on layers given by name, for images of a size."""
        surveyed = survey(self.loaded, size)
        requested = [self._layer(layer, surveyed) for layer in layers]
        yield open_probe(self.loaded, requested, surveyed, size)

    def _layer(self, layer: Any, surveyed: Survey) -> Layer:
        """Return the layer of a name, ``@nhwc`` behind it left out. Raises LayerNotFound."""
        if not isinstance(layer, str):
            raise BadInput(
                f"a layer of an OpenVINO model is given by its name, not as "
                f"{type(layer).__name__}"
            )
        values = surveyed.values
        if layer in values:
            return Layer(layer, values[layer])
        name, axes = split_axes(layer)
        if name in values:
            return Layer(name, values[name], axes)
        floats = [value.name for value in values.values() if value.is_float]
        suggestions = nearest(name, floats) or floats[:NAMES_SHOWN]
        raise LayerNotFound(
            f"no layer {name!r} in {self.identity.source}; the nearest are "
            f"{', '.join(suggestions)} (nd layers MODEL lists all {len(floats)})"
        )


def _describe(
    layer: Layer, surveyed: Survey, size: Size, measurement: Measurement | None
) -> LayerDescription:
    kind = layer.value.kind
    try:
        placement = layer.place(surveyed, size, measurement)
    except NDError as error:
        return LayerDescription.without_units(layer.name, kind, error)
    assert layer.value.shape is not None  # it has been placed
    output = torch.empty(layer.value.shape, device="meta")
    _, *maps_shape = placement.layout.maps(output).shape
    return LayerDescription(layer.name, kind, (1, *maps_shape), placement.geometry)
