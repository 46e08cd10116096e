"""Placing: which layers have units, and where their cells look, derived or measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from nd_openvino.image_input import Size
from nd_openvino.loaded_model import LoadedModel
from nd_openvino.survey import Survey, Value
from nd_plugin import (
    Measurement,
    NDError,
    PerturbedImages,
    Placement,
    Response,
    UnitsNotFound,
    axes_of,
    groups_by_size,
    perturb,
    place,
)

GROUP_ELEMENTS = 2**26  # of the values computed together: 256 MiB of float32


@dataclass(frozen=True)
class Layer:
    """Value of a model that was asked for, and the axes that a user has named."""

    name: str
    value: Value
    axes: str | None = None

    def place(
        self, surveyed: Survey, size: Size, measurement: Measurement | None
    ) -> Placement:
        """Place the layer's cells over images of a size. Raises UnitsNotFound."""
        shape = self._checked_shape()
        placement = place(
            shape, self.value.positions, self.name, size, measurement, self.axes
        )
        image_axis, _ = axes_of(placement.layout)
        if shape[image_axis] != surveyed.batch:
            raise UnitsNotFound(
                f"layer {self.name!r} returns {shape[image_axis]} maps for {surveyed.batch} "
                "images; choose a neighbouring layer"
            )
        return placement

    def _checked_shape(self) -> torch.Size:
        if self.value.shape is None:
            raise self._without_units("has a shape that depends on the pixels")
        if not self.value.is_float:
            raise self._without_units("holds integers or booleans, not floats")
        return self.value.shape

    def _without_units(self, reason: str) -> UnitsNotFound:
        return UnitsNotFound(
            f"layer {self.name!r} {reason}; choose a neighbouring layer"
        )

    def needs_measuring(self, surveyed: Survey, size: Size) -> bool:
        """Return whether layout or geometry are not derived for certain."""
        try:
            return self.place(surveyed, size, None).needs_measuring
        except UnitsNotFound:
            return True


def measure(
    loaded: LoadedModel, layers: Sequence[Layer], surveyed: Survey, size: Size
) -> dict[str, Measurement]:
    """Measure layers on perturbed images, by the names of their values.

    Left out are layers in which nothing changes, and all of a model of a fixed batch of several.
    """
    if surveyed.is_fixed and surveyed.batch > 1:
        return {}
    (image,) = loaded.image.noise(1, size)
    images = perturb(image)
    with_shape = [layer for layer in layers if layer.value.shape is not None]
    measurements: dict[str, Measurement] = {}
    for group in groups_by_size(
        with_shape, _element_count, GROUP_ELEMENTS // len(images.images)
    ):
        outputs: dict[str, Tensor] = {}
        with suppress(NDError):  # what is derived is then not verified
            outputs = _outputs(loaded, group, surveyed, images, size)
        for layer in group:
            response = _response(outputs.get(layer.value.name), layer, surveyed)
            if response is not None and not response.is_zero:
                measurements[layer.value.name] = Measurement(response, images)
    return measurements


def _element_count(layer: Layer) -> int:
    return prod(layer.value.shape or ())


def _outputs(
    loaded: LoadedModel,
    group: Sequence[Layer],
    surveyed: Survey,
    images: PerturbedImages,
    size: Size,
) -> dict[str, Tensor]:
    """Return values for the perturbed images; of a fixed batch of one, stacked in a new axis 0."""
    names = list(dict.fromkeys(layer.value.name for layer in group))
    batch = 1 if surveyed.batch == 1 else -1
    runner = loaded.runner(names, batch, size)
    if surveyed.batch > 1:
        return dict(zip(names, runner(images.images), strict=True))
    runs = [runner(image[None]) for image in images.images]
    stacked = [torch.stack(values) for values in zip(*runs, strict=True)]
    return dict(zip(names, stacked, strict=True))


def _response(
    output: Tensor | None, layer: Layer, surveyed: Survey
) -> Response | None:
    shape = layer.value.shape
    if output is None or shape is None:
        return None
    if surveyed.batch > 1:
        return Response.of_pair(output, shape)
    image_axes = [axis for axis, length in enumerate(shape) if length == 1]
    if output.shape[1:] != shape or not image_axes:
        return None
    image_axis = image_axes[0]
    joined = output.movedim(0, image_axis).squeeze(image_axis + 1)
    return Response.of_output(joined, image_axis)
