"""Exposed layers: what is read from the graph for a layer, and what a survey tells of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nd_onnxruntime.exposed_value import ExposedValue
from nd_onnxruntime.image_input import Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.naming import Layer
from nd_onnxruntime.pixel_blocks import centred_maps
from nd_onnxruntime.quantised import expose
from nd_onnxruntime.survey import Survey
from nd_onnxruntime.unread_values import expose_as_float
from nd_plugin import (
    Measurement,
    Placement,
    Positions,
    UnitsNotFound,
    axes_of,
    place,
)


@dataclass(frozen=True)
class ExposedLayer:
    """Layer with its exposed value, and the shape and positions of that in a survey."""

    layer: Layer
    exposed: ExposedValue
    shape: torch.Size
    positions: Positions | None
    image_count: int  # of the survey

    def place(self, size: Size, measurement: Measurement | None) -> Placement:
        """Place the layer's cells over images of a size. Raises UnitsNotFound."""
        placement = place(
            self.shape,
            self.positions,
            self.layer.name,
            size,
            measurement,
            self.layer.axes,
        )
        image_axis, _ = axes_of(placement.layout)
        check_map_count(self.layer.name, self.shape[image_axis], self.image_count)
        return placement

    def has_geometry(self, size: Size) -> bool:
        """Return whether layout and geometry of the layer are derived for certain."""
        try:
            return not self.place(size, None).needs_measuring
        except UnitsNotFound:
            return False


def check_map_count(layer: str, maps: int, images: int) -> None:
    """Raise UnitsNotFound for a layer whose maps are not one per image."""
    if maps != images:
        noun = "image" if images == 1 else "images"
        raise UnitsNotFound(
            f"layer {layer!r} returns {maps} maps for {images} {noun}; choose a neighbouring layer"
        )


def expose_layer(
    model: LoadedModel, layer: Layer, surveyed: Survey
) -> ExposedLayer:
    """Choose what to read for a layer.

    Raises UnitsNotFound for a value that is no float tensor, or does not depend on pixels.
    """
    shape = surveyed.shapes.get(layer.value)
    if shape is None:
        raise _without_units(layer, "is not a tensor")
    if layer.value not in surveyed.pixel_values:
        raise _without_units(layer, "does not depend on the image's pixels")
    exposed = _expose_value(model, layer.value, surveyed)
    is_converted = exposed.name != layer.value
    if not is_converted and not surveyed.is_float.get(layer.value, False):
        raise _without_units(layer, "holds integers or booleans, not floats")
    positions = surveyed.positions.get(layer.value)
    if exposed.units is not None:
        shape = torch.Size((shape[0], exposed.units, *shape[2:]))
        positions = positions and positions.through(positions.map(), shape)
    if positions is not None:
        positions = centred_maps(positions)
    return ExposedLayer(layer, exposed, shape, positions, surveyed.batch_size)


def _expose_value(model: LoadedModel, value: str, surveyed: Survey) -> ExposedValue:
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
