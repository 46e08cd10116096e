"""Probed layers: what to read from the graph for a layer, and how it is laid out over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nd_onnxruntime.exposed_layer import expose_layer
from nd_onnxruntime.exposed_value import ExposedValue
from nd_onnxruntime.image_input import Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.measuring import measure
from nd_onnxruntime.naming import Layer
from nd_onnxruntime.survey import Survey, run_survey, survey_one_image
from nd_plugin import Geometry, Layout, Placement, UnitsNotFound, axes_of


@dataclass(frozen=True)
class ProbedLayer:
    """Layer with its exposed value, and the placement of its cells."""

    layer: Layer
    exposed: ExposedValue
    placement: Placement

    @property
    def name(self) -> str:
        """Canonical name of the layer."""
        return self.layer.name

    @property
    def layout(self) -> Layout:
        """Axes of the layer's own output."""
        return self.placement.layout

    @property
    def geometry(self) -> Geometry:
        """Geometry of the layer's cells."""
        return self.placement.geometry

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
        return (*notes, *self.placement.notes)


def describe_layers(
    model: LoadedModel, layers: Sequence[Layer], size: Size
) -> tuple[list[ProbedLayer], bool]:
    """Survey and measure a model for some layers.

    Also returns whether images were taken one at a time. Raises UnitsNotFound for a value that is
    not a float tensor with units laid out over the image.
    """
    values = [layer.value for layer in layers]
    surveyed = run_survey(model, values, size)
    try:
        return _place_layers(
            model, layers, surveyed, size
        ), surveyed.batch_size == 1
    except UnitsNotFound as error:
        if surveyed.batch_size == 1:
            raise
        # two images may have been stacked into one tall one
        surveyed = survey_one_image(model, values, size)
        try:
            return _place_layers(model, layers, surveyed, size), True
        except UnitsNotFound:
            raise error from None


def _place_layers(
    model: LoadedModel, layers: Sequence[Layer], surveyed: Survey, size: Size
) -> list[ProbedLayer]:
    singly = surveyed.batch_size == 1
    exposed_layers = [expose_layer(model, layer, surveyed) for layer in layers]
    measurements = measure(model, exposed_layers, size, singly=singly)
    probed: list[ProbedLayer] = []
    for exposed_layer in exposed_layers:
        exposed = exposed_layer.exposed
        placement = exposed_layer.place(size, measurements.get(exposed.name))
        probed.append(ProbedLayer(exposed_layer.layer, exposed, placement))
    return probed
