"""Loaded model: the graph for images of a size, and parts of it compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from openvino import Core, Model, PartialShape, opset13
from torch import Tensor

from nd_openvino.image_input import ImageInput, Size
from nd_openvino.model_files import last_line
from nd_plugin import ModelFailed

CPU = "CPU"
FLOATS = ("f16", "f32", "f64", "bf16")


def value_name(operation: Any, output_index: int) -> str:
    """Return the name of an output: that of its operation, and ``name:1`` … for further ones."""
    name = str(operation.get_friendly_name())
    return name if output_index == 0 else f"{name}:{output_index}"


@dataclass(frozen=True)
class Runner:
    """Compiled part of a model, which returns some of its values."""

    source: str
    compiled: Any
    image: ImageInput
    copies: int = 1  # of each image, for a model of a fixed batch

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the values for images (image, channel, row, column). Raises ModelFailed."""
        if self.copies > 1:
            images = images.expand(self.copies, -1, -1, -1)
        pixels = self.image.prepare(images.detach().cpu()).numpy()
        request = self.compiled.create_infer_request()
        try:
            # OpenVINO's buffers end with the request: the arrays are copies
            results = request.infer(
                [pixels], share_inputs=True, share_outputs=False
            )
        except RuntimeError as error:
            raise ModelFailed(
                f"OpenVINO failed in {self.source}: {last_line(error)}"
            ) from error
        return [torch.from_numpy(array) for array in results.values()]


@dataclass(frozen=True)
class LoadedModel:
    """Model that was read, with its image input."""

    source: str
    core: Core
    model: Model
    image: ImageInput
    device: str  # OpenVINO's name

    def reshaped(self, batch: int, size: Size) -> Model:
        """Return a copy of the model for a number of images (-1: any) of a size.

        Raises RuntimeError where the model cannot be reshaped.
        """
        copy = self.model.clone()
        shape = PartialShape(self.image.shape(batch, size))
        copy.reshape({copy.inputs[0]: shape})
        return copy

    def runner(
        self, names: Sequence[str], batch: int, size: Size, copies: int = 1
    ) -> Runner:
        """Compile the part of the model that some values need, in single precision.

        Raises ModelFailed.
        """
        try:
            part = _part(self.reshaped(batch, size), names)
            compiled = self.core.compile_model(
                part, self.device, _settings(self.device)
            )
        except RuntimeError as error:
            raise ModelFailed(
                f"OpenVINO cannot compile {self.source}: {last_line(error)}"
            ) from error
        return Runner(self.source, compiled, self.image, copies)


def _settings(device: str) -> dict[str, Any]:
    """Return settings for single precision, and for as many threads as PyTorch uses."""
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # of values, beside quantised weights
        "NUM_STREAMS": 1,
    }
    if device == CPU:
        settings["INFERENCE_NUM_THREADS"] = torch.get_num_threads()
        # integer arithmetic loses the scale of a layer that is read beside the one before it
        settings["LP_TRANSFORMS_MODE"] = "NO"
    return settings


def _part(model: Model, names: Sequence[str]) -> Model:
    """Return the part of a model that ends in some values, as numbers of single precision."""
    values: dict[str, Any] = {}
    for operation in model.get_ops():
        for index, output in enumerate(operation.outputs()):
            values[value_name(operation, index)] = output
    results = []
    for name in names:
        output = values[name]
        if output.get_element_type().get_type_name() != "f32":
            output = opset13.convert(output, "f32").output(0)
        results.append(opset13.result(output))
    return Model(results, model.get_parameters(), "part")
