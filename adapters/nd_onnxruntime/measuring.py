"""Measuring: responses of exposed values to perturbed images."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from onnx import NodeProto
from torch import Tensor

from nd_onnxruntime.exposed_layer import ExposedLayer
from nd_onnxruntime.image_input import Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.runner import Runner
from nd_plugin import (
    Measurement,
    NDError,
    PerturbedImages,
    Response,
    groups_by_size,
    perturb,
)

GROUP_ELEMENTS = 2**26  # of the values fetched in one run: 256 MiB of float32


def measure(
    model: LoadedModel,
    layers: Sequence[ExposedLayer],
    size: Size,
    *,
    singly: bool,
) -> dict[str, Measurement]:
    """Measure the exposed values of layers, by the names of the values.

    ``singly``: the survey took one image, and so are the perturbed ones taken one at a time. Left
    out are values in which nothing changes, and all where the model takes no such batch.
    """
    (image,) = model.image.noise(1, size)
    images = perturb(image)
    measurements: dict[str, Measurement] = {}
    for group in groups_by_size(
        layers, _element_count, GROUP_ELEMENTS // len(images.images)
    ):
        try:
            outputs = _outputs(model, group, images, size, singly=singly)
        except (NDError, RuntimeError):
            # what is derived is then not verified
            continue
        for layer in group:
            name = layer.exposed.name
            response = _response(outputs[name], layer.shape, singly=singly)
            if response is not None and not response.is_zero:
                measurements[name] = Measurement(response, images)
    return measurements


def _element_count(layer: ExposedLayer) -> int:
    """Count the elements of a layer's value for the images of a survey."""
    return prod(layer.shape)


def _outputs(
    model: LoadedModel,
    group: Sequence[ExposedLayer],
    images: PerturbedImages,
    size: Size,
    *,
    singly: bool,
) -> dict[str, Tensor]:
    """Return values for the perturbed images, by name; taken singly, stacked in a new axis 0."""
    appended: dict[str, NodeProto] = {}
    for layer in group:
        appended |= {node.name: node for node in layer.exposed.appended}
    names = list(dict.fromkeys(layer.exposed.name for layer in group))
    runner = model.runner(
        names, size, singly=singly, appended=list(appended.values())
    )
    batch = images.images.to(runner.device.tensors)
    if not singly:
        return _run(runner, batch)
    runs = [_run(runner, batch[index : index + 1]) for index in range(len(batch))]
    return {name: torch.stack([run[name] for run in runs]) for name in names}


def _run(runner: Runner, images: Tensor) -> dict[str, Tensor]:
    names = [output.name for output in runner.session.get_outputs()]
    return dict(zip(names, runner(images), strict=True))


def _response(
    output: Tensor, shape: torch.Size, *, singly: bool
) -> Response | None:
    if not singly:
        return Response.of_pair(output, shape)
    image_axes = [axis for axis, length in enumerate(shape) if length == 1]
    if output.shape[1:] != shape or not image_axes:
        return None
    image_axis = image_axes[0]
    joined = output.movedim(0, image_axis).squeeze(image_axis + 1)
    return Response.of_output(joined, image_axis)
