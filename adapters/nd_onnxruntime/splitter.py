"""Splitter: opens the sessions of a model split at a layer, and reads its linear head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from onnx import ValueInfoProto, helper
from torch import Tensor

from nd_onnxruntime.head import HeadReader
from nd_onnxruntime.image_input import Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.naming import Layer
from nd_onnxruntime.probed_layer import ProbedLayer, describe_layers
from nd_onnxruntime.runner import Runner
from nd_onnxruntime.split_model import SplitAtLayer, join_outputs, split_batch
from nd_plugin import (
    LinearHead,
    ModelFailed,
    NDError,
    equals_single_images,
    nearly_equal,
)

# of noise in place of a layer's output: a soft cap is linear near 0 only
MAGNITUDES = (1.0, 30.0)


@dataclass(frozen=True)
class WholeModel:
    """Session of a whole model."""

    runner: Runner
    singly: bool  # images are run one at a time

    def outputs(self, images: Tensor) -> Any:
        """Return the model's outputs: a tensor, or a tuple where it has several."""
        batches = split_batch(images, self.singly)
        return join_outputs([self.runner(batch) for batch in batches])


@dataclass(frozen=True)
class Splitter:
    """Sessions for whole models and split models, cached: contributions run them many times."""

    model: LoadedModel
    whole_models: dict[Size, WholeModel] = field(default_factory=dict)
    splits: dict[tuple[Layer, Size], SplitAtLayer] = field(default_factory=dict)

    def whole_model(self, size: Size) -> WholeModel:
        """Return the session of the whole model for images of a size."""
        if size not in self.whole_models:
            self.whole_models[size] = self._open_whole_model(size)
        return self.whole_models[size]

    def split(self, layer: Layer, size: Size) -> SplitAtLayer:
        """Return the model split at a layer, for images of a size."""
        key = (layer, size)
        if key not in self.splits:
            self.splits[key] = self._open_split(layer, size)
        return self.splits[key]

    def linear_head(self, split: SplitAtLayer, size: Size) -> LinearHead | None:
        """Return the linear head behind a layer, read from the weights and verified on noise.

        None where pooling and one linear map are not all that follows.
        """
        reader = HeadReader(self.model.document, self.model.graph)
        weights = reader.read(split.probed.exposed.name)
        if weights is None:
            return None
        images = self._noise(2, size)
        layer_output = split.layer(images)
        matrix = torch.from_numpy(weights.matrix).to(layer_output)
        bias = torch.from_numpy(weights.bias).to(layer_output)
        head = LinearHead(matrix, bias)
        outputs = self.whole_model(size).outputs(images)
        predicts_outputs = _predicts(head, split, layer_output, outputs)
        if predicts_outputs and _predicts_on_noise(
            head, split, layer_output, images
        ):
            return head
        return None

    def _noise(self, count: int, size: Size) -> Tensor:
        images = self.model.image.noise(count, size)
        return images.to(self.model.device.tensors)

    def _open_whole_model(self, size: Size) -> WholeModel:
        """Open a session for batches, or for single images if those give other outputs."""
        outputs = self.model.output_names
        images = self._noise(2, size)
        try:
            runner = self.model.runner(outputs, size, singly=False)
            if equals_single_images(runner(images), runner, images):
                return WholeModel(runner, singly=False)
        except NDError:
            pass  # it may still take single images
        return WholeModel(
            self.model.runner(outputs, size, singly=True), singly=True
        )

    def _open_split(self, layer: Layer, size: Size) -> SplitAtLayer:
        (probed,), singly = describe_layers(self.model, [layer], size)
        singly = singly or self.whole_model(size).singly
        exposed = probed.exposed
        to_layer = self.model.runner(
            [exposed.name], size, singly=singly, appended=exposed.appended
        )
        layer_output = to_layer(self._noise(1, size))[0]
        from_layer = self.model.runner(
            self.model.output_names,
            size,
            singly=singly,
            replaced=[_declare_layer(probed, layer_output, singly)],
            prepended=exposed.restoring,
        )
        return SplitAtLayer(probed, to_layer, from_layer, singly)


def _declare_layer(
    probed: ProbedLayer, output: Tensor, singly: bool
) -> ValueInfoProto:
    """Declare a layer's output as an input, for one image or any number of them."""
    shape: list[int | str] = list(output.shape)
    shape[probed.image_axis] = 1 if singly else "N"
    dtype = torch.empty(0, dtype=output.dtype).numpy().dtype
    return helper.make_tensor_value_info(
        probed.exposed.name, helper.np_dtype_to_tensor_dtype(dtype), shape
    )


def _predicts_on_noise(
    head: LinearHead, split: SplitAtLayer, layer_output: Tensor, images: Tensor
) -> bool:
    """Return whether a head predicts the outputs when noise replaces the layer's output."""
    generator = torch.Generator("cpu").manual_seed(1)
    noise = torch.randn(layer_output.shape, generator=generator, device="cpu").to(
        layer_output
    )
    for magnitude in MAGNITUDES:
        replacement = magnitude * noise
        try:
            outputs = split(magnitude * noise, images)
        except ModelFailed:
            return False
        if not _predicts(head, split, replacement, outputs):
            return False
    return True


def _predicts(
    head: LinearHead, split: SplitAtLayer, layer_output: Tensor, outputs: Any
) -> bool:
    """Return whether pooling and the linear map give a model's outputs up to rounding."""
    if not isinstance(outputs, Tensor):
        return False
    pooled = split.layout.maps(layer_output).mean((2, 3))
    predicted = pooled @ head.weight.T + head.bias
    return nearly_equal(predicted.to(outputs.dtype), outputs)
