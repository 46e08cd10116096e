"""Probed layers: what to read from the graph for a layer, and how it is laid out over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nd_onnxruntime.exposed_value import ExposedValue
from nd_onnxruntime.image_input import Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.naming import Layer
from nd_onnxruntime.pixel_blocks import centred_maps
from nd_onnxruntime.quantised import expose
from nd_onnxruntime.survey import Survey, run_survey
from nd_onnxruntime.unread_values import expose_as_float
from nd_plugin import (
    Geometry,
    Layout,
    UnitsNotFound,
    axes_of,
    find_layout,
    geometry_of,
)


@dataclass(frozen=True)
class ProbedLayer:
    """Layer with its exposed value, the layout of that and the geometry of its cells."""

    layer: Layer
    exposed: ExposedValue
    shape: torch.Size  # of the exposed value, for the images of the survey
    layout: Layout
    geometry: Geometry

    @property
    def name(self) -> str:
        """Canonical name of the layer."""
        return self.layer.name

    @property
    def image_axis(self) -> int:
        """Axis of the images in the layer's own output."""
        return axes_of(self.layout)[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader of the results."""
        notes = []
        for note in (self.layer.note, self.exposed.note):
            if note:
                notes.append(f"layer {self.name!r}: {note}")
        return tuple(notes)


def describe_layer(
    model: LoadedModel, layer: Layer, surveyed: Survey, size: Size
) -> ProbedLayer:
    """Derive layout and geometry of a layer from a survey.

    Raises UnitsNotFound for a value that is not a float tensor with units laid out over the image.
    """
    shape = surveyed.shapes.get(layer.value)
    if shape is None:
        raise _without_units(layer, "is not a tensor")
    if layer.value not in surveyed.pixel_values:
        raise _without_units(layer, "does not depend on the image's pixels")
    exposed = _expose(model, layer.value, surveyed)
    is_converted = exposed.name != layer.value
    if not is_converted and not surveyed.is_float.get(layer.value, False):
        raise _without_units(layer, "holds integers or booleans, not floats")
    positions = surveyed.positions.get(layer.value)
    if exposed.units is not None:
        shape = torch.Size((shape[0], exposed.units, *shape[2:]))
        positions = positions and positions.through(positions.map(), shape)
    if positions is not None:
        positions = centred_maps(positions)
    layout = find_layout(shape, positions, layer.name)
    geometry = geometry_of(layout, shape, size)
    return ProbedLayer(layer, exposed, shape, layout, geometry)


def _expose(model: LoadedModel, value: str, surveyed: Survey) -> ExposedValue:
    """Choose what to read for a value: itself, or its numbers in order and as floats."""
    element_type = surveyed.unread_types.get(value, "")
    return (
        model.blocked.expose(value, surveyed.shapes)
        or expose_as_float(value, element_type)
        or expose(model.graph, value)
    )


def _without_units(layer: Layer, reason: str) -> UnitsNotFound:
    return UnitsNotFound(
        f"layer {layer.name!r} {reason}; choose a neighbouring layer"
    )


def describe_layers(
    model: LoadedModel, layers: Sequence[Layer], size: Size
) -> tuple[list[ProbedLayer], bool]:
    """Survey a model for some layers; also return whether that took images one at a time."""
    surveyed = run_survey(model, [layer.value for layer in layers], size)
    probed = [describe_layer(model, layer, surveyed, size) for layer in layers]
    return probed, surveyed.batch_size == 1
