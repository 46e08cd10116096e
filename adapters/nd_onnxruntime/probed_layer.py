"""Probed layers: what to read from the graph for a layer, and how it is laid out over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nd_onnxruntime.image_input import Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.naming import Layer
from nd_onnxruntime.quantised import ExposedValue, expose
from nd_onnxruntime.survey import Survey, run_survey
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
    exposed = expose(model.graph, layer.value)
    shape = surveyed.shapes.get(layer.value)
    if shape is None:
        raise UnitsNotFound(
            f"layer {layer.name!r} is not a tensor; choose a neighbouring layer"
        )
    is_dequantised = exposed.name != layer.value
    if not is_dequantised and not surveyed.is_float.get(layer.value, False):
        raise UnitsNotFound(
            f"layer {layer.name!r} holds integers or booleans, not floats; "
            "choose a neighbouring layer"
        )
    layout = find_layout(shape, surveyed.positions.get(layer.value), layer.name)
    return ProbedLayer(layer, exposed, layout, geometry_of(layout, shape, size))


def describe_layers(
    model: LoadedModel, layers: Sequence[Layer], size: Size
) -> tuple[list[ProbedLayer], bool]:
    """Survey a model for some layers; also return whether that took images one at a time."""
    surveyed = run_survey(model, [layer.value for layer in layers], size)
    probed = [describe_layer(model, layer, surveyed, size) for layer in layers]
    return probed, surveyed.batch_size == 1
